package supervise

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"
)

// TestTranscripts feeds events to a machine as scripts say. Each command is an event, with the arguments reason=, output=, grace=
// and attempt= (the present one if absent); "wait 5s" lets time pass and ticks whenever the machine asked for it. The
// answer shows the time, the actions and the state.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		script := &script{now: time.Unix(0, 0)}
		script.machine = New(func() float64 { return 0.5 })
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			return script.run(t, d)
		})
	})
}

type script struct {
	machine *Machine
	now     time.Time
	out     strings.Builder
}

func (s *script) run(t *testing.T, d *datadriven.TestData) string {
	s.out.Reset()
	if d.Cmd == "wait" {
		span, err := time.ParseDuration(d.CmdArgs[0].Key)
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		s.wait(span)
	} else {
		s.event(t, d)
	}
	fmt.Fprintf(&s.out, "%v", s.machine.State())
	if reason := s.machine.Reason(); reason != "" {
		fmt.Fprintf(&s.out, ": %s", reason)
	}
	if next, ok := s.machine.Next(); ok {
		fmt.Fprintf(&s.out, " [next in %v]", next.Sub(s.now))
	}
	return s.out.String() + "\n"
}

func (s *script) event(t *testing.T, d *datadriven.TestData) {
	ev := Event{Attempt: s.machine.Attempt()}
	kinds := map[string]EventKind{}
	for k := Start; k <= Sick; k++ {
		kinds[k.String()] = k
	}
	kind, ok := kinds[d.Cmd]
	if !ok {
		d.Fatalf(t, "no event %q", d.Cmd)
	}
	ev.Kind = kind
	var grace string
	d.MaybeScanArgs(t, "reason", &ev.Reason)
	d.MaybeScanArgs(t, "output", &ev.Output)
	d.MaybeScanArgs(t, "attempt", &ev.Attempt)
	if d.MaybeScanArgs(t, "grace", &grace); grace != "" {
		var err error
		if ev.Grace, err = time.ParseDuration(grace); err != nil {
			d.Fatalf(t, "%v", err)
		}
	}
	s.handle(ev)
}

func (s *script) wait(span time.Duration) {
	end := s.now.Add(span)
	for {
		next, ok := s.machine.Next()
		if !ok || next.After(end) {
			s.now = end
			return
		}
		s.now = next
		s.handle(Event{Kind: Tick})
	}
}

func (s *script) handle(ev Event) {
	for _, action := range s.machine.Handle(s.now, ev) {
		fmt.Fprintf(&s.out, "%v %v", s.now.Sub(time.Unix(0, 0)), action.Kind)
		if action.Timeout > 0 {
			fmt.Fprintf(&s.out, " within %v", action.Timeout)
		}
		s.out.WriteString("\n")
	}
}

// TestStopAlwaysEnds: whatever happened before, and if nobody ever answers again, a stop ends within the sum of its
// deadlines.
func TestStopAlwaysEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := New(func() float64 { return rapid.Float64Range(0, 0.999).Draw(t, "jitter") })
		now := time.Unix(0, 0)
		for range rapid.IntRange(0, 60).Draw(t, "events") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "pause")))
			kind := EventKind(rapid.SampledFrom([]EventKind{Start, Tick, Done, Done, Failed, Exited, Healthy, Sick}).Draw(t, "kind"))
			m.Handle(now, Event{Kind: kind, Attempt: m.Attempt(), Reason: "r"})
			if next, ok := m.Next(); m.State() != Stopped && !ok && !m.probing {
				t.Fatalf("state %v waits without a deadline (%v)", m.State(), next)
			}
		}
		started := now
		m.Handle(now, Event{Kind: Stop, Grace: 10 * time.Second})
		for m.State() != Stopped {
			next, ok := m.Next()
			if !ok {
				t.Fatalf("stuck in %v", m.State())
			}
			now = next
			m.Handle(now, Event{Kind: Tick})
		}
		if took := now.Sub(started); took > 10*time.Second+drainMargin+terminateTimeout+killTimeout {
			t.Fatalf("stop took %v", took)
		}
	})
}

// TestActionsMatchProcess: a driver that follows the rules is never asked to talk to a process that does not exist, nor
// to run two at a time.
func TestActionsMatchProcess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := New(func() float64 { return 0.5 })
		now := time.Unix(0, 0)
		spawning, alive := false, false
		handle := func(ev Event) {
			for _, a := range m.Handle(now, ev) {
				switch a.Kind {
				case Spawn:
					if spawning || alive {
						t.Fatal("spawned a second process")
					}
					spawning = true
				case Describe, Configure, Publish, Probe, Drain, Terminate:
					if !alive {
						t.Fatalf("%v without a process", a.Kind)
					}
				case Kill:
					if !alive && !spawning {
						t.Fatal("kill without a process")
					}
				case Abandon:
					spawning, alive = false, false
				}
			}
		}
		handle(Event{Kind: Start})
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(12*time.Second)).Draw(t, "pause")))
			ev := Event{Attempt: m.Attempt(), Reason: "r"}
			switch choice := rapid.IntRange(0, 9).Draw(t, "choice"); {
			case spawning && choice < 4:
				spawning, alive = false, true
				ev.Kind = Done
			case spawning && choice < 6:
				spawning = false
				ev.Kind = Failed
			case alive && choice == 0:
				alive = false
				ev.Kind = Exited
			case choice < 7 && !spawning:
				ev.Kind = rapid.SampledFrom([]EventKind{Done, Done, Healthy, Sick, Failed}).Draw(t, "answer")
				if m.State() == Ready || m.State() == Unhealthy {
					ev.Kind = rapid.SampledFrom([]EventKind{Healthy, Sick}).Draw(t, "health")
				}
			case choice == 9 && rapid.IntRange(0, 20).Draw(t, "stop") == 0:
				ev.Kind = Stop
			default:
				ev.Kind = Tick
			}
			handle(ev)
		}
	})
}
