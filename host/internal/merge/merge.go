// Package merge holds the policies that settle conflicts.
//
// A policy sees the heads of one row and says which one wins. It is a pure function with the same answer on every device,
// since each device settles the conflicts it sees and all of them have to agree. Read LastWins.
package merge

import (
	"cmp"
	"slices"

	"github.com/syncbase/syncbase/host/internal/history"
)

// LastWins returns the index of the head that was written last: the greatest time, and between equal times the greatest
// version. It is a total order, so any two devices agree, whatever they compare first.
func LastWins(heads []history.Head) int {
	best := 0
	for i := range heads {
		if Compare(&heads[i], &heads[best]) > 0 {
			best = i
		}
	}
	return best
}

// Compare orders heads as LastWins does.
func Compare(a, b *history.Head) int {
	if c := cmp.Compare(a.Time, b.Time); c != 0 {
		return c
	}
	return a.Version.Compare(b.Version)
}

// MaxRounds is after how many rounds of resolving resolutions the last of them wins.
const MaxRounds = 3

// SameResolution reports whether both heads resolve the same conflict. Two devices that end a conflict each in its own way
// have made another one, about which there is nothing more to decide: the last of them wins. So it does between heads of
// which each has been through MaxRounds, because devices that see each other's answers in another order would go on for ever.
func SameResolution(a, b *history.Head) bool {
	if a.Round >= MaxRounds && b.Round >= MaxRounds {
		return true
	}
	if len(a.Resolves) == 0 || len(a.Resolves) != len(b.Resolves) {
		return false
	}
	for _, v := range a.Resolves {
		if !slices.Contains(b.Resolves, v) {
			return false
		}
	}
	return true
}
