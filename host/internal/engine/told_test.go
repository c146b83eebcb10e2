package engine

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
)

// words takes down what a peer is told on a stream that carries nothing else.
type words struct {
	Stream
	// mu guards heard.
	mu    sync.Mutex
	heard []delta.Elsewhere
}

func (s *words) Tell(e delta.Elsewhere) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = append(s.heard, e)
	return nil
}

// take returns what was told since it was called last, once there is nothing more to tell.
func (s *words) take() []delta.Elsewhere {
	time.Sleep(time.Minute)
	s.mu.Lock()
	defer s.mu.Unlock()
	heard := s.heard
	s.heard = nil
	return heard
}

// telling is a pull of a device from a peer that has said what it holds: nothing.
func (d *device) telling(p Peer) (*follower, *runner) {
	p.HoldsBack = true
	f := &follower{e: d.engine, db: d.db, peer: p}
	d.engine.mu.Lock()
	d.engine.held[heldKey{p.run(), d.db.Name()}] = []delta.ScopeVector{{Scope: notes}}
	d.engine.mu.Unlock()
	r := d.engine.firsts.enter(d.db, p)
	d.engine.firsts.mu.Lock()
	r.scopes = []id.Scope{notes}
	d.engine.firsts.mu.Unlock()
	return f, r
}

// hold asks for a writer to be held back, and the returned function no longer.
func (d *device) hold(r *runner, w id.Writer) (release func()) {
	d.engine.firsts.mu.Lock()
	defer d.engine.firsts.mu.Unlock()
	r.echoes[w] = &echo{limit: echoBytes, held: true}
	r.wake()
	return func() {
		d.engine.firsts.mu.Lock()
		defer d.engine.firsts.mu.Unlock()
		r.release(w)
	}
}

// A peer forgets what it was told of a writer when it no longer holds that writer back: it is told all of it when it does again.
func TestHeldBackAgainIsToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := both(t)
		a.put("notes", "k", `1`)
		own := a.db.Published().Know.Own()
		f, r := a.telling(b.peer())
		ctx, cancel := context.WithCancel(t.Context())
		var s words
		var running sync.WaitGroup
		running.Go(func() { f.tellElsewhere(ctx, &s, r) })
		for range 2 {
			release := a.hold(r, own.Writer)
			heard := s.take()
			if len(heard) != 1 || !slices.Equal(heard[0].Writers, []id.Writer{own.Writer}) ||
				len(heard[0].Known) != 1 || heard[0].Known[0].Vector[own.Writer] != own.Gen {
				t.Errorf("held back, the peer is told %v, want the writer and that it is known up to %d", heard, own.Gen)
			}
			release()
			if heard = s.take(); len(heard) != 1 || len(heard[0].Writers) != 0 || len(heard[0].Known) != 0 {
				t.Errorf("no longer held back, the peer is told %v", heard)
			}
		}
		cancel()
		running.Wait()
	})
}

// What a peer has of a writer that it is asked to hold back it does not say, so nothing of that writer is news to it.
func TestNoNewsOfWhatIsHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := both(t)
		a.put("notes", "k", `1`)
		own := a.db.Published().Know.Own()
		f, r := a.telling(b.peer())
		release := a.hold(r, own.Writer)
		ctx, cancel := context.WithCancel(t.Context())
		var s words
		var running sync.WaitGroup
		running.Go(func() { f.tellNews(ctx, &s, r) })
		has := func(e delta.Elsewhere) bool {
			return slices.ContainsFunc(e.News, func(v delta.ScopeVector) bool { return v.Vector[own.Writer] > 0 })
		}
		if heard := s.take(); slices.ContainsFunc(heard, has) {
			t.Errorf("held back, and yet it is news: %v", heard)
		}
		release()
		if heard := s.take(); !slices.ContainsFunc(heard, has) {
			t.Errorf("no longer held back, and no news: %v", heard)
		}
		cancel()
		running.Wait()
	})
}

// Whoever pulled a moment ago may have brought on what a peer lacks; after newsPatience nobody is counted on any more.
func TestWhoJustLeftIsCountedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDevice(t, "a")
		var all audience
		c := all.watch(d.db)
		defer all.release(d.db)
		expect := func(when string, want bool) {
			t.Helper()
			if _, others, _ := all.has(c, principalOf(1)); others != want {
				t.Errorf("%s others are counted on: %t, want %t", when, others, want)
			}
		}
		time.Sleep(time.Minute)
		expect("while nobody pulls", false)
		all.enter(d.db, principalOf(2))
		time.Sleep(time.Minute)
		expect("while one pulls", true)
		all.leave(d.db, principalOf(2))
		time.Sleep(newsPatience - 1)
		expect("just after it left", true)
		time.Sleep(time.Nanosecond)
		expect("a while after it left", false)
	})
}
