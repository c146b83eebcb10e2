package hosttest_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// verified returns, for each peer of the host, how long ago it was found to hold the same, and how often it did not.
func verified(t *testing.T, h *hosttest.Host) (ago map[string]time.Duration, divergences uint64) {
	t.Helper()
	status, err := h.API().Status(t.Context(), &nodev1.StatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	ago = map[string]time.Duration{}
	for _, p := range status.GetPeers() {
		if at := p.GetVerified(); at != nil {
			ago[p.GetName()] = time.Since(at.AsTime())
		}
		divergences += p.GetDivergences()
	}
	return ago, divergences
}

// Hosts that are level prove it to each other now and then, and say since when.
func TestHostsVerifyEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, hosttest.Options{Seed: 1, Hosts: []string{"a", "b", "c"}})
		c.Share()
		for i := range 300 {
			h := c.Hosts()[i%3]
			h.Commit(hosttest.Put(fmt.Sprint("k", i%50), fmt.Sprint(i)))
		}
		c.Settle(time.Minute)
		time.Sleep(15 * time.Minute)
		for _, h := range c.Hosts() {
			ago, divergences := verified(t, h)
			if len(ago) != 2 || divergences != 0 {
				t.Errorf("%s has verified %v, with %d divergences", h.Name(), ago, divergences)
			}
			for peer, d := range ago {
				if d > 11*time.Minute {
					t.Errorf("%s has verified %s %s ago", h.Name(), peer, d)
				}
			}
		}
	})
}

// A host is set back, and another one that had been away gets what it writes then, under names that the third has for
// something else, before anybody tells it. In the end all agree, and nothing that was acknowledged is missing.
func TestNamesUsedTwiceAreFoundByComparing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, hosttest.Options{Seed: 1, Hosts: []string{"a", "x", "y"}})
		c.Share()
		a, want := c.Host("a"), map[string]string{}
		put := func(key, value string) {
			a.Commit(hosttest.Put(key, value))
			want[key] = value
		}
		put("k", `"early"`)
		c.Settle(time.Minute)
		early := a.Snapshot()
		c.Partition([]string{"x"}, []string{"a", "y"})
		put("lost", `1`)
		put("k", `"lost"`)
		time.Sleep(10 * time.Second)
		a.SetBack(early)
		c.Heal()
		c.Partition([]string{"y"}, []string{"a", "x"})
		a.Start()
		put("again", `1`)
		put("k", `"again"`)
		put("more", `1`)
		time.Sleep(time.Minute)
		if got := c.Host("x").Rows()["more"]; got != `1` {
			t.Fatalf("x has %q of what a wrote", got)
		}
		c.Heal()
		c.Settle(40 * time.Minute)
		for _, h := range c.Hosts() {
			if diff := cmp.Diff(want, h.Rows()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", h.Name(), diff)
			}
		}
		time.Sleep(15 * time.Minute)
		sum := uint64(0)
		for _, h := range c.Hosts() {
			ago, divergences := verified(t, h)
			sum += divergences
			if len(ago) != 2 {
				t.Errorf("%s has verified %v", h.Name(), ago)
			}
		}
		if sum == 0 {
			t.Error("no divergence was noticed: the test does not test anything")
		}
	})
}
