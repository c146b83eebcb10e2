package rows

import (
	"slices"

	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/merge"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// MaxOpenHeads bounds the heads that a row keeps while its conflict is open.
const MaxOpenHeads = 16

// settle ends every conflict that the policy leaves to the last writer, as a commit of this device: access lists and the
// metadata of syncgroups are merged, and each other row gets a link from the winner to the losers, and the winner is listed as a change where readers saw another version. Of a conflict
// that stays open only those heads are linked between which there is nothing to decide. It returns how many conflicts
// between different contents there were.
func (t *txn) settle(now hlc.Time) (conflicts int, err error) {
	var contested []*rowState
	for _, row := range t.order {
		if len(row.Heads) > 1 {
			contested = append(contested, row)
		}
	}
	if len(contested) == 0 {
		return 0, nil
	}
	contested, conflicts, err = t.mergeOpen(contested, now)
	if err != nil {
		return 0, err
	}
	stay, err := t.staying(contested)
	if err != nil {
		return 0, err
	}
	var links []link
	for _, row := range contested {
		if row.dirty && differ(row.Heads) {
			conflicts++
		}
		if !stay[row] {
			links = append(links, joinAll(row))
			continue
		}
		some, dropped := joinSome(row)
		links = append(links, some...)
		t.overflow += dropped
	}
	t.writeLinks(links, now)
	return conflicts, nil
}

// differ reports whether some of the heads differ in content.
func differ(heads []history.Head) bool {
	return slices.ContainsFunc(heads, func(h history.Head) bool { return !h.SameContent(&heads[0]) })
}

// link says which heads of a row lose against which.
type link struct {
	row    *rowState
	winner id.Version
	losers []id.Version
}

// joinAll lets the last writer win over all others.
func joinAll(row *rowState) link {
	at := row.at()
	l := link{row: row, winner: row.Heads[at].Version}
	for i := range row.Heads {
		if i != at {
			l.losers = append(l.losers, row.Heads[i].Version)
		}
	}
	return l
}

// joinSome links heads between which there is nothing to decide, because they have the same content or are resolutions of
// the same versions, and those that are too many, to the last writer.
func joinSome(row *rowState) (links []link, dropped int) {
	byTime := slices.Clone(row.Heads)
	slices.SortFunc(byTime, func(a, b history.Head) int { return merge.Compare(&b, &a) })
	var kept []history.Head
	losers := map[id.Version][]id.Version{}
	for i := range byTime {
		h := &byTime[i]
		same := slices.IndexFunc(kept, func(k history.Head) bool { return k.SameContent(h) || merge.SameResolution(&k, h) })
		switch {
		case same >= 0:
			v := kept[same].Version
			losers[v] = append(losers[v], h.Version)
		case len(kept) == MaxOpenHeads:
			v := kept[0].Version
			losers[v] = append(losers[v], h.Version)
			dropped++
		default:
			kept = append(kept, *h)
		}
	}
	for i := range kept {
		if v := kept[i].Version; len(losers[v]) > 0 {
			links = append(links, link{row, v, losers[v]})
		}
	}
	return links, dropped
}

// writeLinks makes the links as commits of this device.
func (t *txn) writeLinks(links []link, now hlc.Time) {
	for i, l := range links {
		if i%wire.MaxCommitRecords == 0 {
			t.startCommit(true, t.db.writer, t.ownGen+1, uint64(min(len(links)-i, wire.MaxCommitRecords)), now)
		}
		row := l.row
		t.ownGen++
		rec := row.JoinSome(row.index(l.winner), row.indices(l.losers), row.key, id.Version{Writer: t.db.writer, Gen: t.ownGen})
		row.logged(rec.Version, t.log(row.coll, &rec))
		row.dirty = true
		t.show(row.coll, row)
	}
}

// index returns where the head of that version is, -1 if it is none.
func (r *rowState) index(v id.Version) int {
	return slices.IndexFunc(r.Heads, func(h history.Head) bool { return h.Version == v })
}

func (r *rowState) indices(versions []id.Version) []int {
	list := make([]int, len(versions))
	for i, v := range versions {
		list[i] = r.index(v)
	}
	return list
}

// staying returns the conflicts that are not for the last writer to settle: those of rows for which the policy names
// somebody else, and those that touch one of these through a batch, because what was written together is decided together.
func (t *txn) staying(contested []*rowState) (map[*rowState]bool, error) {
	stay, w := map[*rowState]bool{}, newWalk(t)
	for _, row := range t.suspects(contested) {
		group, err := w.group(row.rowRef)
		if err != nil {
			return nil, err
		}
		if group.choice(&t.db.policy).Method == merge.Last {
			continue
		}
		for _, other := range group.contested {
			stay[t.loaded(other.ref)] = true
		}
	}
	return stay, nil
}

// suspects returns the conflicts from which staying has to look: those that the policy does not leave to the last writer
// and, if others in the store may be such, all that could be together with them.
func (t *txn) suspects(contested []*rowState) []*rowState {
	p := &t.db.policy
	if p.Settles() {
		return nil
	}
	var list, others []*rowState
	for _, row := range contested {
		if p.For(row.coll.id, row.key, row.Heads).Method != merge.Last {
			list = append(list, row)
		} else {
			others = append(others, row)
		}
	}
	if open, _ := t.db.OpenConflicts(); open > 0 {
		list = append(list, others...)
	}
	return list
}
