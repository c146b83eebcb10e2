package rows

import (
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/wire"
	"github.com/syncbase/syncbase/internal/strictjson"
)

// Limits of a batch.
const (
	MaxBatchOps   = wire.MaxCommitRecords
	MaxBatchBytes = 32 << 20
)

// OpKind tells what an operation does.
type OpKind uint8

const (
	OpPut OpKind = iota
	OpDelete
	// OpCheck makes the batch fail unless the row is as expected.
	OpCheck
	// OpCreate, OpDestroy and OpList are what a Guard is asked about collections themselves: making one (there is no list
	// yet), destroying it, and replacing its access list.
	OpCreate
	OpDestroy
	OpList
)

// Op is one operation of a batch.
type Op struct {
	Kind OpKind
	// Raw: the value of a put is bytes, and not JSON.
	Raw bool
	// whole: a conflict of the row ends with the operation.
	whole      bool
	Collection id.Collection
	Key        string
	// Value of a put, and its type.
	Value []byte
	Type  string
	// Expect belongs to OpCheck.
	Expect *Expect
	// resolve is set for one that resolves a conflict.
	resolve *Resolution
	// discard is set for one that gives up a record.
	discard *discard
}

// Expect is what a check demands: that the row is absent, or has the version if one is given, or else has the value, and the
// type if one is given.
type Expect struct {
	Absent  bool
	Version id.Version
	Value   []byte
	Type    string
}

// Guard is asked, while nothing else can change the database, whether the caller may do an operation of this kind on a
// collection with this access list. An error refuses the whole batch and is passed on.
type Guard func(c id.Collection, list perm.List, kind OpKind) error

// Commit applies the operations together: all of them or, after an error, none. It returns when the batch survives power
// loss (or, in a database with Async, when readers see it), with one version for each operation: of the record that a put or delete made (for several writes of one row, the
// last), zero for a check and for a delete of what is absent. Checks and deletes see the state before the batch.
//
// Errors: ErrInvalid, ErrNoCollection, ErrConflict (a check failed), ErrFrozen, ErrQuota, ErrReadOnlyStore, ErrDestroyed and what
// guard returns. What is wrong with one operation is an *OpError.
func (db *DB) Commit(ops []Op, guard Guard) ([]id.Version, error) {
	started := db.StartCommits([][]Op{ops}, guard)[0]
	return started.Wait()
}

// admit checks that the collection exists and that the guard lets the operation pass.
func (db *DB) admit(coll *collection, kind OpKind, guard Guard) error {
	if coll.id.Kind == id.Rows && coll.perms == nil {
		return fmt.Errorf("%w: %s", ErrNoCollection, coll.id)
	}
	if guard == nil {
		return nil
	}
	return guard(coll.id, coll.perms, kind)
}

// commit runs the operations after ready has agreed to the collections they touch.
func (db *DB) commit(ops []Op, ready func(t *txn, colls []*collection) error) ([]id.Version, error) {
	var started [1]Started
	db.startCommits([][]Op{ops}, started[:], func(t *txn, colls []*collection, _ []Op) error { return ready(t, colls) })
	return started[0].Wait()
}

// roomFor is about how many bytes the operations take: each row is written twice, with its key, and some more.
func roomFor(ops []Op) int {
	const more, once = 104, 4 << 10
	n := 0
	for i := range ops {
		n += 2*(len(ops[i].Key)+len(ops[i].Value)) + more
	}
	if n > once {
		n += once // a batch that is short of a few bytes takes three times as much until it is copied
	}
	return n
}

// effective evaluates the checks and returns the row of each operation and the positions of the operations that make a
// record: for each row the last write, unless it deletes what is absent.
func (t *txn) effective(ops []Op, colls []*collection) (touched []*rowState, todo []int, err error) {
	t.wanted, t.states = t.wanted[:0], t.states[:0]
	for i := range ops {
		t.wanted = append(t.wanted, rowRef{colls[i], ops[i].Key})
	}
	if err := t.prefetch(t.wanted); err != nil {
		return nil, nil, err
	}
	if err := t.prepare(ops, colls); err != nil {
		return nil, nil, err
	}
	for i := range ops {
		op := &ops[i]
		row, err := t.row(colls[i], op.Key)
		if err != nil {
			return nil, nil, err
		}
		t.states = append(t.states, row)
		if op.Kind != OpCheck {
			row.write = i
		} else if why := op.Expect.unmet(row); why != "" {
			return nil, nil, atOp(i, ops, &unmetError{fmt.Sprintf("check of %s failed: %s", describe(op.Collection, op.Key), why)})
		}
	}
	todo = slices.Grow(t.todo[:0], len(ops))
	for i, row := range t.states {
		// A collection that is destroyed and made anew has a record for either.
		anew := ops[i].Kind == OpDelete && ops[i].Key == ""
		if (row.write == i || anew) && !ops[i].idle(row) {
			todo = append(todo, i)
		}
	}
	t.todo = todo
	return t.states, todo, nil
}

// writeOps makes one commit of the operations in todo; touched has the row of each operation, and versions takes what it has then.
func (t *txn) writeOps(versions []id.Version, ops []Op, touched []*rowState, todo []int) {
	self := t.db.writer
	at := t.db.clock.Next(t.db.now())
	for _, i := range todo {
		row := touched[i]
		at = max(at, row.Time()+1)
		if d := ops[i].discard; d != nil && d.time <= hlc.MaxTime {
			at = max(at, d.time+1)
		}
		if len(row.Heads) == 0 && row.coll.droppedAt > 0 {
			// Others may still have a tombstone of the row that is gone here: what is written now has to win against it.
			at = max(at, row.coll.droppedAt+1)
		}
	}
	t.startCommit(false, self, t.ownGen+1, uint64(len(todo)), at)
	t.commits[len(t.commits)-1].changes = t.room(len(todo))
	var rec wire.Record // one for all: it would be made anew for each
	for _, i := range todo {
		op, row := &ops[i], touched[i]
		t.ownGen++
		rec = wire.Record{Version: id.Version{Writer: self, Gen: t.ownGen}, Key: op.Key}
		if len(row.Heads) > 0 || op.discard != nil {
			next := t.ancestry(op, row)
			rec.Parents, rec.Seen, rec.Beside = next.Parents, next.Seen, next.Beside
		} else if t.forgotten(row) {
			rec.Seen = row.coll.dropped.Clone()
			delete(rec.Seen, self)
		}
		if op.Kind == OpDelete {
			rec.Kind = wire.Delete
			if ends(op.Collection, &rec) {
				rec.Seen = t.held(row.coll, rec.Seen)
				delete(rec.Seen, self) // its own earlier versions are always in it
			}
		} else {
			rec.Value, rec.Raw, rec.Type = op.Value, op.Raw, op.Type
		}
		op.resolves(&rec, row)
		t.record(row.coll, row, &rec)
		row.made = rec.Version
	}
	for i := range ops {
		if ops[i].Kind != OpCheck {
			versions[i] = touched[i].made
		}
	}
}

// forgotten reports whether of a row, which has no heads, a tombstone may be gone here, where conflicts are left to somebody. Then
// it has to be said what the row follows from, for others may still have the tombstone, and nobody is to be asked about the two.
// Where the last writer always wins the time is enough, and costs no room.
func (t *txn) forgotten(row *rowState) bool {
	return len(row.coll.dropped) > 0 && !t.db.policy.Settles()
}

// ancestry returns what an operation is written on top of: what readers see. Other heads stay open, unless the whole row is
// to go.
func (t *txn) ancestry(op *Op, row *rowState) history.Ancestry {
	if op.discard != nil {
		t.contested = t.contested || len(row.Heads) > 1
		return op.discard.ancestry(row, t.db.writer)
	}
	if len(row.Heads) < 2 || op.whole || op.resolve != nil {
		return row.Next(t.db.writer)
	}
	t.contested = true
	return row.NextOn(t.db.writer, []int{row.at()})
}

func (db *DB) validateOps(ops []Op) error {
	if len(ops) == 0 || len(ops) > MaxBatchOps {
		return fmt.Errorf("%w: a batch of %d operations, want 1 to %d", ErrInvalid, len(ops), MaxBatchOps)
	}
	size := 0
	var last id.Collection
	for i := range ops {
		op := &ops[i]
		if op.Collection != last {
			if err := op.Collection.Validate(); err != nil {
				return atOp(i, ops, refusal{err})
			}
			last = op.Collection
		}
		if err := op.validate(db.s.opts.References); err != nil {
			return atOp(i, ops, refusal{err})
		}
		size += len(op.Key) + len(op.Value)
	}
	if size > MaxBatchBytes {
		return fmt.Errorf("%w: a batch of %d bytes, the limit is %d", ErrInvalid, size, MaxBatchBytes)
	}
	return nil
}

func (op *Op) validate(refs References) error {
	if err := id.ValidateKey(op.Key); err != nil {
		return err
	}
	if op.Kind == OpCheck && op.Expect == nil {
		return fmt.Errorf("a check of %q expects nothing", op.Key)
	}
	if op.Kind != OpPut {
		return nil
	}
	if err := id.ValidateType(op.Type); err != nil {
		return err
	}
	if len(op.Value) > wire.MaxValueLen {
		return fmt.Errorf("value of %d bytes for %q, the limit is %d; larger things belong into a blob", len(op.Value), op.Key, wire.MaxValueLen)
	}
	if op.Raw {
		return nil
	}
	return op.validateJSON(refs)
}

// validateJSON may be asked about a value of any size up to the limit, on every put: each step is one pass at most.
func (op *Op) validateJSON(refs References) error {
	plain := plainJSON(op.Value)
	if !plain && !json.Valid(op.Value) {
		return fmt.Errorf("value for %q cannot be kept as JSON: %w; store bytes as raw (--raw)", op.Key, strictjson.Syntax(op.Value))
	}
	// What json.Valid calls a text may hold any bytes, and readers would each see something else in their place.
	if !plain && !utf8.Valid(op.Value) {
		return fmt.Errorf("value for %q is JSON with text that is not UTF-8; store bytes as raw (--raw)", op.Key)
	}
	if refs == nil || op.Collection.Kind != id.Rows {
		return nil
	}
	if err := refs.CheckValue(op.Value); err != nil {
		return fmt.Errorf("value for %q: %w", op.Key, err)
	}
	return nil
}

// CreateCollection makes an empty collection with the access list.
func (db *DB) CreateCollection(c id.Collection, list perm.List) error {
	if err := validateCollection(c, list); err != nil {
		return err
	}
	_, err := db.commit([]Op{listOp(c, list)}, func(_ *txn, colls []*collection) error {
		if colls[0].perms != nil {
			return fmt.Errorf("collection %s %w", c, ErrExists)
		}
		return db.thawed([]Op{listOp(c, list)})
	})
	return err
}

// SetCollectionPermissions replaces the access list. With a version it fails with ErrConflict unless that is still the
// list's.
func (db *DB) SetCollectionPermissions(c id.Collection, list perm.List, version id.Version, guard Guard) (id.Version, error) {
	if err := validateCollection(c, list); err != nil {
		return id.Version{}, err
	}
	versions, err := db.commit([]Op{listOp(c, list)}, func(_ *txn, colls []*collection) error {
		if err := db.admit(colls[0], OpPut, guard); err != nil {
			return err
		}
		if now := colls[0].version; !version.IsZero() && now != version {
			return fmt.Errorf("access list of %s has version %s, not %s: it %w", c, now, version, ErrConflict)
		}
		return db.thawed([]Op{listOp(c, list)})
	})
	if err != nil {
		return id.Version{}, err
	}
	return versions[0], nil
}

func validateCollection(c id.Collection, list perm.List) error {
	if err := c.Validate(); err != nil {
		return refusal{err}
	}
	if c.Kind != id.Rows {
		return fmt.Errorf("%w: %s is not a collection of rows", ErrInvalid, c)
	}
	if err := list.Validate(perm.CollectionTags); err != nil {
		return refusal{err}
	}
	return nil
}

func listOp(c id.Collection, list perm.List) Op {
	return Op{Kind: OpPut, Collection: c, Value: list.Marshal()}
}

// DestroyCollection deletes the access list of the collection and, with the same record, every row that this device holds
// of it: they are gone at once, for readers here and for every device that learns of it, and a collection of the same name
// made later is empty. What the rows took is swept away in the background (Sweep). Watchers see the end of the collection,
// not that of each row.
func (db *DB) DestroyCollection(c id.Collection, guard Guard) error {
	if err := c.Validate(); err != nil {
		return refusal{err}
	}
	_, err := db.commit([]Op{{Kind: OpDelete, Collection: c}}, func(_ *txn, colls []*collection) error {
		if err := db.admit(colls[0], OpDelete, guard); err != nil {
			return err
		}
		return db.destroyable(c)
	})
	return err
}
