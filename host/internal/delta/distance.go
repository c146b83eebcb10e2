package delta

import "github.com/syncbase/syncbase/host/internal/id"

// Distance returns how many generations lie between what is held of scopes and what somebody else knows of them. A generation
// counts once, in however many of the scopes it lies; those of the writers that are left out do not. Who has generations of
// other scopes is further ahead by these, so it is an upper bound.
func Distance(from, to []ScopeVector, leftOut ...id.Writer) uint64 {
	held := make(map[id.Scope]id.Vector, len(from))
	for _, f := range from {
		held[f.Scope] = f.Vector
	}
	ahead := map[id.Writer]uint64{}
	for _, t := range to {
		for w, gen := range t.Vector {
			if mine := held[t.Scope][w]; gen > mine {
				ahead[w] = max(ahead[w], gen-mine)
			}
		}
	}
	for _, w := range leftOut {
		delete(ahead, w)
	}
	var sum uint64
	for _, n := range ahead {
		sum = AddRecords(sum, n)
	}
	return sum
}

// MostRecords is the largest number of records that is told to anybody: every reader of JSON takes it as it is. A peer may claim any.
const MostRecords = 1 << 53

// AddRecords adds two numbers of records.
func AddRecords(a, b uint64) uint64 { return min(min(a, MostRecords)+min(b, MostRecords), MostRecords) }
