package hosttest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The seed decides how far apart hosts are, and how far off their clocks.
func TestSeedDecidesDelaysAndClocks(t *testing.T) {
	var runs [3]map[string]time.Duration
	for i, seed := range []uint64{1, 1, 2} {
		synctest.Test(t, func(t *testing.T) {
			c := New(t, Options{Seed: seed, Hosts: []string{"a", "b", "c"}, MaxSkew: time.Minute})
			runs[i] = map[string]time.Duration{}
			for _, from := range c.Hosts() {
				runs[i][from.name] = time.Duration(from.skew.Load())
				for _, to := range c.Hosts() {
					runs[i][from.name+to.name] = c.network.at(c.way(from.name, to.name)).delay
				}
			}
		})
	}
	if diff := cmp.Diff(runs[0], runs[1]); diff != "" {
		t.Errorf("two runs of one seed (-one +other):\n%s", diff)
	}
	if cmp.Equal(runs[0], runs[2]) {
		t.Error("two seeds are the same")
	}
}
