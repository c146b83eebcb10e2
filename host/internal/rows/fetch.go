package rows

import "slices"

// fetch loads the rows of several commits, or of the first of them, at once: that costs much less than looking for those of each. It returns
// the commits that may be in the transaction. It loads nothing where that would change what becomes of them.
func (t *txn) fetch(lists [][]Op) ([][]Op, error) {
	if len(lists) < 2 {
		return lists, nil
	}
	t.wanted = t.wanted[:0]
	for i, ops := range lists {
		if i > 0 && (len(t.wanted)+len(ops) > maxScratchRows || !t.db.entered(ops)) {
			lists = lists[:i]
			break
		}
		for k := range ops {
			coll := t.db.colls[ops[k].Collection]
			if coll == nil || ops[k].Key == "" {
				return lists, nil // it is about collections, too
			}
			t.wanted = append(t.wanted, rowRef{coll, ops[k].Key})
		}
	}
	if err := t.prefetch(t.wanted); err != nil {
		return lists, err
	}
	t.fetched = len(t.order) > 0
	if slices.ContainsFunc(t.order, func(r *rowState) bool { return len(r.Heads) > 1 }) {
		// A commit that writes a row in conflict settles what else is in conflict of the rows that are loaded.
		t.order, t.sorted, t.fetched = t.order[:0], 0, false
	}
	return lists, nil
}

// due is how many commits come before the first that has failed.
func due(all []Started) int {
	if n := slices.IndexFunc(all, func(s Started) bool { return s.err != nil }); n >= 0 {
		return n
	}
	return len(all)
}
