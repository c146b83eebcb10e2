package id

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Vector is a generation vector: for each writer the highest generation known without gaps. A missing entry means 0.
// (D. S. Parker et al., "Detection of mutual inconsistency in distributed systems", 1983.)
type Vector map[Writer]uint64

// Order is how two vectors relate.
type Order int

const (
	Equal Order = iota
	Before
	After
	Concurrent
)

// Covers reports whether v is known.
func (x Vector) Covers(v Version) bool { return x[v.Writer] >= v.Gen }

// Add makes v known, with everything its writer wrote before.
func (x Vector) Add(v Version) {
	if x[v.Writer] < v.Gen {
		x[v.Writer] = v.Gen
	}
}

// Merge raises x to the entry-wise maximum of x and y.
func (x Vector) Merge(y Vector) {
	for w, g := range y {
		if x[w] < g {
			x[w] = g
		}
	}
}

// Clone returns a copy that is never nil.
func (x Vector) Clone() Vector {
	if x == nil {
		return Vector{}
	}
	return maps.Clone(x)
}

// Dominates reports whether x knows everything that y knows.
func (x Vector) Dominates(y Vector) bool {
	for w, g := range y {
		if x[w] < g {
			return false
		}
	}
	return true
}

// Compare says how x relates to y.
func (x Vector) Compare(y Vector) Order {
	over, under := x.Dominates(y), y.Dominates(x)
	switch {
	case over && under:
		return Equal
	case over:
		return After
	case under:
		return Before
	}
	return Concurrent
}

// Writers returns the writers in ascending order.
func (x Vector) Writers() []Writer {
	return slices.SortedFunc(maps.Keys(x), Writer.Compare)
}

// String lists the entries in the order of their writers, for messages and transcripts.
func (x Vector) String() string {
	var b strings.Builder
	b.WriteByte('{')
	for i, w := range x.Writers() {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(w.String())
		b.WriteByte(':')
		b.WriteString(strconv.FormatUint(x[w], 10))
	}
	b.WriteByte('}')
	return b.String()
}
