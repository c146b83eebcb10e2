package rows

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// Errors of batches that read.
var (
	// ErrDone means that the batch was committed or aborted before.
	ErrDone     = errors.New("batch has ended")
	ErrReadOnly = errors.New("batch is read-only")
)

// MaxTxReads bounds how many rows and ranges a batch may read: it remembers each until it ends.
const MaxTxReads = 1_000_000

// Tx is a batch that reads: it sees the database as it was at Begin, with its own writes on top, and commits only if
// nothing that it read has changed since. What counts as read is every row it asked for, present or not, every range it
// scanned, the access list of every collection it touched, and which collections there are if it asked; so batches are serializable, and phantoms are impossible.
// Writes that were not read do not conflict: the later commit wins. (H. T. Kung, J. T. Robinson, "On Optimistic Methods
// for Concurrency Control", 1981.)
//
// A Tx holds a snapshot, which keeps space from being reclaimed, until Commit or Abort. Safe for concurrent use.
type Tx struct {
	db       *DB
	readOnly bool
	snap     *kv.Snapshot
	// seq is the last commit that the snapshot has.
	seq uint64
	// reader holds back the reclaiming of what was committed since.
	reader *reader

	// mu guards the fields below it.
	mu     sync.Mutex
	done   bool
	reads  map[txRef]struct{}
	ranges []txRange
	writes map[txRef]*Op
	size   int
	// colls are the collections as the batch has them; begun are those that existed when it began.
	colls map[id.Collection]*txCollection
	begun map[id.Collection]uint32
	// ended are collections of begun that the batch destroyed.
	ended map[id.Collection]bool
	// made counts the collections that the batch created.
	made uint32
	// listed: which collections exist was read.
	listed bool
}

type txRef struct {
	coll uint32
	key  string
}

type txRange struct {
	coll   uint32
	lo, hi string
}

func (r txRange) has(ref txRef) bool {
	return ref.coll == r.coll && ref.key >= r.lo && (r.hi == "" || ref.key < r.hi)
}

// Begin starts a batch on the present state. The caller must Commit or Abort it.
func (db *DB) Begin(readOnly bool) (*Tx, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.alive(); err != nil {
		return nil, err
	}
	t := &Tx{
		db: db, readOnly: readOnly, snap: db.s.kv.Snapshot(), seq: db.seq, reader: db.readers.enter(db.seq), reads: map[txRef]struct{}{},
		writes: map[txRef]*Op{}, colls: map[id.Collection]*txCollection{}, begun: map[id.Collection]uint32{},
		ended: map[id.Collection]bool{},
	}
	for c, coll := range db.colls {
		if c.Kind == id.Rows && coll.perms != nil {
			t.colls[c] = &txCollection{present: coll.present(), list: coll.perms, version: coll.version}
			t.begun[c] = coll.num
		}
	}
	return t, nil
}

// enter checks that the batch is open and that it has the collection, whose access list counts as read. Called with mu
// held.
func (t *Tx) enter(c id.Collection) (*txCollection, error) {
	if t.done {
		return nil, ErrDone
	}
	coll := t.colls[c]
	if coll == nil {
		return nil, fmt.Errorf("%w: %s", ErrNoCollection, c)
	}
	return coll, t.note(txRef{coll.num, ""})
}

func (t *Tx) note(ref txRef) error {
	if len(t.reads)+len(t.ranges) >= MaxTxReads {
		return fmt.Errorf("%w: a batch that reads more than %d rows and ranges", ErrInvalid, MaxTxReads)
	}
	t.reads[ref] = struct{}{}
	return nil
}

// Get returns a row as the batch sees it, or ErrNoRow. A row that the batch itself wrote has no version yet.
func (t *Tx) Get(c id.Collection, key string) (Row, error) {
	if err := id.ValidateKey(key); err != nil {
		return Row{}, refusal{err}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	coll, err := t.enter(c)
	if err != nil {
		return Row{}, err
	}
	ref := txRef{coll.num, key}
	if op := t.writes[ref]; op != nil {
		if op.Kind == OpDelete {
			return Row{}, fmt.Errorf("%w: %s", ErrNoRow, describe(c, key))
		}
		return written(op), nil
	}
	if err := t.note(ref); err != nil {
		return Row{}, err
	}
	row, err := coll.get(t.snap, t.db.num, key)
	if errors.Is(err, kv.ErrNotFound) {
		return Row{}, fmt.Errorf("%w: %s", ErrNoRow, describe(c, key))
	}
	return row, err
}

func written(op *Op) Row { return Row{op.Key, Content{Value: op.Value, Raw: op.Raw, Type: op.Type}} }

// Scan visits the rows of the range as the batch sees them at this moment, in the order of their keys; writes made during
// the scan are not seen by it. What counts as read is the range, up to where visit stops.
func (t *Tx) Scan(c id.Collection, r ScanRange, visit func(*RowView) (bool, error)) error {
	t.mu.Lock()
	coll, err := t.enter(c)
	var own []*Op
	var from present
	var noted int
	if err == nil {
		from = coll.present
		span := r.span(from.num)
		noted = len(t.ranges)
		t.ranges = append(t.ranges, span)
		for ref, op := range t.writes {
			if span.has(ref) {
				own = append(own, op)
			}
		}
	}
	t.mu.Unlock()
	if err != nil {
		return err
	}
	var last []byte
	var left bool
	m := overlay{own: own, reverse: r.Reverse, visit: func(row *RowView) (bool, error) {
		last = append(last[:0], row.Key...)
		more, err := visit(row)
		left = err == nil && !more
		return more, err
	}}
	slices.SortFunc(own, func(a, b *Op) int { return m.compare(a.Key, b.Key) })
	lo, hi := t.db.bounds(from.num, r)
	if err = from.scan(txReader{t}, lo, hi, r.Reverse, m.stored); err == nil && !m.stopped {
		_, err = m.ownBefore("")
	}
	if left {
		t.narrow(noted, string(last), r.Reverse)
	}
	return err
}

// narrow makes of a range that counts as read the part up to the last key that was looked at. Until now all of it counted, as
// a commit beside the scan has to have it.
func (t *Tx) narrow(noted int, last string, reverse bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if reverse {
		t.ranges[noted].lo = last
	} else {
		t.ranges[noted].hi = last + "\x00"
	}
}

// txReader reads the snapshot of a batch that another goroutine may be ending. What was begun goes on to its end.
type txReader struct{ t *Tx }

func (r txReader) Iter(lo, hi []byte) (*kv.Iter, error) {
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	if r.t.done {
		return nil, ErrDone
	}
	return r.t.snap.Iter(lo, hi)
}

func (r txReader) Get(key []byte) ([]byte, error) {
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	if r.t.done {
		return nil, ErrDone
	}
	return r.t.snap.Get(key)
}

// span returns the range as row keys.
func (r ScanRange) span(coll uint32) txRange {
	if r.Prefix == "" {
		return txRange{coll: coll, lo: r.Start, hi: r.Limit}
	}
	return txRange{coll: coll, lo: r.Prefix, hi: string(kv.PrefixEnd([]byte(r.Prefix)))}
}

// overlay merges the rows of a snapshot with the writes of a batch, both in the order of the scan.
type overlay struct {
	own     []*Op
	reverse bool
	visit   func(*RowView) (bool, error)
	stopped bool
}

// compare orders keys as the scan visits them.
func (m *overlay) compare(a, b string) int {
	if m.reverse {
		a, b = b, a
	}
	return strings.Compare(a, b)
}

// stored takes the next row of the snapshot, after the writes that come before it, unless one replaces it.
func (m *overlay) stored(r *RowView) (bool, error) {
	if len(m.own) > 0 {
		key := string(r.Key)
		if more, err := m.ownBefore(key); err != nil || !more {
			return false, err
		}
		if len(m.own) > 0 && m.own[0].Key == key {
			return true, nil // taken from own next time
		}
	}
	more, err := m.visit(r)
	m.stopped = !more
	return more, err
}

// ownBefore visits the writes before key, all of them when it is empty.
func (m *overlay) ownBefore(key string) (bool, error) {
	for len(m.own) > 0 && (key == "" || m.compare(m.own[0].Key, key) < 0) {
		op := m.own[0]
		m.own = m.own[1:]
		if op.Kind == OpDelete {
			continue
		}
		if more, err := m.visit(&RowView{[]byte(op.Key), written(op).Content}); err != nil || !more {
			m.stopped = true
			return false, err
		}
	}
	return true, nil
}

// Write adds puts and deletes to the batch; a later write of a row replaces an earlier one. When an
// operation is invalid, none is added. Checks are for Commit of DB.
func (t *Tx) Write(ops ...Op) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.readOnly {
		return ErrReadOnly
	}
	for i := range ops {
		if ops[i].Kind == OpCheck {
			return atOp(i, ops, fmt.Errorf("%w: a check in a batch that reads", ErrInvalid))
		}
		if err := ops[i].validate(t.db.s.opts.References); err != nil {
			return atOp(i, ops, refusal{err})
		}
	}
	for i := range ops {
		op := &ops[i]
		coll, err := t.enter(op.Collection)
		if err != nil {
			return err
		}
		ref := txRef{coll.num, op.Key}
		more := len(op.Key) + len(op.Value)
		if old := t.writes[ref]; old != nil {
			more -= len(old.Key) + len(old.Value)
		}
		if err := t.grow(more); err != nil {
			return err
		}
		t.writes[ref] = op
	}
	return nil
}

// grow counts what one more operation takes.
func (t *Tx) grow(bytes int) error {
	if t.size+bytes > MaxBatchBytes || len(t.writes)+2*len(t.colls) >= MaxBatchOps+2*len(t.begun) {
		return fmt.Errorf("%w: a batch of more than %d operations or %d bytes", ErrInvalid, MaxBatchOps, MaxBatchBytes)
	}
	t.size += bytes
	return nil
}

// Commit applies the writes if nothing that was read has changed since Begin; otherwise it returns ErrConflict and nothing
// has happened. Either way the batch has ended. A read-only batch has nothing to commit.
func (t *Tx) Commit(guard Guard) ([]id.Version, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.done {
		return nil, ErrDone
	}
	if t.readOnly {
		return nil, ErrReadOnly
	}
	defer t.end()
	ops := t.collectionOps()
	for _, op := range t.writes {
		ops = append(ops, *op)
	}
	slices.SortStableFunc(ops, func(a, b Op) int {
		if c := a.Collection.Compare(b.Collection); c != 0 {
			return c
		}
		return strings.Compare(a.Key, b.Key)
	})
	return t.db.commit(ops, func(txn *txn, colls []*collection) error {
		if err := t.unchanged(); err != nil {
			return err
		}
		for i := range ops {
			if err := t.admit(colls[i], &ops[i], guard); err != nil {
				return err
			}
		}
		return t.db.thawed(ops)
	})
}

// Abort gives the batch up. Aborting one that has ended does nothing.
func (t *Tx) Abort() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.end()
}

func (t *Tx) end() error {
	if t.done {
		return nil
	}
	t.done = true
	t.db.readers.leave(t.reader)
	return t.snap.Close()
}

// unchanged goes through the commits since Begin and looks for a change of something that was read. Called with the
// database's mu held.
func (t *Tx) unchanged() error {
	if t.seq == t.db.seq {
		return nil
	}
	if t.listed && !t.sameCollections() {
		return fmt.Errorf("the list of collections, which the batch read, %w", ErrConflict)
	}
	if t.seq < t.db.floor.Load() {
		return fmt.Errorf("what the batch read is so old that the log since then has been reclaimed: it may have %w", ErrConflict)
	}
	return t.db.eachLearned(t.seq, t.db.seq, func(l *learned) error {
		for _, ch := range l.changes {
			key := ch.key
			if !ch.gone {
				rec, _, err := t.db.logRecord(ch.coll, ch.version)
				if err != nil {
					return err
				}
				key = rec.Key
			}
			ref := txRef{ch.coll, key}
			_, read := t.reads[ref]
			if read || slices.ContainsFunc(t.ranges, func(r txRange) bool { return r.has(ref) }) {
				return fmt.Errorf("%s, which the batch read, %w", describe(t.db.byNum[ch.coll].id, key), ErrConflict)
			}
		}
		return nil
	})
}

// eachLearned visits the commits after the marker up to end.
func (db *DB) eachLearned(after, end uint64, visit func(*learned) error) error {
	_, err := db.readCommits(after, end, func(_ uint64, l *learned) (bool, error) { return true, visit(l) })
	return err
}
