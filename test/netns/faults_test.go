package netns

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/syncbase/syncbase/sdk/client"
)

const (
	// during is how many writes each device makes while a fault lasts.
	during = 50
	// noticing is how long a daemon may take to find that a peer is silent: pings tell after 20 seconds.
	noticing = time.Minute
	// burstRows of burstBytes each are what a slow line has to carry.
	burstRows, burstBytes = 200, 1 << 10
)

// fault does harm for a while and mends it. It says what it did.
type fault func(*stage) string

// faults are all kinds, in no order.
var faults = []fault{cutOff, muted, killed, frozen, resets, slowLines, cutAndKilled}

// cutOff takes one or two devices off the hub, at either end of their cables: each is alone then.
func cutOff(s *stage) string {
	victims := s.pick(1 + s.random.IntN(2))
	ownEnd := s.random.IntN(2) == 0
	s.cut(victims, ownEnd)
	s.progress(during, s.nodes...)
	if s.random.IntN(3) == 0 {
		s.notices(s.others(victims...), victims)
	}
	s.mend(victims, ownEnd)
	return fmt.Sprintf("%s cut off, own end %t", list(victims), ownEnd)
}

func (s *stage) cut(victims []*node, ownEnd bool) {
	for _, v := range victims {
		if ownEnd {
			v.machine.Cut(s.t)
		} else {
			s.hub.Cut(s.t, v.machine)
		}
	}
}

func (s *stage) mend(victims []*node, ownEnd bool) {
	for _, v := range victims {
		if ownEnd {
			v.machine.Mend(s.t)
		} else {
			s.hub.Mend(s.t, v.machine)
		}
	}
}

// notices waits until none of the devices has a link with any of the victims.
func (s *stage) notices(who, victims []*node) time.Duration {
	s.t.Helper()
	return s.await("nobody has a link with "+list(victims), noticing, func() (bool, string) {
		for _, n := range who {
			for _, v := range victims {
				if n.connectedTo(s.t, v) {
					return false, n.name + " has one with " + v.name
				}
			}
		}
		return true, ""
	})
}

// muted loses what one device sends, to one other or to all, while it hears them. If it is to one, the others pass on what
// the two write.
func muted(s *stage) string {
	who := s.nodes[s.random.IntN(len(s.nodes)-1)].machine
	var unheard []string
	for _, n := range s.nodes {
		if n.machine != who && !hasLines(s.number(who), s.number(n.machine)) {
			unheard = append(unheard, n.machine.Address)
		}
	}
	if one := s.random.IntN(2) == 0; one {
		unheard = unheard[:1]
	} else {
		unheard = append(unheard, s.hub.Address)
	}
	for _, address := range unheard {
		who.Mute(s.t, address)
	}
	s.progress(during, s.nodes...)
	around := ""
	if len(unheard) == 1 {
		around = fmt.Sprintf("; all marks went around it in %v", s.reachAll(s.nodes).Round(time.Millisecond))
	}
	for _, address := range unheard {
		who.Unmute(s.t, address)
	}
	return fmt.Sprintf("%s not heard by %s%s", s.nodes[s.number(who)].name, strings.Join(unheard, " "), around)
}

// number is the place of a machine.
func (s *stage) number(m *Machine) int {
	for i, n := range s.nodes {
		if n.machine == m {
			return i
		}
	}
	s.t.Fatal("no such machine")
	return -1
}

// killed ends one or two daemons while they write, and starts them again.
func killed(s *stage) string {
	victims := s.pick(1 + s.random.IntN(2))
	s.progress(during, victims...)
	for _, v := range victims {
		v.kill(s.t)
	}
	s.progress(during, s.others(victims...)...)
	for _, v := range victims {
		v.start(s.t)
	}
	s.progress(during, victims...)
	return list(victims) + " killed"
}

// cutAndKilled kills a device that is cut off, so that nobody but its disk knows what it acknowledged.
func cutAndKilled(s *stage) string {
	victim := s.pick(1)
	s.cut(victim, false)
	s.progress(during, s.nodes...)
	victim[0].kill(s.t)
	s.progress(during, s.others(victim...)...)
	victim[0].start(s.t)
	s.progress(during, victim...)
	s.mend(victim, false)
	return list(victim) + " cut off and killed"
}

// frozen stops a daemon for so long that the others give it up, while its connections stay.
func frozen(s *stage) string {
	victim := s.pick(1)
	victim[0].signal(s.t, syscall.SIGSTOP)
	others := s.others(victim...)
	noticed := s.notices(others, victim)
	s.progress(during, others...)
	victim[0].signal(s.t, syscall.SIGCONT)
	return fmt.Sprintf("%s frozen, noticed by all after %v", list(victim), noticed.Round(100*time.Millisecond))
}

// resets ends all connections of all lines again and again.
func resets(s *stage) string {
	const storms = 10
	count := 0
	for range storms {
		hit := 0
		s.await("there is a connection to reset", noticing, func() (bool, string) {
			for _, l := range s.lines {
				hit += l.Reset()
			}
			return hit > 0, ""
		})
		count += hit
	}
	s.progress(during, s.nodes...)
	return fmt.Sprintf("%d connections reset in %d storms", count, storms)
}

// slowLines makes all lines slow and late. The device that has nothing else gets everything through them.
func slowLines(s *stage) string {
	last := s.nodes[len(s.nodes)-1]
	carried, received := s.carried(), last.received(s.t)
	for _, l := range s.lines {
		l.Set(Quality{Delay: 200 * time.Millisecond, Rate: 64 << 10})
	}
	s.burst()
	took := s.reachAll(s.nodes)
	for _, l := range s.lines {
		l.Set(Quality{Delay: time.Duration(s.random.IntN(20)) * time.Millisecond})
	}
	return fmt.Sprintf("%d KiB and all marks reached all in %v with lines of 64 KiB/s and 200 ms; all lines carried %d KiB, %s, which has no others, received %d KiB",
		burstRows*burstBytes>>10, took.Round(time.Millisecond), (s.carried()-carried)>>10, last.name, (last.received(s.t)-received)>>10)
}

func (s *stage) carried() (sum int64) {
	for _, l := range s.lines {
		sum += l.Carried()
	}
	return sum
}

// burst writes much at once on the first device, which has a slow line to the last.
func (s *stage) burst() {
	s.t.Helper()
	w := s.writers[0]
	var ops []client.Op
	for i := range burstRows {
		key := fmt.Sprintf("%s/burst/%d/%d", w.name, s.rounds, i)
		// Text that does not become smaller on its way.
		value := make([]byte, 0, burstBytes)
		for value = append(value, '"'); len(value) < burstBytes-1; {
			value = append(value, byte('0'+s.random.IntN(75)))
			if c := value[len(value)-1]; c == '\\' || c == '"' {
				value[len(value)-1] = '_'
			}
		}
		value = append(value, '"')
		op, err := w.collection().PutOp(key, json.RawMessage(value))
		if err != nil {
			s.t.Fatal(err)
		}
		ops = append(ops, op)
		w.mu.Lock()
		w.rows[key] = &record{acked: string(value)}
		w.mu.Unlock()
	}
	if _, err := w.database().Commit(s.t.Context(), ops...); err != nil {
		s.t.Fatalf("burst on %s: %v", w.name, err)
	}
}

func list(nodes []*node) string {
	var names []string
	for _, n := range nodes {
		names = append(names, n.name)
	}
	return strings.Join(names, " and ")
}
