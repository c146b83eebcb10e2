package hosttest_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// alarms are what a host wants somebody to see to.
func alarms(t *testing.T, h *hosttest.Host) string {
	t.Helper()
	s, err := h.API().Status(t.Context(), &nodev1.StatusRequest{})
	mustDo(t, s, err)
	var list []string
	for _, a := range s.GetAlarms() {
		list = append(list, a.GetKind()+" of "+a.GetPrincipal()[strings.LastIndex(a.GetPrincipal(), "/")+1:])
	}
	return strings.Join(list, " ")
}

// A daemon that was restarted while the connections of its former run had not been found dead is no copy of itself.
func TestRestartIsNoCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, hosttest.Options{Seed: 1, Hosts: []string{"a", "b", "c"}})
		c.Share()
		a := c.Host("a")
		for range 3 {
			c.Partition([]string{"a"}, []string{"b", "c"})
			a.Stop()
			a.Start()
			c.Heal()
			a.Commit(hosttest.Put("key", `1`))
			for range 90 {
				time.Sleep(time.Second)
				for _, h := range c.Hosts() {
					if got := alarms(t, h); got != "" {
						t.Fatalf("%s has the alarms %q", h.Name(), got)
					}
				}
			}
			c.Settle(time.Second)
		}
	})
}

// Two hosts that run at the same time with one identity, because a data directory was copied, both reach the others, and the
// others reach both: whatever any of them writes comes to all.
func TestCopiesThatRunTogetherConverge(t *testing.T) {
	for _, partners := range [][]string{{"b"}, {"b", "c", "d"}} {
		t.Run(fmt.Sprint(len(partners)), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := hosttest.New(t, hosttest.Options{Seed: 1, Hosts: append([]string{"a"}, partners...)})
				c.Share()
				a, b := c.Host("a"), c.Host("b")
				a.Commit(hosttest.Put("before", `1`))
				c.Settle(time.Minute)
				a.Stop()
				twin := c.Copy(a, "twin")
				a.Start()
				twin.Start()
				for round := range 3 {
					for _, h := range []*hosttest.Host{a, twin, b} {
						h.Commit(hosttest.Put(fmt.Sprint(h.Name(), round), `1`), hosttest.Put("both", fmt.Sprintf("%q", h.Name())))
					}
					c.Settle(time.Minute)
					if n := len(b.Rows()); n != 2+3*(round+1) {
						t.Fatalf("round %d: %d rows: %v", round, n, b.Rows())
					}
				}
				sent := c.Carried("a", "b")
				time.Sleep(time.Minute)
				if n := c.Carried("a", "b") - sent; n > 64<<10 {
					t.Errorf("with nothing to say, a has sent %d bytes to b in a minute", n)
				}
				for _, h := range []*hosttest.Host{a, twin, b} {
					if got := alarms(t, h); got != "copy of a" {
						t.Errorf("%s has the alarms %q, want that there is a copy of a", h.Name(), got)
					}
				}
				twin.Stop()
				eventually(t, "b does not see the copy any more", func() bool { return alarms(t, b) == "" })
				time.Sleep(25 * time.Minute)
				if got := alarms(t, a); got != "" {
					t.Errorf("without its copy, a still has the alarms %q", got)
				}
				a.Stop()
				a.Start()
				a.Commit(hosttest.Put("after", `1`))
				eventually(t, "b has what a writes alone", func() bool { return b.Rows()["after"] == `1` })
			})
		})
	}
}

// A copy notices the other one whichever of their clocks is ahead, and then both leave the register that they share alone.
func TestCopiesNoticeEachOtherWhateverTheirClocksSay(t *testing.T) {
	for _, skew := range []time.Duration{-time.Minute, time.Minute} {
		t.Run(skew.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := hosttest.New(t, hosttest.Options{Seed: 1, Hosts: []string{"a", "b"}})
				c.Share()
				a, b := c.Host("a"), c.Host("b")
				c.Settle(time.Minute)
				a.Stop()
				twin := c.Copy(a, "twin")
				twin.SetClock(skew)
				c.Partition([]string{"a"}, []string{"twin"}) // so that they do not meet
				a.Start()
				twin.Start()
				time.Sleep(2 * time.Second)
				sent := c.Carried("b", "a") + c.Carried("b", "twin")
				time.Sleep(10 * time.Second)
				if n := c.Carried("b", "a") + c.Carried("b", "twin") - sent; n > 32<<10 {
					t.Errorf("with nothing to say, b has sent %d bytes to the copies in ten seconds", n)
				}
				for _, h := range []*hosttest.Host{a, twin} {
					if got := alarms(t, h); got != "copy of a" {
						t.Errorf("%s has the alarms %q, want that there is a copy of a", h.Name(), got)
					}
				}
				for _, h := range []*hosttest.Host{a, twin, b} {
					h.Commit(hosttest.Put(h.Name(), `1`))
				}
				c.Settle(time.Minute)
			})
		})
	}
}
