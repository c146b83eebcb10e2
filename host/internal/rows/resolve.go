package rows

import (
	"fmt"
	"slices"

	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// Resolution says how the conflict of a row ends.
type Resolution struct {
	ConflictRef
	// Siblings are the versions between which was decided; the row must still be in conflict between just these. None
	// means whatever there is. A row that was only drawn into a group has one.
	Siblings []id.Version
	// Pick is the sibling whose content the row is to have; if it is zero, Delete or the value decide.
	Pick   id.Version
	Delete bool
	Value  []byte
	Raw    bool
	Type   string
}

// Resolve ends conflicts together, as one commit: each row gets a new version that follows from all of its siblings. Their
// content lives on in the history alone. It returns the versions, in the order of the resolutions; that of a row which was
// only drawn in and has the content already is zero.
//
// Errors: ErrNoConflict, ErrConflict (the siblings have changed), ErrInvalid, and those of Commit; nothing has happened then.
func (db *DB) Resolve(list []Resolution, guard Guard) ([]id.Version, error) {
	ops := make([]Op, len(list))
	seen := map[ConflictRef]bool{}
	for i := range list {
		r := &list[i]
		if seen[r.ConflictRef] {
			return nil, fmt.Errorf("%w: %s is resolved twice", ErrInvalid, r.ConflictRef)
		}
		seen[r.ConflictRef] = true
		ops[i] = Op{Kind: OpPut, Collection: r.Collection, Key: r.Key, Value: r.Value, Raw: r.Raw, Type: r.Type, resolve: r}
		switch {
		case r.Delete:
			ops[i].Kind, ops[i].Value = OpDelete, nil
		case !r.Pick.IsZero():
			ops[i].Value, ops[i].Raw = nil, true // taken from the sibling
		}
	}
	return db.Commit(ops, guard)
}

// prepare fills in what the operations that resolve take from the rows. It is called before anything is written.
func (t *txn) prepare(ops []Op, colls []*collection) error {
	for i := range ops {
		op := &ops[i]
		if op.resolve == nil {
			continue
		}
		row, err := t.row(colls[i], op.Key)
		if err != nil {
			return err
		}
		if err := op.take(row); err != nil {
			return err
		}
	}
	return nil
}

// take checks that a row is as the resolver saw it, and takes the content that was picked.
func (op *Op) take(row *rowState) error {
	r := op.resolve
	if len(row.Heads) < 2 && len(r.Siblings) != 1 {
		return errNoConflict(r.ConflictRef)
	}
	if len(r.Siblings) > 0 && !sameSiblings(row.Heads, r.Siblings) {
		return fmt.Errorf("the conflict of %s %w: there are other versions now", r.ConflictRef, ErrConflict)
	}
	if r.Pick.IsZero() {
		return nil
	}
	at := row.index(r.Pick)
	if at < 0 {
		return fmt.Errorf("%w: %s is not one of the versions of %s in conflict", ErrInvalid, r.Pick, r.ConflictRef)
	}
	h := &row.Heads[at]
	if op.Kind = OpPut; h.Deleted {
		op.Kind = OpDelete
	}
	op.Value, op.Raw, op.Type = h.Value, h.Raw, h.Type
	return nil
}

func sameSiblings(heads []history.Head, versions []id.Version) bool {
	if len(heads) != len(versions) {
		return false
	}
	for i := range heads {
		if !slices.Contains(versions, heads[i].Version) {
			return false
		}
	}
	return true
}

// idle reports whether the operation changes nothing: it deletes what is absent, or keeps a row that was only drawn in.
func (op *Op) idle(row *rowState) bool {
	if op.discard != nil {
		return op.discard.needless(row)
	}
	if len(row.Heads) > 1 && op.resolve != nil {
		return false
	}
	if op.Kind == OpDelete {
		return row.live() == nil && !(op.whole && len(row.Heads) > 1)
	}
	if op.resolve == nil || op.resolve.Pick.IsZero() {
		return false
	}
	return true
}

// resolves marks a record that ends a conflict between the heads of the row.
func (op *Op) resolves(rec *wire.Record, row *rowState) {
	if op.resolve == nil || len(rec.Parents) < 2 {
		return
	}
	for i := range row.Heads {
		rec.Round = max(rec.Round, row.Heads[i].Round)
	}
	rec.Round = min(rec.Round+1, wire.MaxRound)
}

// Settle lets the last writer win in rows whose conflicts the policy leaves to it, and returns how many that were. It is
// for those that were open when the policy changed.
func (db *DB) Settle(refs []ConflictRef) (settled int, err error) {
	t, p, settled, err := db.settleLocked(refs)
	if err != nil || t == nil {
		return 0, err
	}
	return settled, t.finish(p)
}

func (db *DB) settleLocked(refs []ConflictRef) (*txn, Published, int, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.alive(); err != nil {
		return nil, Published{}, 0, err
	}
	t := db.begin()
	var err error
	for _, ref := range refs {
		if coll := db.colls[ref.Collection]; coll != nil && err == nil {
			_, err = t.row(coll, ref.Key)
		}
	}
	if err == nil {
		_, err = t.settle(db.clock.Next(db.now()))
	}
	if err != nil || len(t.commits) == 0 {
		t.b.Discard()
		return nil, Published{}, 0, err
	}
	settled := 0
	for _, row := range t.order {
		if len(row.open) > 0 && len(row.Heads) == 1 {
			settled++
		}
	}
	p, err := t.apply(db.know)
	return t, p, settled, err
}
