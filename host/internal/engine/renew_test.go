package engine

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
)

// A peer that keeps showing generations that this device has not made makes it another writer a bounded number of times, and
// costs it nothing that it has.
func TestLyingAboutOurOwnGenerations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := both(t)
		stop := b.follow(a, a.from(b, nil))
		synctest.Wait()
		stop()
		b.put("notes", "mine", `1`)
		liar := func(ctx context.Context, open delta.Open) (Stream, error) {
			return &script{ctx, []delta.Message{
				{Accepted: []id.Scope{notes}},
				{Progress: []delta.ScopeVector{{Scope: notes, Vector: id.Vector{open.Self: 1 << 40}}}},
			}}, nil
		}
		b.follow(a, liar)
		time.Sleep(10 * time.Minute)
		if n := len(b.failed()); n == 0 || n > 80 {
			t.Errorf("%d failures in ten minutes; want refusals with growing pauses", n)
		}
		if got := b.get("notes", "mine"); got != `1` {
			t.Errorf("what b wrote is %q", got)
		}
		b.put("notes", "later", `2`)
		for key, want := range map[string]string{"mine": `1`, "later": `2`} {
			if got := b.get("notes", key); got != want {
				t.Errorf("b has %q at %s, want %s", got, key, want)
			}
		}
	})
}

// Witnesses that a peer makes up are proof of nothing but that this device should be careful: it becomes another writer, and
// what it wrote stays, under other names.
func TestInventedWitness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := both(t)
		stop := b.follow(a, a.from(b, nil))
		synctest.Wait()
		stop()
		b.put("notes", "mine", `1`)
		before := b.db.Writer()
		b.follow(a, func(ctx context.Context, open delta.Open) (Stream, error) {
			w := delta.Witness{Collection: notes.Collection, Version: id.Version{Writer: before, Gen: 1 << 40}}
			return &script{ctx, []delta.Message{{Accepted: []id.Scope{notes}, Witnesses: []delta.Witness{w}}}}, nil
		})
		time.Sleep(time.Minute)
		after := b.db.Writer()
		if after == before || after.Device != before.Device {
			t.Errorf("b writes as %s after it was shown a witness, before as %s", after, before)
		}
		if got := b.get("notes", "mine"); got != `1` {
			t.Errorf("what b wrote is %q", got)
		}
		if n := len(b.failed()); n != 0 {
			t.Errorf("%d failures, the first %v: the lie is about a writer that b no longer is", n, b.failed()[0])
		}
	})
}
