package discoverymdns

import (
	"net/netip"
	"time"

	"github.com/syncbase/syncbase/sdk/plugin/discovery"
)

const (
	// mdnsPort is where multicast DNS is spoken. Who asks from another port gets an answer for itself alone.
	mdnsPort = 5353
	// repeats is how often an announcement, and the first question, is sent in a row, at growing distances.
	repeats = 3
	// maxLegacyTTL bounds the time, in seconds, for which who asks from another port may keep the answer.
	maxLegacyTTL = 10
	// repliesPerGap bounds the answers to single askers on a link within one gap.
	repliesPerGap = 8
	// minAnswerDelay and maxAnswerDelay spread the answers of many nodes to one question.
	minAnswerDelay = 20 * time.Millisecond
	maxAnswerDelay = 120 * time.Millisecond
	// maxGap is the distance that is always kept between two answers, or two questions, on one link.
	maxGap = time.Second
)

// station decides what to send and what is true of the neighbours. It is fed events with the time, and asked with next
// when to call tick; what it wants to send is collected for takeOut. It is not safe for concurrent use.
type station struct {
	interval time.Duration
	lease    time.Duration
	// gap is maxGap, or less with very short intervals.
	gap time.Duration
	// jitter gives numbers from 0 to 1.
	jitter func() float64

	// own is what this node announces; nil while it announces nothing.
	own *discovery.Advert
	// asking is set while somebody wants to know of neighbours.
	asking bool
	ports  map[int]*port
	table  *table
	out    []outgoing
	// dropped counts packets that made no sense.
	dropped uint64
}

// port is the station's state on one link.
type port struct {
	link link
	// announced is what this node says here; only valid if it has something to say here.
	announced announcement
	speaks    bool

	// A zero time is never.
	announceAt    time.Time
	announcesLeft int
	answerAt      time.Time
	lastAnswer    time.Time
	metaAt        time.Time
	lastMeta      time.Time

	askAt    time.Time
	asksLeft int
	// lastQuestion is when anybody last asked what we would have asked.
	lastQuestion time.Time
	// slack spreads the urgent questions of many nodes that know the same.
	slack time.Duration

	repliesSince time.Time
	replies      int
}

// outgoing is a packet to be sent on a link: to one asker, or to all if there is none.
type outgoing struct {
	link link
	to   netip.AddrPort
	data []byte
}

// arrival is a packet that came in.
type arrival struct {
	link int
	from netip.AddrPort
	data []byte
}

func newStation(interval time.Duration, jitter func() float64) *station {
	return &station{
		interval: interval,
		lease:    leaseIntervals * interval,
		gap:      min(maxGap, interval/4),
		jitter:   jitter,
		ports:    make(map[int]*port),
		table:    newTable(),
	}
}

// setLinks replaces the links in use. On those that are new or have changed, the node announces itself and asks anew.
// What was seen on a link that is gone holds until its lease ends.
func (s *station) setLinks(now time.Time, links []link) {
	old := s.ports
	s.ports = make(map[int]*port, len(links))
	for _, l := range links {
		p := old[l.index]
		if p == nil || !p.link.equal(l) {
			p = &port{link: l}
			s.startAsking(now, p)
		}
		s.ports[l.index] = p
		s.prepare(now, p)
	}
}

// announce makes the node speak of itself on all links.
func (s *station) announce(now time.Time, advert discovery.Advert) {
	s.own = &advert
	s.table.forget(now, string(advert.NodeID))
	for _, p := range s.ports {
		p.speaks = false
		s.prepare(now, p)
	}
}

// prepare makes the records for a link, unless they are made already.
func (s *station) prepare(now time.Time, p *port) {
	if s.own == nil || p.speaks {
		return
	}
	if p.announced, p.speaks = newAnnouncement(*s.own, p.link); p.speaks {
		p.announceAt, p.announcesLeft = now, repeats
	}
}

// withdraw says goodbye on all links where the node has spoken.
func (s *station) withdraw() {
	for _, p := range s.ports {
		if p.speaks && !p.lastAnswer.IsZero() {
			s.send(p, reply{ttl: 0})
		}
		p.speaks = false
		p.announceAt, p.answerAt, p.metaAt = time.Time{}, time.Time{}, time.Time{}
	}
	s.own = nil
}

// publishedOn names the links on which the node speaks.
func (s *station) publishedOn() []string {
	var names []string
	for _, p := range s.ports {
		if p.speaks {
			names = append(names, p.link.name)
		}
	}
	return names
}

// ask turns asking on or off.
func (s *station) ask(now time.Time, on bool) {
	if on && !s.asking {
		for _, p := range s.ports {
			s.startAsking(now, p)
		}
	}
	s.asking = on
}

func (s *station) startAsking(now time.Time, p *port) {
	p.askAt, p.asksLeft = now, repeats
}

// noteQuestion plans the next question after one that was asked now.
func (s *station) noteQuestion(now time.Time, p *port) {
	p.lastQuestion = now
	p.askAt = s.nextAsk(now)
	p.slack = time.Duration(s.jitter() * float64(s.interval) / 4)
}

func (s *station) nextAsk(now time.Time) time.Time {
	return now.Add(s.interval - time.Duration(s.jitter()*float64(s.interval)/8))
}

// tick sends what is due and forgets who has not been heard of for too long.
func (s *station) tick(now time.Time) {
	s.table.expire(now)
	for _, p := range s.ports {
		if due(p.announceAt, now) {
			s.speak(now, p)
			p.announcesLeft--
			p.announceAt = s.repeatAt(now, p.announcesLeft)
		}
		if due(p.answerAt, now) {
			s.speak(now, p)
		}
		if due(p.metaAt, now) {
			s.speakMeta(now, p)
		}
		if s.asking && due(s.askTime(p), now) {
			s.question(now, p)
		}
	}
}

func due(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

// repeatAt is when a repeated packet is sent next: after one gap, then two.
func (s *station) repeatAt(now time.Time, left int) time.Time {
	if left <= 0 {
		return time.Time{}
	}
	return now.Add(time.Duration(repeats-left) * s.gap)
}

// askTime is when the next question is due: as planned, or, when a sighting is in its last third, sooner.
func (s *station) askTime(p *port) time.Time {
	at := p.askAt
	if first := s.table.firstExpiryOn(p.link.index); !first.IsZero() {
		urgent := first.Add(p.slack - s.interval)
		if earliest := p.lastQuestion.Add(s.interval/4 + p.slack/4); urgent.Before(earliest) {
			urgent = earliest
		}
		if at.IsZero() || urgent.Before(at) {
			at = urgent
		}
	}
	return at
}

func (s *station) question(now time.Time, p *port) {
	s.noteQuestion(now, p)
	if p.asksLeft--; p.asksLeft > 0 {
		p.askAt = s.repeatAt(now, p.asksLeft)
	}
	p.asksLeft = max(p.asksLeft, 0)
	data, err := packQuestion(s.table.known(now, p.link.index))
	if err == nil {
		s.out = append(s.out, outgoing{link: p.link, data: data})
	}
}

func (s *station) speak(now time.Time, p *port) {
	p.answerAt = time.Time{}
	p.lastAnswer = now
	s.send(p, reply{ttl: seconds(s.lease)})
}

func (s *station) speakMeta(now time.Time, p *port) {
	p.metaAt = time.Time{}
	p.lastMeta = now
	if data, err := packMeta(seconds(s.lease)); err == nil {
		s.out = append(s.out, outgoing{link: p.link, data: data})
	}
}

func (s *station) send(p *port, r reply) {
	if data, err := p.announced.pack(r); err == nil {
		s.out = append(s.out, outgoing{link: p.link, data: data})
	}
}

// takeOut returns what is to be sent.
func (s *station) takeOut() []outgoing {
	out := s.out
	s.out = nil
	return out
}

// unsent plans another announcement in place of a packet that could not be sent.
func (s *station) unsent(now time.Time, o outgoing) {
	p := s.ports[o.link.index]
	if p != nil && p.speaks && p.announceAt.IsZero() {
		p.announceAt, p.announcesLeft = now.Add(s.interval/2), 1
	}
}

// next is when tick has something to do; zero when it has nothing.
func (s *station) next() time.Time {
	first := s.table.nextExpiry()
	for _, p := range s.ports {
		first = sooner(first, sooner(p.announceAt, sooner(p.answerAt, p.metaAt)))
		if s.asking {
			first = sooner(first, s.askTime(p))
		}
	}
	return first
}

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
