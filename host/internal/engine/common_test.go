package engine

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/syncgroup"
)

// reference: sync-091 who is a member of nothing pulls from nobody, whoever is linked.
//
// reference: sync-096 of those that are linked, members of a syncgroup in common are pulled from, and no others; who leaves, or is
// not linked any more, is not: who has left asks for the metadata at most, which says who is still there.
func TestOnlyMembersArePulledFrom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, stranger := newDevice(t, "a"), newDevice(t, "b"), newDevice(t, "s")
		a.share("notes")
		stranger.share("other")
		var mu sync.Mutex // guards open and asked
		open, asked := map[string]int{}, map[string]int{}
		count := func(name string, n int) {
			mu.Lock()
			defer mu.Unlock()
			open[name] += n
			asked[name] += max(0, n)
		}
		counted := func(d, from *device) Opener {
			inner := from.from(d, nil)
			return func(ctx context.Context, o delta.Open) (Stream, error) {
				s, err := inner(ctx, o)
				rows := slices.ContainsFunc(o.Known, func(k delta.ScopeVector) bool { return k.Scope.Collection.Kind == id.Rows })
				if err == nil && rows {
					count(from.name, 1)
					context.AfterFunc(ctx, func() { count(from.name, -1) })
				}
				return s, err
			}
		}
		pulls := func(when string, fromA, fromStranger int) {
			t.Helper()
			mu.Lock()
			clear(asked)
			mu.Unlock()
			time.Sleep(time.Minute)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if open["a"] != fromA || open["s"] != fromStranger {
				t.Errorf("%s b pulls from %v", when, open)
			}
			if fromA == 0 && asked["a"] > 0 { // the stranger, of whom nobody says that it is no member, is asked
				t.Errorf("%s b asked a %d times", when, asked["a"])
			}
		}
		unlink := b.follow(a, counted(b, a))
		b.follow(stranger, counted(b, stranger))
		pulls("as a member of nothing", 0, 0)
		b.join("notes", a)
		pulls("as a member", 1, 0)
		if err := syncgroup.Leave(b.db, named("notes"), b.principal(), time.Unix(1_800_000_000, 0)); err != nil {
			t.Fatal(err)
		}
		pulls("after leaving", 0, 0)
		b.join("notes", a)
		pulls("after joining again", 1, 0)
		unlink()
		pulls("after a is gone", 0, 0)
	})
}

// reference: sync-096 nobody that is linked is starved: of any members, whichever of them fail for a while, those that fail are
// tried, enough of the others are pulled from, and the one that keeps what is lacking is pulled from when that is noticed.
func TestNoMemberIsStarved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		devices, seats := seatsOf(rapid.IntRange(1, 30).Draw(t, "members"), "g")
		c := &circle{places: map[run]*place{}}
		for p, s := range seats {
			c.places[run{peer: p}] = &place{seat: s, changed: make(chan struct{})}
		}
		self := id.Device{1}
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			p := principalOf(rapid.IntRange(0, len(devices)-1).Draw(t, "peer"))
			at := c.places[run{peer: p}]
			switch rapid.SampledFrom([]string{"fails", "comes", "is wanted"}).Draw(t, "what") {
			case "fails":
				at.failing = true
			case "comes":
				if at.failing = false; at.chosen && !at.settled {
					at.settled = true
					c.dismiss()
				}
			case "is wanted":
				if c.choose(self); c.standsBy(p) {
					c.wanted = append(c.wanted, p)
					c.dismiss()
				}
				c.choose(self)
				if !at.chosen {
					t.Fatalf("%s, which has what is lacking, is not pulled from", p)
				}
			}
			c.choose(self)
			healthy, chosen := 0, 0
			for r, at := range c.places {
				if at.failing && !at.chosen {
					t.Fatalf("%s, from which nothing came, is not tried again", r.peer)
				}
				if !at.failing {
					healthy++
					if at.chosen {
						chosen++
					}
				}
			}
			if chosen < min(healthy, maxNeighbours) {
				t.Fatalf("of %d members from which something comes %d are pulled from", healthy, chosen)
			}
			if slices.ContainsFunc(c.wanted, func(p id.Principal) bool { return !c.places[run{peer: p}].chosen }) {
				t.Fatal("a wanted peer is not chosen")
			}
		}
	})
}
