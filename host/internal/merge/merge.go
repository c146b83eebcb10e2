// Package merge holds the policies that settle conflicts.
//
// A policy sees the heads of one row and says which one wins. It is a pure function with the same answer on every device,
// since each device settles the conflicts it sees and all of them have to agree. Read LastWins.
package merge

import (
	"cmp"

	"github.com/syncbase/syncbase/host/internal/history"
)

// LastWins returns the index of the head that was written last: the greatest time, and between equal times the greatest
// version. It is a total order, so any two devices agree, whatever they compare first.
func LastWins(heads []history.Head) int {
	best := 0
	for i := range heads {
		if compare(&heads[i], &heads[best]) > 0 {
			best = i
		}
	}
	return best
}

func compare(a, b *history.Head) int {
	if c := cmp.Compare(a.Time, b.Time); c != 0 {
		return c
	}
	return a.Version.Compare(b.Version)
}
