package rows

import (
	"errors"
	"slices"

	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// Destroying a collection is one record: the deletion of its access list, which says in Seen what its writer held of the
// collection at that moment. Every version of a row that it covers is buried: on each device that has the record it counts
// as deleted, whenever it arrives. Buried versions keep their place in the graph of their row, so conflicts are settled as
// ever and all devices agree; what they hold is swept away later (sweep.go), without a record for each row.

// burial is what is known of the rows of a collection that were destroyed with it. It is replaced, never changed.
type burial struct {
	// reach covers the buried versions; empty when the collection was never destroyed.
	reach id.Vector
	// swept says that no buried row is stored any more.
	swept bool
}

// hidden covers the versions that readers have to pass over, nil when there are none.
func (b burial) hidden() id.Vector {
	if b.swept {
		return nil
	}
	return b.reach
}

// Values of a burial.
const (
	burialSweeping = 0
	burialSwept    = 1
)

func (b burial) encode() []byte {
	state := byte(burialSweeping)
	if b.swept {
		state = burialSwept
	}
	return wire.AppendVector([]byte{valueVersion, state}, b.reach)
}

func decodeBurial(data []byte) (burial, error) {
	if len(data) < 2 || data[0] != valueVersion || data[1] > burialSwept {
		return burial{}, corrupt("burial", nil)
	}
	reach, err := wire.DecodeVector(data[2:])
	if err != nil {
		return burial{}, corrupt("burial", err)
	}
	return burial{reach: reach, swept: data[1] == burialSwept}, nil
}

func (db *DB) loadBurial(coll *collection) error {
	data, err := db.s.kv.Get(collKey(spaceBurial, db.num, coll.num))
	if errors.Is(err, kv.ErrNotFound) {
		return nil
	}
	if err == nil {
		coll.burial, err = decodeBurial(data)
	}
	return err
}

// Buried covers the versions of rows that were destroyed with an earlier life of the collection; it is not to be changed.
// Whoever shows the log leaves them out: the access list of the present life was not made for them.
func (db *DB) Buried(c id.Collection) id.Vector {
	db.mu.Lock()
	defer db.mu.Unlock()
	if coll := db.colls[c]; coll != nil {
		return coll.burial.reach
	}
	return nil
}

// ends reports whether the record destroys its collection.
func ends(c id.Collection, rec *wire.Record) bool {
	return rec.Key == "" && rec.Kind == wire.Delete && c.Kind == id.Rows
}

// held adds to seen everything that this device holds of a collection. The log is asked as well as the knowledge, which
// does not outlive a membership.
func (t *txn) held(coll *collection, seen id.Vector) id.Vector {
	seen = seen.Clone()
	for _, s := range t.db.know.Scopes() {
		if s.Collection == coll.id {
			seen.Merge(t.db.know.Stored(s))
		}
	}
	prefix := collKey(spaceLog, t.db.num, coll.num)
	it, err := t.db.s.kv.Iter(prefix, kv.PrefixEnd(prefix))
	if err != nil {
		t.fault = err
		return seen
	}
	for ok := it.First(); ok; ok = it.Next() {
		w := slices.Clone(it.Key()[:collKeyLen+wire.WriterLen])
		if !it.SeekLT(kv.PrefixEnd(w)) {
			break
		}
		seen.Add(id.Version{Writer: wire.DecodeWriter(w[collKeyLen:]), Gen: logGen(it.Key())})
	}
	t.fault = first(t.fault, it.Close())
	return seen
}

// bury takes note that a record ends its collection, and returns what it did to the rows that the transaction has touched.
func (t *txn) bury(coll *collection, rec *wire.Record) (gone []change) {
	reach := t.reach(coll).Clone()
	reach.Merge(rec.Seen)
	reach.Add(rec.Version)
	if t.burials == nil {
		t.burials = map[*collection]burial{}
	}
	t.burials[coll] = burial{reach: reach}
	t.b.Set(collKey(spaceBurial, t.db.num, coll.num), burial{reach: reach}.encode())
	sums := collKey(spaceDigest, t.db.num, coll.num) // they are made anew when they are asked for
	t.b.DeleteRange(sums, kv.PrefixEnd(sums))
	t.enrollOpen(coll)
	for _, row := range t.order {
		if row.coll != coll || row.key == "" {
			continue
		}
		was := row.visible
		if t.layRow(row); was && !row.visible {
			gone = append(gone, change{coll: coll.num, version: row.shown, buried: true})
		}
	}
	return gone
}

// enrollOpen makes the rows of the collection that are in conflict known to the transaction, since there may be nothing left
// to decide about them.
func (t *txn) enrollOpen(coll *collection) {
	prefix := collKey(spaceOpen, t.db.num, coll.num)
	it, err := t.db.s.kv.Iter(prefix, kv.PrefixEnd(prefix))
	if err != nil {
		t.fault = err
		return
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		key := it.Key()[collKeyLen:]
		_, err = t.row(coll, string(key[:max(len(key)-openSuffixLen, 0)]))
		t.contested = true
	}
	t.fault = first(t.fault, errors.Join(err, it.Close()))
}

// reach covers the buried versions of a collection as the transaction sees it.
func (t *txn) reach(coll *collection) id.Vector {
	if b, changed := t.burials[coll]; changed {
		return b.reach
	}
	return coll.burial.reach
}

// layRow makes the heads of a row that are buried deletions.
func (t *txn) layRow(row *rowState) {
	reach := t.reach(row.coll)
	if len(reach) == 0 || row.key == "" {
		return
	}
	var laid []history.Head
	for i := range row.Heads {
		if h := &row.Heads[i]; !h.Deleted && reach.Covers(h.Version) {
			if laid == nil {
				laid = slices.Clone(row.Heads)
			}
			laid[i].Deleted, laid[i].Raw, laid[i].Type, laid[i].Value = true, false, "", nil
			row.visible = row.visible && h.Version != row.shown
		}
	}
	if laid != nil {
		row.Heads = laid
	}
}

func (t *txn) list(changes ...change) {
	c := &t.commits[len(t.commits)-1]
	c.changes = append(c.changes, changes...)
}

// hide lists as deletions the rows that a record has buried although it did not end the collection, since the access list
// was replaced elsewhere at the same time.
func (t *txn) hide(coll *collection, gone []change) {
	t.list(gone...)
	before, after := coll.burial.reach, t.reach(coll)
	t.eachStored(coll, func(v id.Version) {
		if after.Covers(v) && !before.Covers(v) {
			t.list(change{coll: coll.num, version: v, buried: true})
		}
	})
}

// resurface lists the rows that are seen again because the collection was made anew: those of other devices that whoever
// destroyed it had not heard of.
func (t *txn) resurface(coll *collection) {
	reach := t.reach(coll)
	if len(reach) == 0 {
		return
	}
	for _, row := range t.order {
		if row.coll == coll && row.key != "" && row.visible {
			t.list(change{coll: coll.num, version: row.shown})
		}
	}
	if reach.Dominates(t.held(coll, nil)) {
		return
	}
	t.eachStored(coll, func(v id.Version) {
		if !reach.Covers(v) {
			t.list(change{coll: coll.num, version: v})
		}
	})
}

// eachStored visits the versions of the rows that lie in the store and that the transaction has not touched.
func (t *txn) eachStored(coll *collection, visit func(id.Version)) {
	prefix := collKey(spaceRow, t.db.num, coll.num)
	it, err := t.db.s.kv.Iter(append(slices.Clone(prefix), 0), kv.PrefixEnd(prefix))
	if err != nil {
		t.fault = err
		return
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		key := string(it.Key()[collKeyLen:])
		if t.loaded(rowRef{coll, key}) != nil {
			continue
		}
		var row Row
		if row, err = decodeRow(key, it.Value()); err == nil {
			visit(row.Version)
		}
	}
	t.fault = first(t.fault, errors.Join(err, it.Close()))
}
