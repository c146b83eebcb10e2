package hosttest_test

import (
	"math/rand/v2"
	"slices"
	"time"

	peerv1 "github.com/syncbase/syncbase/sdk/api/peer/v1"
)

// weather puts between the steps of half of the histories what a network does to who sends: what is sent is lost and sent again,
// arrives after what was sent later over a newer connection, or is asked twice. It has a source of chance of its own, so that a
// seed stands for what it stood for before.
func (d *draft) weather() {
	d.random = rand.New(rand.NewPCG(d.Seed, 13))
	if d.yes() {
		return
	}
	var all []step
	for _, p := range d.Steps {
		if d.random.IntN(8) == 0 {
			all = append(all, d.gust())
		}
		all = append(all, p)
	}
	d.Steps = all
}

func (d *draft) gust() step {
	p := d.two(oneOf(d, doLose, doStrand, doAskAgain))
	switch p.Do {
	case doLose:
		p.N = oneOf(d, 0, 2, 10, 40)
	case doStrand:
		p.N, p.Off = d.random.IntN(2000), time.Duration(d.random.Int64N(int64(40*time.Second)))
	default:
		p.N = d.random.Int()
	}
	p.Looked = [2]string{oneOf(d, d.Hosts...), oneOf(d, d.Hosts...)}
	p.Pause = d.pause()
	return p
}

// pulledAgain tells whether somebody was asked for the same pull again.
func (s *simulation) pulledAgain() bool {
	return slices.Contains(s.asked, peerv1.PeerService_Pull_FullMethodName)
}

// blow lets it happen.
func (s *simulation) blow(p step) {
	s.t.Helper()
	switch p.Do {
	case doLose:
		s.tell("lose %d of 100 from %s to %s", p.N, p.Host, p.Other)
		s.c.Lose(p.Host, p.Other, float64(p.N)/100)
	case doStrand:
		s.tell("strand what %s sends to %s for %d ms, which comes %s late", p.Host, p.Other, p.N, p.Off)
		s.c.Strand(p.Host, p.Other, time.Duration(p.N)*time.Millisecond, p.Off)
	default:
		s.asked = append(s.asked, s.c.AskAgain(p.Host, p.Other, rand.New(rand.NewPCG(uint64(p.N), 1)))...)
		s.tell("%s asks %s again, by now %v", p.Host, p.Other, s.asked)
	}
}
