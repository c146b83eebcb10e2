package netns

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

const (
	// seedKey replays what a seed decided; roundsKey is how many faults there are, instead of one of each kind.
	seedKey   = "SYNCBASE_NETNS_SEED"
	roundsKey = "SYNCBASE_NETNS_ROUNDS"
)

// TestFiveDaemonsConverge lets five daemons in namespaces of their own write while they are cut off, muted, killed, frozen,
// and joined by bad lines, one after the other in an order that a seed decides. After each fault all come to know what
// the others wrote, and in the end they have the same bytes and members, with every write that was acknowledged.
func TestFiveDaemonsConverge(t *testing.T) {
	binary := os.Getenv(binaryKey)
	seed := number(t, seedKey, uint64(time.Now().UnixNano()%1_000_000))
	if binary == "" {
		enterCommand(t) // builds nothing where the test cannot run
		binary = buildDaemon(t)
	}
	if !Inside(t, binaryKey+"="+binary, fmt.Sprintf("%s=%d", seedKey, seed)) {
		return
	}
	t.Logf("replay with: %s=%d go test ./test/netns -run %s", seedKey, seed, t.Name())
	s := newStage(t, binary, seed)
	began := time.Now()
	s.share()
	s.write()
	t.Logf("all are members after %v", time.Since(began).Round(time.Millisecond))
	order := s.random.Perm(len(faults))
	for round := range int(number(t, roundsKey, uint64(len(faults)))) {
		if round > 0 && round%len(faults) == 0 {
			order = s.random.Perm(len(faults))
		}
		began := time.Now()
		what := faults[order[round%len(faults)]](s)
		lasted, healed := time.Since(began), s.reachAll(s.nodes)
		t.Logf("round %d, %5.1fs: %s; mended, marks of all on all after %v", round+1, lasted.Seconds(), what, healed.Round(time.Millisecond))
	}
	took, export := s.settle()
	t.Logf("settled %v after the last write", took.Round(time.Millisecond))
	s.check(export)
	s.stop()
}

// number reads a variable.
func number(t *testing.T, key string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(key)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return n
}
