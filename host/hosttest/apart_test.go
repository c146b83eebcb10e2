package hosttest_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// Two devices that create a syncgroup under one name, whether they know of each other or have not met yet, have an alarm at both, which
// says what to do; doing it makes the two one, and ends the alarms.
func TestSyncgroupsMadeApartAreAnAlarm(t *testing.T) {
	for name, cut := range map[string]bool{"at one moment": false, "before they met": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := hosttest.New(t, hosttest.Options{Seed: 1})
				a, b := c.Host("a"), c.Host("b")
				time.Sleep(20 * time.Second)
				if cut {
					c.Partition([]string{"a"}, []string{"b"})
				}
				a.Create()
				b.Create()
				time.Sleep(time.Minute)
				if got := alarms(t, a); cut && got != "" {
					t.Errorf("alarms of a before they met: %q", got)
				}
				c.Heal()
				time.Sleep(time.Minute)
				if at, bt := alarms(t, a), alarms(t, b); at != "apart of b" || bt != "apart of a" {
					t.Errorf("alarms: %q of a, %q of b", at, bt)
				}
				s, err := a.API().Status(t.Context(), &nodev1.StatusRequest{})
				mustDo(t, s, err)
				if text := s.GetAlarms()[0].GetText(); !strings.Contains(text, "syncgroup join") || !strings.Contains(text, "--peer "+b.Address()) {
					t.Errorf("the alarm says %q", text)
				}
				a.Join(b)
				a.Commit(hosttest.Put("k", `1`))
				a.Wait()
				b.Wait()
				time.Sleep(time.Second)
				if at, bt := alarms(t, a), alarms(t, b); at+bt != "" {
					t.Errorf("alarms when they are one: %q of a, %q of b", at, bt)
				}
				if b.Rows()["k"] != `1` {
					t.Errorf("b has %v", b.Rows())
				}
			})
		})
	}
}

// Members that have not heard of each other yet, and those that were let in by different members, are no alarm for long.
func TestMembersThatHaveNotHeardOfEachOtherAreNoAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, hosttest.Options{Seed: 1, Hosts: []string{"a", "b", "c", "d"}})
		c.Host("a").Create()
		c.Host("b").Join(c.Host("a"))
		c.Host("c").Join(c.Host("a"))
		c.Host("d").Join(c.Host("b"))
		time.Sleep(20 * time.Minute)
		for _, h := range c.Hosts() {
			if got := alarms(t, h); got != "" {
				t.Errorf("%s has the alarm %q", h.Name(), got)
			}
		}
	})
}
