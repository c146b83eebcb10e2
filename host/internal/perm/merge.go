package perm

import (
	"maps"
	"slices"
)

// Merge makes one list of two that were made concurrently from the ancestor, nil if that is not known: of every tag, both
// what is let in and what is kept out are what the ancestor had, less what either of them removed, and what either of them
// added. A tag that ends up empty is dropped. A tag that would break a rule of Validate is preferred's: there is always
// somebody with Admin if preferred has one.
//
// The outcome is sorted and depends on the order of the two only by that last rule, so devices that merge the same lists
// write the same bytes.
func Merge(ancestor, preferred, other List) List {
	merged := List{}
	for _, tag := range tagsOf(ancestor, preferred, other) {
		a, p, o := ancestor[tag], preferred[tag], other[tag]
		access := Access{In: MergeSet(a.In, p.In, o.In), NotIn: MergeSet(a.NotIn, p.NotIn, o.NotIn)}
		if len(access.In)+len(access.NotIn) > MaxPatterns {
			access = p.sorted()
		}
		if len(access.In)+len(access.NotIn) > 0 {
			merged[tag] = access
		}
	}
	if !merged[Admin].leavesSomebody() {
		merged[Admin] = preferred[Admin].sorted()
	}
	return merged
}

func tagsOf(lists ...List) []Tag {
	all := map[Tag]bool{}
	for _, l := range lists {
		for tag := range l {
			all[tag] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

func (a Access) sorted() Access {
	return Access{In: MergeSet(nil, a.In, nil), NotIn: MergeSet(nil, a.NotIn, nil)}
}

// MergeSet merges two sets that were made from the ancestor: the ancestor less what either of them removed, and what
// either of them added. The outcome is sorted and has nothing twice; it is nil when empty.
func MergeSet[S ~[]E, E interface{ ~string }](ancestor, one, other S) S {
	var merged S
	for _, e := range slices.Concat(ancestor, one, other) {
		was, inOne, inOther := slices.Contains(ancestor, e), slices.Contains(one, e), slices.Contains(other, e)
		if was && inOne && inOther || !was && (inOne || inOther) {
			merged = append(merged, e)
		}
	}
	slices.Sort(merged)
	return slices.Compact(merged)
}
