package hosttest_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/hosttest"
)

// Every topology, with every scenario, under every regime of clocks: in the end all hosts agree, and on what the scenario says.
// A short run takes the hardest half of the topologies and clocks.
func TestMatrix(t *testing.T) {
	topologies := map[string]func(host, other string) bool{
		"line": func(host, other string) bool { return host[0] == other[0]+1 },
		"star": func(_, other string) bool { return other == "a" },
		"ring": func(host, other string) bool { return host[0] == other[0]+1 || host == "a" && other == "d" },
		"full": nil,
	}
	clocks := map[string]func(c *hosttest.Cluster){
		"equal": func(*hosttest.Cluster) {},
		"skewed": func(c *hosttest.Cluster) {
			for i, h := range c.Hosts() {
				h.SetClock(time.Duration(i-1) * 40 * time.Second)
			}
		},
		"jumping": func(c *hosttest.Cluster) {
			for _, h := range c.Hosts() {
				h.SetClock(time.Duration(c.Rand().Int64N(int64(2*time.Hour))) - time.Hour)
			}
		},
		// All clocks show the same moment for ever, so that concurrent writes bear equal times.
		"tied": func(c *hosttest.Cluster) {
			for _, h := range c.Hosts() {
				h.SetClock(-time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)))
			}
		},
	}
	if testing.Short() {
		delete(topologies, "star")
		delete(topologies, "ring")
		delete(clocks, "equal")
		delete(clocks, "skewed")
	}
	for topology, knows := range topologies {
		for clock, set := range clocks {
			for scenario, play := range scenarios {
				t.Run(topology+"/"+scenario+"/"+clock, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						c := hosttest.New(t, hosttest.Options{Seed: 1, Hosts: []string{"a", "b", "c", "d"}, Knows: knows})
						c.Share()
						set(c)
						c.Host("a").Commit(hosttest.Put("old", `"old"`))
						c.Settle(time.Minute)
						set(c)
						play(t, c, func() { set(c) })
					})
				})
			}
		}
	}
}

// scenarios are played by four hosts that share a row "old"; tick is called as time passes.
var scenarios = map[string]func(t *testing.T, c *hosttest.Cluster, tick func()){
	"write": func(t *testing.T, c *hosttest.Cluster, _ func()) {
		for _, h := range c.Hosts() {
			h.Commit(hosttest.Put(h.Name(), `1`))
		}
		c.Settle(time.Minute)
		wantRows(t, c, 5)
	},
	"follow": func(t *testing.T, c *hosttest.Cluster, tick func()) {
		for _, h := range c.Hosts() { // each writes on top of what the one before it wrote, whatever their clocks say
			h.Commit(hosttest.Put("old", fmt.Sprintf("%q", h.Name())))
			tick()
			c.Settle(time.Minute)
		}
		wantValue(t, c, "old", `"d"`)
	},
	"conflict": func(t *testing.T, c *hosttest.Cluster, tick func()) {
		apart(c, func(h *hosttest.Host) {
			h.Commit(hosttest.Put("old", fmt.Sprintf("%q", h.Name())))
			tick()
		})
		c.Settle(time.Minute)
		wantValue(t, c, "old", `"a"`, `"b"`, `"c"`, `"d"`)
	},
	"batch": func(t *testing.T, c *hosttest.Cluster, tick func()) {
		apart(c, func(h *hosttest.Host) {
			value := fmt.Sprintf("%q", h.Name())
			h.Commit(hosttest.Put("x", value), hosttest.Put("y", value), hosttest.Put("z", value))
			tick()
		})
		c.Settle(time.Minute)
		rows := c.Host("a").Rows()
		wantValue(t, c, "x", `"a"`, `"b"`, `"c"`, `"d"`)
		wantValue(t, c, "y", rows["x"])
		wantValue(t, c, "z", rows["x"])
	},
	"delete": func(t *testing.T, c *hosttest.Cluster, tick func()) {
		c.Host("d").Commit(hosttest.Delete("old"))
		tick()
		c.Settle(time.Minute)
		wantValue(t, c, "old", "")
		c.Host("b").Commit(hosttest.Put("old", `"again"`))
		tick()
		c.Settle(time.Minute)
		wantValue(t, c, "old", `"again"`)
	},
	"leave": func(t *testing.T, c *hosttest.Cluster, tick func()) {
		d, a := c.Host("d"), c.Host("a")
		leave(t, d)
		tick()
		a.Commit(hosttest.Put("old", `"without d"`))
		time.Sleep(2 * time.Minute)
		wantMembers(t, "a b c", a)
		if got := d.Rows()["old"]; got != `"old"` {
			t.Errorf("d, which has left, has %s", got)
		}
		d.Join(c.Host("c"))
		c.Settle(5 * time.Minute)
		wantValue(t, c, "old", `"without d"`)
	},
}

// apart lets each host do something while none can reach another.
func apart(c *hosttest.Cluster, do func(*hosttest.Host)) {
	for _, h := range c.Hosts() {
		for _, other := range c.Hosts() {
			if h != other {
				c.Cut(h.Name(), other.Name())
			}
		}
	}
	for _, h := range c.Hosts() {
		do(h)
	}
	c.Heal()
}

func wantRows(t *testing.T, c *hosttest.Cluster, n int) {
	t.Helper()
	for _, h := range c.Hosts() {
		if got := len(h.Rows()); got != n {
			t.Errorf("%s has %d rows, want %d", h.Name(), got, n)
		}
	}
}

// wantValue checks that all hosts have one of the values, the same one.
func wantValue(t *testing.T, c *hosttest.Cluster, key string, values ...string) {
	t.Helper()
	first := c.Hosts()[0].Rows()[key]
	for _, h := range c.Hosts() {
		if got := h.Rows()[key]; got != first || !slices.Contains(values, got) {
			t.Errorf("%s has %s of %s, and %s has %s; want one of %s", h.Name(), got, key, c.Hosts()[0].Name(), first, values)
		}
	}
}
