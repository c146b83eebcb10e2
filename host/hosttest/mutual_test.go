package hosttest_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/hosttest"
)

// Two administrators eject each other out of each other's sight: whoever did it first, by their clocks, stays, for everybody
// and whoever meets whom first. Allowing the other one repairs it.
func TestMutualEjectionHasOneOutcome(t *testing.T) {
	for _, c := range []struct {
		others []string
		meet   string
		skews  []time.Duration
	}{
		{nil, "all", []time.Duration{0, time.Hour, -time.Hour}},
		{[]string{"c"}, "a first", []time.Duration{0, -time.Hour}},
		{[]string{"c"}, "b first", []time.Duration{time.Hour, -time.Hour}},
		{[]string{"c", "d"}, "crossed", []time.Duration{0, -time.Hour}},
	} {
		for _, skew := range c.skews {
			t.Run(fmt.Sprintf("%d others, %s, b is off by %s", len(c.others), c.meet, skew), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { ejectEachOther(t, c.others, c.meet, skew) })
			})
		}
	}
}

func ejectEachOther(t *testing.T, others []string, meet string, skew time.Duration) {
	hosts := append([]string{"a", "b"}, others...)
	c := hosttest.New(t, hosttest.Options{Hosts: hosts})
	a, b := c.Host("a"), c.Host("b")
	c.Share()
	c.Settle(time.Minute)
	c.Partition([]string{"a"}, []string{"b"})
	c.Partition([]string{"a", "b"}, others)
	c.Partition(others[:len(others)/2], others[len(others)/2:])
	b.SetClock(skew)
	eject(t, a, "b")
	time.Sleep(time.Second)
	eject(t, b, "a")
	in, out := a, b
	if skew < 0 {
		in, out = b, a
	}
	meetIn(c, meet, others)
	want := in.Name()
	for _, name := range others {
		want += " " + name
	}
	stay := []*hosttest.Host{in}
	for _, name := range others {
		stay = append(stay, c.Host(name))
	}
	agree := func() bool {
		for _, h := range stay {
			if members(h) != want || state(t, h) != "member" {
				return false
			}
		}
		return state(t, out) == "ejected"
	}
	defer func() {
		if t.Failed() {
			for _, h := range c.Hosts() {
				t.Logf("%s is %s and has the members %s", h.Name(), state(t, h), members(h))
			}
		}
	}()
	eventually(t, in.Name()+" stays and "+out.Name()+" is out", agree)
	time.Sleep(3 * time.Minute)
	if !agree() {
		t.Fatal("it did not stay so")
	}
	in.Commit(hosttest.Put("after", `1`))
	allow(t, stay[len(stay)-1], out.Name())
	out.Join(stay[len(stay)-1])
	c.Settle(5 * time.Minute)
	time.Sleep(time.Minute)
	all := "a b"
	for _, name := range others {
		all += " " + name
	}
	wantMembers(t, all, c.Hosts()...)
	if got := out.Rows()["after"]; got != `1` {
		t.Errorf("%s, which was let in again, has %q", out.Name(), got)
	}
}

// meetIn heals in an order: one of the two is with the others for a while, or each with one of them.
func meetIn(c *hosttest.Cluster, order string, others []string) {
	during := func(groups ...[]string) {
		c.Heal()
		for i, g := range groups {
			for _, other := range groups[i+1:] {
				c.Partition(g, other)
			}
		}
		time.Sleep(3 * time.Minute)
	}
	switch order {
	case "a first":
		during(append([]string{"a"}, others...), []string{"b"})
	case "b first":
		during(append([]string{"b"}, others...), []string{"a"})
	case "crossed":
		during([]string{"a", others[0]}, []string{"b", others[1]})
		during([]string{"a", others[1]}, []string{"b", others[0]})
	}
	c.Heal()
}

// Of three that eject one another in a circle, the first ejection counts, the second was made by who was out by then, and so
// the third counts.
func TestEjectionsInACircle(t *testing.T) {
	for _, first := range []string{"a", "b", "c"} {
		t.Run("d meets "+first+" first", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := hosttest.New(t, hosttest.Options{Hosts: []string{"a", "b", "c", "d"}})
				c.Share()
				c.Settle(time.Minute)
				for _, name := range []string{"a", "b", "c"} {
					c.Partition([]string{name}, []string{"a", "b", "c", "d"})
				}
				for _, e := range [][2]string{{"a", "b"}, {"b", "c"}, {"c", "a"}} {
					eject(t, c.Host(e[0]), e[1])
					time.Sleep(time.Second)
				}
				c.Heal()
				for _, name := range []string{"a", "b", "c"} {
					if name != first {
						c.Partition([]string{name}, []string{"a", "b", "c", "d"})
					}
				}
				time.Sleep(3 * time.Minute)
				c.Heal()
				agree := func() bool {
					return members(c.Host("c")) == "c d" && members(c.Host("d")) == "c d" && state(t, c.Host("c")) == "member" &&
						state(t, c.Host("d")) == "member" && state(t, c.Host("a")) == "ejected" && state(t, c.Host("b")) == "ejected"
				}
				eventually(t, "c and d are left", agree)
				time.Sleep(3 * time.Minute)
				if !agree() {
					t.Error("it did not stay so")
				}
			})
		})
	}
}
