package hosttest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// silence is for how long a host has not heard of its one peer, as its status says, and whether it has a connection.
func silence(t *testing.T, h *hosttest.Host) (time.Duration, bool) {
	t.Helper()
	s, err := h.API().Status(t.Context(), &nodev1.StatusRequest{})
	mustDo(t, s, err)
	if len(s.GetPeers()) != 1 {
		t.Fatalf("%s has the peers %v, want one", h.Name(), s.GetPeers())
	}
	p := s.GetPeers()[0]
	return time.Since(p.GetLastContact().AsTime()), p.GetConnected()
}

// The last contact is the last word that was heard, however long the connection lasts.
func TestLastContactIsTheLastWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, hosttest.Options{Seed: 1})
		c.Share()
		a := c.Host("a")
		for range 10 {
			time.Sleep(time.Minute + 7*time.Second)
			if d, connected := silence(t, a); !connected || d > 25*time.Second {
				t.Errorf("while b is there, the last contact was %s ago (connected: %t)", d, connected)
			}
		}
		c.Partition([]string{"a"}, []string{"b"})
		defer c.Heal()
		d, _ := silence(t, a)
		time.Sleep(8 * time.Second)
		if now, _ := silence(t, a); now < d+7*time.Second {
			t.Errorf("8 s after b fell silent the last contact was %s ago, and %s before", now, d)
		}
	})
}
