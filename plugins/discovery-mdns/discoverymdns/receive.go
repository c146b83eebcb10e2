package discoverymdns

import (
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// receive takes a packet in.
func (s *station) receive(now time.Time, a arrival) {
	p := s.ports[a.link]
	if p == nil {
		return
	}
	m, err := parseMessage(a.data)
	switch {
	case err != nil:
		s.dropped++
	case m.response:
		s.hear(now, p, a, m)
	default:
		s.asked(now, p, a, m)
	}
}

// hear notes the adverts in a response. Only neighbours who speak from the port of multicast DNS are believed.
func (s *station) hear(now time.Time, p *port, a arrival, m message) {
	if a.from.Port() != mdnsPort || !p.link.reaches(a.from.Addr()) {
		return
	}
	for _, h := range m.nodes {
		advert, err := readText(h.texts, p.link)
		if err != nil || h.instance != instanceLabel(advert.NodeID) {
			s.dropped++
			continue
		}
		switch {
		case s.own != nil && string(s.own.NodeID) == string(advert.NodeID):
		case h.gone:
			s.table.lose(now, p.link, string(advert.NodeID))
		default:
			s.table.see(now, p.link, h.instance, advert, s.lease)
		}
	}
}

// asked answers a question, at once if it came from a single asker.
func (s *station) asked(now time.Time, p *port, a arrival, m message) {
	if !p.link.reaches(a.from.Addr()) {
		return
	}
	if a.from.Port() == mdnsPort && m.asksFor(serviceName) {
		s.overhear(now, p, m)
	}
	if !p.speaks {
		return
	}
	q, wanted := s.questionForUs(p, m)
	switch {
	case !wanted:
		if m.asksFor(metaName) && p.metaAt.IsZero() {
			p.metaAt = s.answerTime(now, p.lastMeta)
		}
	case a.from.Port() != mdnsPort:
		s.replyTo(now, p, a, m.id, q)
	case s.suppressed(p, m, q):
	case p.answerAt.IsZero():
		p.answerAt = s.answerTime(now, p.lastAnswer)
	}
}

func (s *station) answerTime(now, last time.Time) time.Time {
	at := now.Add(minAnswerDelay + time.Duration(s.jitter()*float64(maxAnswerDelay-minAnswerDelay)))
	if earliest := last.Add(s.gap); at.Before(earliest) {
		return earliest
	}
	return at
}

// questionForUs finds the question that our records answer.
func (s *station) questionForUs(p *port, m message) (dnsmessage.Question, bool) {
	for _, q := range m.questions {
		if p.announced.answers(q) {
			return q, true
		}
	}
	return dnsmessage.Question{}, false
}

// suppressed reports whether the asker knows us for long enough yet.
func (s *station) suppressed(p *port, m message, q dnsmessage.Question) bool {
	ttl, known := m.known[p.announced.instance]
	return known && q.Type == dnsmessage.TypePTR && time.Duration(ttl)*time.Second >= s.lease/2
}

// replyTo answers one asker, who may be any program.
func (s *station) replyTo(now time.Time, p *port, a arrival, id uint16, q dnsmessage.Question) {
	if now.Sub(p.repliesSince) >= s.gap {
		p.repliesSince, p.replies = now, 0
	}
	if p.replies++; p.replies > repliesPerGap {
		return
	}
	data, err := p.announced.pack(reply{ttl: min(seconds(s.lease), maxLegacyTTL), id: id, question: &q})
	if err == nil {
		s.out = append(s.out, outgoing{link: p.link, to: a.from, data: data})
	}
}

// overhear puts our own question off when somebody else has asked it, and will hear of all that we want to hear of. When
// a sighting is about to end all the same, the questions of others do not help us, and we ask ourselves.
func (s *station) overhear(now time.Time, p *port, m message) {
	first := s.table.firstExpiryOn(p.link.index)
	if p.asksLeft > 0 || !first.IsZero() && first.Sub(now) < s.interval/2 {
		return
	}
	mine := make(map[string]bool)
	for _, k := range s.table.known(now, p.link.index) {
		mine[k.instance] = true
	}
	for instance := range m.known {
		if !mine[instance] && (!p.speaks || instance != p.announced.instance) {
			return
		}
	}
	s.noteQuestion(now, p)
}
