package delta

import "github.com/syncbase/syncbase/host/internal/id"

// Frontier returns up to where a scope is stable: each version that the result covers is held by everybody, and so is
// everything that was written without knowing it. Own is what this device holds, acks are what each of the others has said
// it holds; one that has said nothing is a nil vector.
//
// As long as somebody holds more than this device, something may be on its way here that knows nothing of a version
// everybody holds by now; so nothing is stable then. (G. T. J. Wuu, A. J. Bernstein, "Efficient solutions to the replicated
// log and dictionary problems", 1984.)
func Frontier(own id.Vector, acks []id.Vector) id.Vector {
	stable := own.Clone()
	for _, ack := range acks {
		if !own.Dominates(ack) {
			return id.Vector{}
		}
		stable = Least(stable, ack)
	}
	return stable
}

// Least returns what both vectors cover.
func Least(a, b id.Vector) id.Vector {
	least := id.Vector{}
	for w, g := range a {
		if g = min(g, b[w]); g > 0 {
			least[w] = g
		}
	}
	return least
}
