package engine

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// detour is how much later what passes through b reaches c than what comes from a.
const detour = 10 * time.Millisecond

// triangle is three devices of which c pulls from a, and from b, which pulls from a.
type triangle struct {
	t       *testing.T
	a, b, c *device
	// cut stops what a sends to c. Sent counts commits that b has sent to c, told what c has told b.
	cut        atomic.Bool
	sent, told atomic.Int64
	// stopA ends the pull of c from a.
	stopA func()
}

// told counts what is said on a stream.
type told struct {
	Stream
	n *atomic.Int64
}

func (s told) Tell(e delta.Elsewhere) error {
	s.n.Add(1)
	return s.Stream.Tell(e)
}

func newTriangle(t *testing.T, bHoldsBack bool) *triangle {
	x := &triangle{t: t}
	t.Cleanup(func() { // last of all: the responders end after what they were sending
		x.cut.Store(false)
		time.Sleep(time.Second)
	})
	x.c = newDevice(t, "c")
	x.a, x.b = both(t)
	x.c.join("notes", x.a)
	x.b.follow(x.a, x.a.from(x.b, nil))
	synctest.Wait()
	x.stopA = x.c.follow(x.a, x.a.from(x.c, func(m delta.Message) (delta.Message, error) {
		for x.cut.Load() {
			time.Sleep(time.Millisecond)
		}
		return m, nil
	}))
	synctest.Wait()
	open := x.b.from(x.c, func(m delta.Message) (delta.Message, error) {
		x.sent.Add(int64(len(m.Commits)))
		time.Sleep(detour)
		return m, nil
	})
	b := x.b.peer()
	b.HoldsBack = bHoldsBack
	x.c.followAs(b, func(ctx context.Context, o delta.Open) (Stream, error) {
		s, err := open(ctx, o)
		return told{s, &x.told}, err
	})
	time.Sleep(time.Minute)
	x.sent.Store(0)
	return x
}

// write lets a write a row and returns how long it took to reach c.
func (x *triangle) write(by *device, key string) time.Duration {
	x.t.Helper()
	begun := time.Now()
	by.put("notes", key, `1`)
	for synctest.Wait(); x.c.get("notes", key) != `1`; synctest.Wait() {
		if time.Since(begun) > time.Minute {
			x.t.Fatalf("%s has not reached c", key)
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(begun)
}

// warm lets a write until c must have found out that b is the later one.
func (x *triangle) warm() {
	x.t.Helper()
	for i := range echoBytes / echoLeast {
		x.write(x.a, fmt.Sprint("warm", i))
		time.Sleep(time.Second)
	}
	x.sent.Store(0)
}

// What always comes sooner from elsewhere is not sent twice, and comes no later.
func TestEchoesAreHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTriangle(t, true)
		x.warm()
		for i := range 100 {
			if took := x.write(x.a, fmt.Sprint(i)); took != 0 {
				t.Errorf("change %d took %s", i, took)
			}
			time.Sleep([]time.Duration{time.Millisecond, 30 * time.Millisecond, time.Second}[i%3])
		}
		time.Sleep(time.Minute)
		if n := x.sent.Load(); n != 0 {
			t.Errorf("b sent %d of 100 changes that c had from a", n)
		}
	})
}

// A device from which nothing can be had any more delays one change by the patience of the others, and no further one.
func TestWhatDoesNotComeFromElsewhereIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTriangle(t, true)
		x.warm()
		x.cut.Store(true)
		if took := x.write(x.a, "first"); took < patience || took > patience+2*detour {
			t.Errorf("the first change after the cut took %s, want %s and little more", took, patience)
		}
		for i := range 3 {
			if took := x.write(x.a, fmt.Sprint(i)); took > 2*detour {
				t.Errorf("change %d after the cut took %s", i, took)
			}
		}
		x.cut.Store(false)
		time.Sleep(time.Minute)
		// It takes twice as many echoes to be believed again.
		for range 2 {
			x.warm()
			x.sent.Store(0)
		}
		if took := x.write(x.a, "healed"); took != 0 {
			t.Errorf("after the cut has healed a change took %s", took)
		}
		time.Sleep(time.Second)
		if n := x.sent.Load(); n != 0 {
			t.Errorf("b sent %d changes after the cut had healed", n)
		}
	})
}

// When the pull ends that brought everything first, nothing is held back any more.
func TestNothingIsHeldBackForWhoIsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTriangle(t, true)
		x.warm()
		x.stopA()
		synctest.Wait()
		if took := x.write(x.a, "k"); took > 2*detour {
			t.Errorf("a change took %s", took)
		}
	})
}

// What a device writes waits for nothing, and what it had seen before comes before it.
func TestWhatWasHeldBackGoesBeforeWhatFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTriangle(t, true)
		x.warm()
		x.cut.Store(true)
		x.a.put("notes", "cause", `1`)
		synctest.Wait()
		if got := x.b.get("notes", "cause"); got != `1` {
			t.Fatalf("b has %s", got)
		}
		if took := x.write(x.b, "effect"); took > 2*detour {
			t.Errorf("what b wrote took %s", took)
		}
		if got := x.c.get("notes", "cause"); got != `1` {
			t.Errorf("c has what b wrote, and of what it was made from %s", got)
		}
	})
}

// A peer that does not understand it is told nothing, and sends everything.
func TestOlderPeersAreNotAskedToHoldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTriangle(t, false)
		x.warm()
		for i := range 10 {
			x.write(x.a, fmt.Sprint(i))
		}
		time.Sleep(time.Minute)
		if n := x.sent.Load(); n != 10 || x.told.Load() != 0 {
			t.Errorf("b sent %d of 10 changes, and was told %d times", n, x.told.Load())
		}
	})
}

// Who gets something from one peer alone asks nobody to hold it back, however many others there are.
func TestOnlySourceIsNotHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newTriangle(t, true)
		for i := range 50 {
			if took := x.write(x.b, fmt.Sprint(i)); took > 2*detour {
				t.Errorf("change %d took %s", i, took)
			}
		}
		if n := x.told.Load(); n != 0 {
			t.Errorf("c told b %d times of what does not come from elsewhere", n)
		}
	})
}

func stepOf(scopes []id.Scope, writers ...id.Writer) (rows.Step, []*wire.Commit) {
	step := rows.Step{Scopes: scopes, Progress: []delta.ScopeVector{{}}}
	for _, w := range writers {
		step.Commits = append(step.Commits, wire.Commit{Writer: w})
	}
	var all []*wire.Commit
	for i := range step.Commits {
		all = append(all, &step.Commits[i])
	}
	return step, all
}

func TestRaceBetweenPulls(t *testing.T) {
	w, other := id.Writer{Device: id.Device{1}, Epoch: 1}, id.Writer{Device: id.Device{2}, Epoch: 1}
	wide := []id.Scope{notes, {Collection: collection("tasks")}}
	narrow := wide[:1]
	var f firsts
	heldBack := func(r *runner) []id.Writer {
		list, _, _ := f.heldBack(r)
		return list
	}
	early, late := f.enter(nil, Peer{HoldsBack: true}), f.enter(nil, Peer{HoldsBack: true})
	brings := func(r *runner, scopes []id.Scope, size uint64, echoes bool, writers ...id.Writer) {
		step, list := stepOf(scopes, writers...)
		if !echoes {
			list = nil
		}
		f.note(r, step, size, list)
	}
	expect := func(what string, want ...id.Writer) {
		t.Helper()
		if got := heldBack(late); !slices.Equal(got, want) {
			t.Errorf("%s: %v held back, want %v", what, got, want)
		}
	}
	for range 7 {
		brings(early, wide, 100, false, w)
		brings(late, wide, 100, true, w)
	}
	expect("7 echoes")
	_, _, changed := f.heldBack(late)
	brings(late, wide, 100, true, w)
	expect("8 echoes", w)
	select {
	case <-changed:
	default:
		t.Error("nobody is told that there is something to hold back")
	}
	brings(late, wide, 100, false, w)
	expect("wrongly held back")
	brings(early, wide, 100, false, w)
	for range 15 {
		brings(late, wide, 100, true, w)
	}
	expect("15 more echoes")
	brings(late, wide, 100, true, w)
	expect("16 more echoes", w)

	brings(early, wide, echoBytes, false, other)
	brings(late, wide, echoBytes, true, other)
	expect("a large echo", w, other)
	f.leave(nil, early)
	expect("alone")

	early = f.enter(nil, Peer{HoldsBack: true})
	for range 100 {
		brings(early, narrow, 100, false, w)
		brings(late, wide, 100, true, w)
	}
	expect("who comes first does not share everything")
	brings(early, wide, 100, false, w)
	brings(late, wide, 100, true, w)
	expect("who comes first shares everything", w)
	if got := heldBack(early); len(got) != 0 {
		t.Errorf("%v held back by who comes first", got)
	}
	for range 30 {
		brings(late, wide, 100, false, w)
		brings(early, wide, 1, false, w)
		brings(late, wide, maxEchoBytes, true, w)
	}
	if got := late.echoes[w].limit; got != maxEchoBytes {
		t.Errorf("after 30 errors the limit is %d, want %d", got, maxEchoBytes)
	}
	expect("after 30 errors and as many echoes", w)
	for range 2 {
		brings(early, wide, maxEchoBytes-echoLeast, false, w)
		if got := late.echoes[w].limit; got != maxEchoBytes {
			t.Errorf("before it proved right for long enough the limit is %d, want %d", got, maxEchoBytes)
		}
		brings(early, wide, echoLeast, false, w)
		if got := late.echoes[w].limit; got != maxEchoBytes/2 {
			t.Errorf("when it proved right the limit is %d, want %d", got, maxEchoBytes/2)
		}
		brings(late, wide, 100, false, w)
		brings(early, wide, 100, false, w)
		brings(late, wide, maxEchoBytes, true, w)
	}
	for range 100 {
		brings(early, wide, maxEchoBytes, false, w)
	}
	if got := late.echoes[w].limit; got != echoBytes {
		t.Errorf("when it proved right for long the limit is %d, want %d", got, echoBytes)
	}
}

// What a pull catches up on is no echo, and one that is first as often as not is not asked to hold back.
func TestWhatIsNoEcho(t *testing.T) {
	w := id.Writer{Device: id.Device{1}, Epoch: 1}
	var f firsts
	early, late := f.enter(nil, Peer{HoldsBack: true}), f.enter(nil, Peer{HoldsBack: true})
	fresh, echoed := stepOf([]id.Scope{notes}, w)
	f.note(early, fresh, 100, nil)
	missed := fresh
	missed.Progress = nil
	for range 100 {
		f.note(late, missed, 100, echoed)
	}
	if list, _, _ := f.heldBack(late); len(list) > 0 {
		t.Errorf("%v held back for what was caught up on", list)
	}
	for range 100 {
		f.note(early, fresh, 100, nil)
		f.note(late, fresh, 100, echoed)
		if list, _, _ := f.heldBack(late); len(list) > 0 {
			t.Fatalf("%v held back although the pull is first as often as not", list)
		}
		f.note(late, fresh, 100, nil)
		f.note(early, fresh, 100, echoed)
	}
}

// What was told is not told again, but for a writer who was not held back meanwhile; and of much only a part at a time.
func TestUntold(t *testing.T) {
	a, b := id.Writer{Device: id.Device{1}}, id.Writer{Device: id.Device{2}}
	scopes := []id.Scope{notes, {Collection: collection("tasks")}}
	know := delta.NewKnowledge(id.Version{})
	for _, s := range scopes {
		know.Track(s)
	}
	know.Advance(notes, id.Vector{a: 1, b: 2})
	told := map[id.Scope]id.Vector{}
	expect := func(what string, writers []id.Writer, want ...delta.ScopeVector) {
		t.Helper()
		forgetOthers(told, writers)
		if diff := cmp.Diff(want, untold(know, scopes, writers, told)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	expect("first", []id.Writer{a, b}, delta.ScopeVector{Scope: notes, Vector: id.Vector{a: 1, b: 2}})
	expect("nothing new", []id.Writer{a, b})
	know.Advance(scopes[1], id.Vector{b: 7})
	expect("without a", []id.Writer{b}, delta.ScopeVector{Scope: scopes[1], Vector: id.Vector{b: 7}})
	expect("with a again", []id.Writer{a, b}, delta.ScopeVector{Scope: notes, Vector: id.Vector{a: 1}})

	var many []id.Writer
	all := id.Vector{}
	for i := range uint32(maxTold + 1) {
		many = append(many, id.Writer{Epoch: i + 1})
		all[many[i]] = 1
	}
	for _, s := range scopes {
		know.Advance(s, all)
	}
	for _, want := range []int{maxTold, maxTold, 2, 0} {
		n := 0
		for _, k := range untold(know, scopes, many, told) {
			n += len(k.Vector)
		}
		if n != want {
			t.Errorf("%d entries are told, want %d", n, want)
		}
	}
}
