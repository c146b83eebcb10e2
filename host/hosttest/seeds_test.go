package hosttest_test

import (
	"flag"
	"os"
	"slices"
	"strconv"
	"testing"
)

var (
	simSeeds = flag.Uint64("sim.seeds", 0, "how many random histories to simulate; default $SYNCBASE_SIM_SEEDS or 200")
	simFirst = flag.Uint64("sim.first", 0, "the first of the histories to simulate; default $SYNCBASE_SIM_FIRST or 1")
	simSeed  = flag.Uint64("sim.seed", 0, "simulate this one history")
)

// histories returns the seeds of the histories to simulate: as many as are asked for, divided by share for a simulation that
// takes long, and before them those that failed once.
func histories(t *testing.T, share uint64, failed ...uint64) []uint64 {
	t.Helper()
	if *simSeed != 0 {
		return []uint64{*simSeed}
	}
	count := uint64(200)
	if testing.Short() {
		count = 8
	}
	first := fromEnvironment(t, "SYNCBASE_SIM_FIRST", *simFirst, 1)
	list := slices.Clone(failed)
	for i := range (fromEnvironment(t, "SYNCBASE_SIM_SEEDS", *simSeeds, count) + share - 1) / share {
		if seed := first + i; !slices.Contains(failed, seed) {
			list = append(list, seed)
		}
	}
	return list
}

// fromEnvironment returns the flag, or else the variable, or else the default.
func fromEnvironment(t *testing.T, variable string, set, otherwise uint64) uint64 {
	t.Helper()
	if set > 0 {
		return set
	}
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}
