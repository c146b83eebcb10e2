package sched

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/id"
)

// world is everything outside the scheduler: who holds what, and what is under way.
type world struct {
	t     *rapid.T
	s     *Scheduler
	opts  Options
	now   time.Time
	up    map[id.Device]bool
	holds map[id.Device]map[string]bool
	sizes map[string][]int64
	// pending are actions without an answer.
	pending []Action
	got     map[string]map[int]bool
	whole   map[string]bool
}

func newWorld(t *rapid.T) *world {
	w := &world{
		t: t, now: time.Unix(0, 0),
		opts:  Options{Self: id.Device{9}, Parallel: rapid.IntRange(1, 4).Draw(t, "parallel"), Window: rapid.Int64Range(5, 60).Draw(t, "window")},
		up:    make(map[id.Device]bool),
		holds: make(map[id.Device]map[string]bool),
		sizes: make(map[string][]int64),
		got:   make(map[string]map[int]bool),
		whole: make(map[string]bool),
	}
	for n := range 8 {
		ref := fmt.Sprint("r", n)
		w.sizes[ref] = rapid.SliceOfN(rapid.Int64Range(1, 12), 0, 12).Draw(t, ref)
	}
	for n := range byte(4) {
		w.holds[id.Device{n}] = make(map[string]bool)
		for _, ref := range slices.Sorted(maps.Keys(w.sizes)) {
			w.holds[id.Device{n}][ref] = rapid.Bool().Draw(t, "holds")
		}
	}
	w.s = New(w.opts)
	return w
}

func (w *world) handle(e Event) {
	w.s.Handle(w.now, e)
	w.next()
}

// next takes actions and checks what must hold of them.
func (w *world) next() {
	for _, a := range w.s.Next(w.now) {
		if slices.Contains(w.pending, a) {
			w.t.Fatalf("%v is under way already", a)
		}
		peer, asks := peerOf(a)
		if asks && !w.up[peer] {
			w.t.Fatalf("%v asks a peer that is not up", a)
		}
		if p, ok := a.(GetPiece); ok {
			w.checkPiece(p)
		}
		w.pending = append(w.pending, a)
	}
	w.checkBounds()
	if more := w.s.Next(w.now); len(more) > 0 {
		w.t.Fatalf("asked again at once, it says more: %v", more)
	}
	if d, found := w.s.Deadline(); found && !d.After(w.now) {
		w.t.Fatalf("the deadline %v is not after now, %v", d, w.now)
	}
}

func (w *world) checkPiece(p GetPiece) {
	if w.got[p.Ref][p.Piece] {
		w.t.Fatalf("%v asks for what is here", p)
	}
	for _, other := range w.pending {
		if o, ok := other.(GetPiece); ok && o.Ref == p.Ref && o.Piece == p.Piece {
			w.t.Fatalf("%v while %v", p, o)
		}
	}
}

func (w *world) checkBounds() {
	bytes, count, refs := make(map[id.Device]int64), make(map[id.Device]int), make(map[string]bool)
	for _, a := range w.pending {
		refs[refOf(a)] = true
		if p, ok := a.(GetPiece); ok {
			bytes[p.Peer] += w.sizes[p.Ref][p.Piece]
			count[p.Peer]++
		}
	}
	for peer, n := range bytes {
		if n > w.opts.Window && count[peer] > 1 {
			w.t.Fatalf("%d bytes in %d requests to %v, the window is %d", n, count[peer], peer, w.opts.Window)
		}
	}
	if len(refs) > w.opts.Parallel {
		w.t.Fatalf("%d blobs are under way, the limit is %d", len(refs), w.opts.Parallel)
	}
}

func peerOf(a Action) (id.Device, bool) {
	switch a := a.(type) {
	case GetRecipe:
		return a.Peer, true
	case GetPiece:
		return a.Peer, true
	}
	return id.Device{}, false
}

func refOf(a Action) string {
	switch a := a.(type) {
	case GetRecipe:
		return a.Ref
	case GetPiece:
		return a.Ref
	case Finish:
		return a.Ref
	}
	return ""
}

// answer answers a pending action: truthfully, or with the failure given.
func (w *world) answer(i int, failure func() (Cause, bool)) {
	a := w.pending[i]
	w.pending = slices.Delete(w.pending, i, i+1)
	cause, fails := failure()
	ref := refOf(a)
	peer, _ := peerOf(a)
	if !fails && !w.up[peer] {
		cause, fails = Unreachable, true
	}
	if !fails && !w.holds[peer][ref] {
		cause, fails = NotHeld, true
	}
	switch a := a.(type) {
	case GetRecipe:
		if fails {
			w.handle(Failed{Ref: ref, Peer: peer, Piece: NoPiece, Cause: cause})
		} else {
			w.handle(Located{Ref: ref, Peer: peer, Sizes: w.sizes[ref]})
		}
	case GetPiece:
		if fails {
			w.handle(Failed{Ref: ref, Peer: peer, Piece: a.Piece, Cause: cause})
			return
		}
		if w.got[ref] == nil {
			w.got[ref] = make(map[int]bool)
		}
		w.got[ref][a.Piece] = true
		w.handle(Got{Ref: ref, Peer: peer, Piece: a.Piece})
	case Finish:
		w.finish(a, cause == Local)
	}
}

func (w *world) finish(a Finish, stuck bool) {
	if len(w.got[a.Ref]) != len(w.sizes[a.Ref]) {
		w.t.Fatalf("finish of %s with %d of %d pieces", a.Ref, len(w.got[a.Ref]), len(w.sizes[a.Ref]))
	}
	if stuck && len(w.sizes[a.Ref]) > 0 {
		delete(w.got[a.Ref], 0)
		w.handle(Stuck{Ref: a.Ref, Lost: []int{0}})
		return
	}
	w.whole[a.Ref] = true
	w.handle(Finished(a))
}

// step does one random thing.
func (w *world) step() {
	t := w.t
	ref := fmt.Sprint("r", rapid.IntRange(0, 7).Draw(t, "ref"))
	peer := id.Device{rapid.SampledFrom([]byte{0, 1, 2, 3, 9}).Draw(t, "peer")}
	switch rapid.IntRange(0, 9).Draw(t, "what") {
	case 0:
		if !w.whole[ref] {
			w.handle(Want{Ref: ref, Priority: rapid.IntRange(0, 2).Draw(t, "priority"), Hints: []id.Device{peer}})
		}
	case 1:
		w.up[peer] = peer != w.opts.Self
		w.handle(PeerUp{peer})
	case 2:
		delete(w.up, peer)
		w.handle(PeerDown{peer})
	case 3:
		w.handle(Hint{Ref: ref, Peer: peer})
	case 4:
		w.handle(Demand{Ref: ref, Pieces: rapid.SliceOfN(rapid.IntRange(-1, 13), 0, 4).Draw(t, "demand")})
	case 5:
		w.now = w.now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "ms")) * time.Millisecond)
		w.next()
	default:
		if len(w.pending) > 0 {
			w.answer(rapid.IntRange(0, len(w.pending)-1).Draw(t, "answer"), func() (Cause, bool) {
				cause := rapid.SampledFrom([]Cause{Unreachable, NotHeld, Local, Withdrawn}).Draw(t, "cause")
				return cause, rapid.Bool().Draw(t, "fails")
			})
		}
	}
}

func TestEveryWantedPieceArrives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for range rapid.IntRange(0, 120).Draw(t, "steps") {
			w.step()
		}
		// From now on a peer that holds everything is up and nothing fails.
		last := id.Device{5}
		w.holds[last] = make(map[string]bool)
		for _, ref := range slices.Sorted(maps.Keys(w.sizes)) {
			w.holds[last][ref] = true
			if !w.whole[ref] {
				w.handle(Want{Ref: ref})
			}
		}
		w.up[last] = true
		w.handle(PeerUp{last})
		for range 10_000 {
			if len(w.whole) == len(w.sizes) {
				if len(w.s.blobs) > 0 || len(w.s.active) > 0 || w.s.ready.Len() > 0 || w.s.asleep.Len() > 0 {
					t.Fatalf("all blobs are whole and something is left: %+v", w.s)
				}
				return
			}
			if len(w.pending) > 0 {
				w.answer(0, func() (Cause, bool) { return 0, false })
				continue
			}
			deadline, found := w.s.Deadline()
			if !found {
				t.Fatalf("nothing is under way and there is no deadline; whole: %v", w.whole)
			}
			w.now = deadline
			w.next()
		}
		t.Fatalf("not all blobs are whole after 10000 steps: %v", w.whole)
	})
}

// TestCancelForgets runs random steps and cancellations; in the end nothing may be left.
func TestCancelForgets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for range rapid.IntRange(0, 80).Draw(t, "steps") {
			w.step()
		}
		for _, ref := range slices.Sorted(maps.Keys(w.sizes)) {
			w.handle(Cancel{ref})
		}
		for len(w.pending) > 0 {
			w.answer(0, func() (Cause, bool) { return Withdrawn, true })
		}
		for peer := range w.up {
			w.handle(PeerDown{peer})
		}
		if len(w.s.blobs) > 0 || len(w.s.peers) > 0 || len(w.s.active) > 0 || w.s.ready.Len() > 0 || w.s.asleep.Len() > 0 {
			t.Fatalf("left: %+v", w.s)
		}
	})
}

func TestBackoffBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{Jitter: func() float64 { return rapid.Float64Range(0, 0.999).Draw(t, "jitter") }}
		cause := rapid.SampledFrom([]Cause{Unreachable, NotHeld, Local}).Draw(t, "cause")
		n := rapid.IntRange(0, 1000).Draw(t, "failures")
		unit := time.Second << min(n, cause.maxDoublings())
		if got := o.backoff(cause, n); got < unit/2 || got > unit {
			t.Fatalf("%v after %d failures: %v, want %v to %v", cause, n, got, unit/2, unit)
		}
	})
}

func BenchmarkLongQueue(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := New(Options{})
			now := time.Unix(0, 0)
			for i := range n {
				s.Handle(now, Want{Ref: fmt.Sprint(i)})
				s.Handle(now, Located{Ref: fmt.Sprint(i), Sizes: make([]int64, 1000)})
			}
			s.Handle(now, PeerUp{id.Device{1}})
			pending := s.Next(now)
			for b.Loop() {
				p, ok := pending[0].(GetPiece)
				if !ok {
					b.Fatal("a blob came to its end")
				}
				s.Handle(now, Got(p))
				s.Handle(now, Stuck{Ref: p.Ref, Lost: []int{p.Piece}})
				now = now.Add(time.Hour)
				pending = append(pending[1:], s.Next(now)...)
			}
		})
	}
}
