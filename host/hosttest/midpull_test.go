package hosttest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/hosttest"
	"github.com/syncbase/syncbase/host/internal/delta"
)

// What one of two copies says that it holds counts for both. While a pull of the other one is held up, a delete that was not sent on it is
// not forgotten for that; and once the pull is over, it is.
func TestCopyHearsOfDeletesWhileItsPullIsHeldUp(t *testing.T) {
	for _, end := range []string{"goes on", "is cut"} {
		t.Run(end, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { heldUp(t, end == "is cut") }) })
	}
}

func heldUp(t *testing.T, cut bool) {
	hold := make(chan struct{})
	held := false
	c := hosttest.New(t, hosttest.Options{Seed: 1, Keep: time.Second, Tap: func(_, to string, _ *delta.Open) hosttest.Answer {
		if to != "b" || !held {
			return nil
		}
		return func(ctx context.Context, m delta.Message, send func(delta.Message) error) error {
			if m.Accepted == nil {
				select {
				case <-hold:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return send(m)
		}
	}})
	c.Share()
	a, b := c.Host("a"), c.Host("b")
	a.Commit(hosttest.Put("k", `1`))
	c.Settle(time.Minute)
	b.Stop()
	twin := c.Copy(b, "twin")
	held = true
	b.Start()
	twin.Start()
	time.Sleep(time.Minute)
	a.Commit(hosttest.Delete("k"))
	a.Commit(hosttest.Put("other", `1`))
	time.Sleep(5 * time.Minute)
	if cut {
		c.Partition([]string{"a", "twin"}, []string{"b"})
		forgets(t, a, "k")
		c.Heal()
	}
	a.Commit(hosttest.Put("other", `2`))
	time.Sleep(5 * time.Minute)
	close(hold)
	c.Settle(time.Minute)
	forgets(t, a, "k")
	forgets(t, b, "k")
}

// forgets waits until a host has forgotten a delete.
func forgets(t *testing.T, h *hosttest.Host, key string) {
	t.Helper()
	for began := time.Now(); remembers(t, h, key); time.Sleep(time.Second) {
		if time.Since(began) > 20*time.Minute {
			t.Fatalf("%s never forgets the delete of %s", h.Name(), key)
		}
	}
}
