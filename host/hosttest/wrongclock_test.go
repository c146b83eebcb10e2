package hosttest_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// A device that writes in the future is an alarm at every member that its writes come to, and it is the one that is named, whoever passed
// them on. The alarm ends when that time has come.
func TestClockThatIsAheadIsAnAlarmThatNamesTheWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, hosttest.Options{
			Seed: 1, Hosts: []string{"hub", "x", "y"}, Knows: func(_, other string) bool { return other == "hub" },
		})
		c.Share()
		c.Partition([]string{"x"}, []string{"y"})
		time.Sleep(time.Minute)
		hub, x, y := c.Host("hub"), c.Host("x"), c.Host("y")
		for _, h := range c.Hosts() {
			if got := alarms(t, h); got != "" {
				t.Errorf("%s has the alarms %q", h.Name(), got)
			}
		}
		x.SetClock(time.Hour)
		x.Commit(hosttest.Put("k", `1`))
		x.SetClock(0)
		time.Sleep(time.Minute)
		y.Commit(hosttest.Put("other", `1`))
		time.Sleep(time.Minute)
		for _, h := range []*hosttest.Host{hub, y} {
			if got := alarms(t, h); got != "clock of x" {
				t.Errorf("%s has the alarms %q", h.Name(), got)
			}
		}
		s, err := y.API().Status(t.Context(), &nodev1.StatusRequest{})
		mustDo(t, s, err)
		if text := s.GetAlarms()[0].GetText(); !strings.Contains(text, "/device/x ") || !strings.Contains(text, " ahead of this device") {
			t.Errorf("the alarm says %q", text)
		}
		time.Sleep(time.Hour)
		for _, h := range c.Hosts() {
			if got := alarms(t, h); got != "" {
				t.Errorf("an hour later %s has the alarms %q", h.Name(), got)
			}
		}
	})
}

// Who writes on top of a version from the future has to be later still. Its clock is right, and only the one that wrote first is named.
func TestWhoOverwritesWhatIsFromTheFutureIsNotBlamed(t *testing.T) {
	shared(t, hosttest.Options{Hosts: []string{"hub", "x", "y"}}, func(t *testing.T, c *hosttest.Cluster) {
		hub, x, y := c.Host("hub"), c.Host("x"), c.Host("y")
		x.SetClock(time.Hour)
		x.Commit(hosttest.Put("k", `1`))
		x.SetClock(0)
		c.Settle(time.Minute)
		y.Commit(hosttest.Put("k", `2`), hosttest.Put("other", `1`))
		y.Commit(hosttest.Put("k", `3`))
		c.Settle(time.Minute)
		for h, want := range map[*hosttest.Host]string{hub: "clock of x", y: "clock of x", x: ""} {
			if got := alarms(t, h); got != want {
				t.Errorf("%s has the alarms %q, want %q", h.Name(), got, want)
			}
		}
	})
}
