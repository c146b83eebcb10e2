package discoverymdns

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// steady is a station on one link that announces itself and has no more to say unasked.
func steady() (*station, time.Time) {
	now := time.Unix(1000, 0)
	s := newStation(interval, func() float64 { return 0.5 })
	s.setLinks(now, []link{eth(1, 1)})
	s.announce(now, advertOf("me"))
	for range 10 {
		s.tick(now)
		now = now.Add(time.Second)
	}
	s.takeOut()
	return s, now
}

// run ticks whenever the station wants it, until the time is over, and returns what it sent.
func (s *station) run(from time.Time, span time.Duration) []outgoing {
	end := from.Add(span)
	for {
		at := s.next()
		if at.IsZero() || at.After(end) {
			return s.takeOut()
		}
		s.tick(at)
	}
}

// from makes an arrival on the first link.
func from(t *testing.T, sender string, data []byte, err error) arrival {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return arrival{link: 1, from: netip.MustParseAddrPort(sender), data: data}
}

func questionFrom(t *testing.T, sender string, known ...knownAnswer) arrival {
	t.Helper()
	data, err := packQuestion(known)
	return from(t, sender, data, err)
}

// answerFrom is what another node announces.
func answerFrom(t *testing.T, sender, name string, ttl uint32) arrival {
	t.Helper()
	a, _ := newAnnouncement(advertOf(name), eth(1, 2))
	data, err := a.pack(reply{ttl: ttl})
	return from(t, sender, data, err)
}

func TestAnswersAreLimited(t *testing.T) {
	s, now := steady()
	for i := range 10000 {
		s.receive(now.Add(time.Duration(i)*100*time.Microsecond), questionFrom(t, "10.0.1.2:5353"))
	}
	if sent := s.run(now, 3*time.Second); len(sent) != 1 {
		t.Errorf("%d answers to a storm of one second", len(sent))
	}
	for range 10000 {
		s.receive(now, questionFrom(t, "10.0.1.2:40000"))
	}
	if sent := s.takeOut(); len(sent) != repliesPerGap {
		t.Errorf("%d replies to a storm from one asker, want %d", len(sent), repliesPerGap)
	}
}

func TestKnownAnswersAreNotRepeated(t *testing.T) {
	me := instanceLabel([]byte("me"))
	for _, c := range []struct {
		name  string
		known []knownAnswer
		want  int
	}{
		{"nothing known", nil, 1},
		{"known", []knownAnswer{{me, 29}}, 0},
		{"known for too short", []knownAnswer{{me, 14}}, 1},
		{"others known", []knownAnswer{{instanceLabel([]byte("other")), 29}}, 1},
	} {
		s, now := steady()
		s.receive(now, questionFrom(t, "10.0.1.2:5353", c.known...))
		if sent := s.run(now, time.Minute); len(sent) != c.want {
			t.Errorf("%s: %d answers, want %d", c.name, len(sent), c.want)
		}
	}
}

func TestOnlyNeighboursAreHeard(t *testing.T) {
	for _, c := range []struct {
		name, sender string
		want         int
	}{
		{"a neighbour", "10.0.1.2:5353", 1},
		{"a stranger", "192.0.2.2:5353", 0},
		{"another port", "10.0.1.2:5354", 0},
	} {
		s, now := steady()
		s.receive(now, answerFrom(t, c.sender, "other", 30))
		if got := len(s.table.changes()); got != c.want {
			t.Errorf("%s: %d changes, want %d", c.name, got, c.want)
		}
	}
	s, now := steady()
	s.receive(now, questionFrom(t, "192.0.2.2:5353"))
	s.receive(now, questionFrom(t, "192.0.2.2:40000"))
	if sent := s.run(now, time.Minute); len(sent) > 0 {
		t.Errorf("%d answers to a stranger", len(sent))
	}
}

func TestOwnAnnouncementsAreNotHeard(t *testing.T) {
	s, now := steady()
	s.receive(now, answerFrom(t, "10.0.1.1:5353", "me", 30))
	if got := s.table.changes(); len(got) > 0 {
		t.Errorf("the node sees itself: %+v", got)
	}
}

// TestOwnNameSeenBefore has the node begin to announce under a name that is in the table already.
func TestOwnNameSeenBefore(t *testing.T) {
	now := time.Unix(1000, 0)
	s := newStation(interval, func() float64 { return 0 })
	s.setLinks(now, []link{eth(1, 1)})
	s.receive(now, answerFrom(t, "10.0.1.2:5353", "me", 30))
	if got := s.table.changes(); len(got) != 1 || !got[0].seen {
		t.Fatalf("%+v", got)
	}
	s.announce(now, advertOf("me"))
	if got := s.table.changes(); len(got) != 1 || got[0].seen {
		t.Errorf("the node still sees itself: %+v", got)
	}
}

// TestInstanceHasToMatch keeps one node from speaking under the label of another.
func TestInstanceHasToMatch(t *testing.T) {
	s, now := steady()
	a, _ := newAnnouncement(advertOf("other"), eth(1, 2))
	a.instance = "printer"
	data, err := a.pack(reply{ttl: 30})
	s.receive(now, from(t, "10.0.1.2:5353", data, err))
	if got := s.table.changes(); len(got) > 0 || s.dropped != 1 {
		t.Errorf("heard %+v, dropped %d", got, s.dropped)
	}
}

func TestTableIsBounded(t *testing.T) {
	s, now := steady()
	for i := range maxNodes + 100 {
		s.receive(now, answerFrom(t, "10.0.1.2:5353", fmt.Sprintf("flood-%d", i), 30))
	}
	if len(s.table.nodes) != maxNodes || s.table.refused != 100 {
		t.Errorf("%d nodes, %d refused", len(s.table.nodes), s.table.refused)
	}
	s.tick(now.Add(s.lease))
	if len(s.table.nodes) != 0 {
		t.Errorf("%d nodes after their leases", len(s.table.nodes))
	}
	s.table.changes()
	s.receive(now.Add(s.lease), answerFrom(t, "10.0.1.2:5353", "late", 30))
	if got := s.table.changes(); len(got) != 1 {
		t.Errorf("there is room again, but %+v", got)
	}
}

// TestRepetitionMakesNoNoise has a neighbour repeat itself all the time.
func TestRepetitionMakesNoNoise(t *testing.T) {
	s, now := steady()
	changes := 0
	for i := range 1000 {
		at := now.Add(time.Duration(i) * 10 * time.Millisecond)
		s.receive(at, answerFrom(t, "10.0.1.2:5353", "other", 30))
		changes += len(s.table.changes())
	}
	if changes > 3 {
		t.Errorf("%d reports within one interval", changes)
	}
}

// TestQuestionsThatAreOursToAnswer asks as other tools do.
func TestQuestionsThatAreOursToAnswer(t *testing.T) {
	me := instanceLabel([]byte("me"))
	for _, c := range []struct {
		name string
		kind dnsmessage.Type
		want dnsmessage.Type
	}{
		{serviceName, dnsmessage.TypePTR, dnsmessage.TypePTR},
		{strings.ToUpper(serviceName), dnsmessage.TypePTR, dnsmessage.TypePTR},
		{serviceName, dnsmessage.TypeALL, dnsmessage.TypePTR},
		{serviceName, dnsmessage.TypeTXT, 0},
		{me + "." + serviceName, dnsmessage.TypeSRV, dnsmessage.TypeSRV},
		{me + "." + serviceName, dnsmessage.TypeTXT, dnsmessage.TypeTXT},
		{me + "." + domain, dnsmessage.TypeA, dnsmessage.TypeA},
		{metaName, dnsmessage.TypePTR, dnsmessage.TypePTR},
		{"_http._tcp.local.", dnsmessage.TypePTR, 0},
		{"other." + serviceName, dnsmessage.TypeSRV, 0},
	} {
		s, now := steady()
		q := dnsmessage.Message{Questions: []dnsmessage.Question{{
			Name: dnsmessage.MustNewName(c.name), Type: c.kind, Class: dnsmessage.ClassINET | flushBit,
		}}}
		data, err := q.Pack()
		s.receive(now, from(t, "10.0.1.2:5353", data, err))
		sent := s.run(now, time.Minute)
		if c.want == 0 {
			if len(sent) > 0 {
				t.Errorf("%s %v is answered", c.name, c.kind)
			}
			continue
		}
		var m dnsmessage.Message
		if len(sent) != 1 || m.Unpack(sent[0].data) != nil {
			t.Errorf("%s %v: %d answers", c.name, c.kind, len(sent))
			continue
		}
		found := false
		for _, r := range m.Answers {
			found = found || r.Header.Type == c.want && strings.EqualFold(r.Header.Name.String(), c.name)
		}
		if !found {
			t.Errorf("%s %v is not in the answer %v", c.name, c.kind, m.Answers)
		}
	}
}

// TestAskerFromAnotherPort gets an answer for itself, as resolvers expect it.
func TestAskerFromAnotherPort(t *testing.T) {
	s, now := steady()
	q := dnsmessage.Message{Header: dnsmessage.Header{ID: 4711}, Questions: []dnsmessage.Question{{
		Name: dnsmessage.MustNewName(serviceName), Type: dnsmessage.TypePTR, Class: dnsmessage.ClassINET,
	}}}
	data, err := q.Pack()
	asker := from(t, "10.0.1.2:40000", data, err)
	s.receive(now, asker)
	sent := s.takeOut()
	var m dnsmessage.Message
	if len(sent) != 1 || sent[0].to != asker.from || m.Unpack(sent[0].data) != nil {
		t.Fatalf("sent %+v", sent)
	}
	if m.ID != 4711 || len(m.Questions) != 1 {
		t.Errorf("the answer has id %d and questions %v", m.ID, m.Questions)
	}
	for _, r := range m.Answers {
		if r.Header.TTL > maxLegacyTTL || r.Header.Class != dnsmessage.ClassINET {
			t.Errorf("%v is not for a resolver", r.Header)
		}
	}
}

func TestNothingIsSentBeforeItIsWanted(t *testing.T) {
	now := time.Unix(1000, 0)
	s := newStation(interval, func() float64 { return 0 })
	s.setLinks(now, []link{eth(1, 1)})
	s.receive(now, questionFrom(t, "10.0.1.2:5353"))
	s.withdraw()
	if sent := s.run(now, time.Hour); len(sent) > 0 {
		t.Errorf("%d packets from a node that neither announces nor asks", len(sent))
	}
}

// TestOthersAskInVain has somebody ask all the time, so that our own questions are put off, while the answers to it do
// not reach us: we have to ask ourselves before the sighting ends.
func TestOthersAskInVain(t *testing.T) {
	s, now := steady()
	s.ask(now, true)
	s.run(now, interval)
	now = now.Add(interval)
	s.receive(now, answerFrom(t, "10.0.1.2:5353", "other", 30))
	asked := time.Duration(0)
	for age := time.Duration(0); age < s.lease && asked == 0; age += time.Second {
		s.receive(now.Add(age), questionFrom(t, "10.0.1.3:5353", knownAnswer{instanceLabel([]byte("me")), 29}))
		if len(s.run(now.Add(age), time.Second-1)) > 0 {
			asked = age
		}
	}
	if asked < s.interval || asked > s.lease-s.interval/4 {
		t.Errorf("we ask %v after the sighting, it holds %v", asked, s.lease)
	}
}

func TestUnsentAnnouncementIsRepeated(t *testing.T) {
	s, now := steady()
	if sent := s.run(now, time.Hour); len(sent) > 0 {
		t.Fatalf("%d packets from a steady station", len(sent))
	}
	s.unsent(now, outgoing{link: eth(1, 1)})
	s.unsent(now, outgoing{link: eth(2, 1)})
	if sent := s.run(now, interval); len(sent) != 1 {
		t.Errorf("%d announcements in place of one that was not sent", len(sent))
	}
}

func TestKnownAnswersAreFresh(t *testing.T) {
	now := time.Unix(1000, 0)
	tab := newTable()
	tab.see(now, eth(1, 1), "old", advertOf("old"), 30*time.Second)
	tab.see(now.Add(10*time.Second), eth(1, 1), "new", advertOf("new"), 30*time.Second)
	tab.see(now.Add(10*time.Second), eth(2, 1), "elsewhere", advertOf("elsewhere"), 30*time.Second)
	got := tab.known(now.Add(16*time.Second), 1)
	if len(got) != 1 || got[0] != (knownAnswer{"new", 24}) {
		t.Errorf("known: %v", got)
	}
}

// TestSightingsOnTwoLinks holds as long as the longer one.
func TestSightingsOnTwoLinks(t *testing.T) {
	now := time.Unix(1000, 0)
	tab := newTable()
	tab.see(now, eth(2, 1), "x", advertOf("x"), time.Minute)
	tab.see(now.Add(time.Second), eth(1, 1), "x", advertOf("x"), 30*time.Second)
	if c := tab.current("x"); c.source != "eth1" || !c.expires.Equal(now.Add(time.Minute)) {
		t.Errorf("merged: %+v", c)
	}
	if first := tab.nextExpiry(); !first.Equal(now.Add(31 * time.Second)) {
		t.Errorf("the first one ends at %v", first)
	}
	tab.lose(now, eth(1, 1), "x")
	if c := tab.current("x"); !c.seen || c.source != "eth2" {
		t.Errorf("after the loss of one: %+v", c)
	}
}
