package hosttest_test

import (
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

// Two runs of a seed do the same to the same hosts in the same order, whatever comes of it. What comes of it is not compared: the
// order in which the goroutines of one moment run is nobody's choice, keys and signatures are new in each run, and so a commit
// may reach its rival a moment earlier or later, and another version win.
func TestSeedDecidesWhatBefallsHosts(t *testing.T) {
	for _, seed := range []uint64{3, 11} {
		var runs [2]*simulation
		for i := range runs {
			synctest.Test(t, func(t *testing.T) {
				runs[i] = newSimulation(t, planOf(seed))
				defer runs[i].report("TestRandomHistoriesConverge")
				runs[i].play()
			})
		}
		for i, s := range runs {
			if diff := cmp.Diff(planOf(seed), s.plan); diff != "" {
				t.Errorf("seed %d, run %d (-want +plan):\n%s", seed, i, diff)
			}
			if diff := cmp.Diff(s.plan.Steps, s.taken); diff != "" {
				t.Errorf("seed %d, run %d (-plan +steps taken):\n%s", seed, i, diff)
			}
		}
		if cmp.Equal(planOf(seed), planOf(seed+1)) {
			t.Errorf("seeds %d and %d are the same", seed, seed+1)
		}
	}
}
