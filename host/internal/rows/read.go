package rows

import (
	"errors"
	"fmt"

	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// Row is a row as it stands.
type Row struct {
	Key string
	Content
}

// Content is what a row has beside its key.
type Content struct {
	Value   []byte
	Raw     bool
	Type    string
	Version id.Version
	Time    hlc.Time
}

// RowView is a row in the course of a scan. It is valid only during the visit, with Key and Value: what is to be kept has to be
// copied.
type RowView struct {
	Key []byte
	Content
}

// ScanRange selects rows: Start <= key < Limit, an empty Limit being no limit. With Prefix the other two are not used.
type ScanRange struct {
	Prefix, Start, Limit string
	// Reverse visits them in descending order.
	Reverse bool
}

// Get returns a row, or ErrNoRow.
func (db *DB) Get(c id.Collection, key string) (Row, error) {
	if err := id.ValidateKey(key); err != nil {
		return Row{}, refusal{err}
	}
	v, err := db.readable(c)
	if err != nil {
		return Row{}, err
	}
	row, err := v.get(db.s.kv, db.num, key)
	if errors.Is(err, kv.ErrNotFound) {
		return Row{}, fmt.Errorf("%w: %s", ErrNoRow, describe(c, key))
	}
	return row, err
}

// present is a collection as a reader has it at one moment.
type present struct {
	num uint32
	// hidden covers versions of rows that may still be stored though they were destroyed.
	hidden id.Vector
}

func (c *collection) present() present { return present{num: c.num, hidden: c.burial.hidden()} }

// get reads a row; kv.ErrNotFound when there is none.
func (v present) get(from kv.Reader, db uint32, key string) (Row, error) {
	data, err := from.Get(rowKey(spaceRow, db, v.num, key))
	if err != nil {
		return Row{}, err
	}
	row, err := decodeRow(key, data)
	if err == nil && v.hidden.Covers(row.Version) {
		return Row{}, kv.ErrNotFound
	}
	return row, err
}

// readable returns a collection that exists. A syncgroup's metadata has no access list of its own.
func (db *DB) readable(c id.Collection) (present, error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.alive(); err != nil {
		return present{}, err
	}
	coll := db.colls[c]
	if coll == nil || coll.perms == nil && c.Kind == id.Rows {
		return present{}, fmt.Errorf("%w: %s", ErrNoCollection, c)
	}
	return coll.present(), nil
}

func decodeRow(key string, data []byte) (Row, error) {
	row := Row{Key: key}
	err := row.decode(data)
	if err != nil {
		err = fmt.Errorf("row %q: %w", key, err)
	}
	return row, err
}

// decode reads a stored row into c, which aliases data.
func (c *Content) decode(data []byte) error {
	if c.decodePlain(data) {
		return nil
	}
	head, err := decodeHead(data)
	if err != nil {
		return err
	}
	c.Value, c.Raw, c.Type, c.Version, c.Time = head.Value, head.Raw, head.Type, head.Version, head.Time
	return nil
}

// Scan visits the rows of the range in the order of their keys, as they were at one moment. Visit returns false to stop.
func (db *DB) Scan(c id.Collection, r ScanRange, visit func(*RowView) (bool, error)) error {
	v, err := db.readable(c)
	if err != nil {
		return err
	}
	lo, hi := db.bounds(v.num, r)
	return v.scan(db.s.kv, lo, hi, r.Reverse, visit)
}

// bounds returns the keys that enclose the range; the collection's own record, whose row key is empty, is left out.
func (db *DB) bounds(coll uint32, r ScanRange) (lo, hi []byte) {
	prefix := collKey(spaceRow, db.num, coll)
	if r.Prefix != "" {
		lo = rowKey(spaceRow, db.num, coll, r.Prefix)
		return lo, kv.PrefixEnd(lo)
	}
	lo, hi = rowKey(spaceRow, db.num, coll, r.Start), kv.PrefixEnd(prefix)
	if r.Start == "" {
		lo = append(lo, 0)
	}
	if r.Limit != "" {
		hi = rowKey(spaceRow, db.num, coll, r.Limit)
	}
	return lo, hi
}

func (v present) scan(from kv.Reader, lo, hi []byte, reverse bool, visit func(*RowView) (bool, error)) error {
	it, err := from.Iter(lo, hi)
	if err != nil {
		return err
	}
	var row RowView
	for ok := start(it, reverse); ok; ok = step(it, reverse) {
		row.Key = it.Key()[collKeyLen:]
		if err = row.decode(it.Value()); err != nil {
			err = fmt.Errorf("row %q: %w", row.Key, err)
			break
		}
		if len(v.hidden) > 0 && v.hidden.Covers(row.Version) {
			continue
		}
		if ok, err = visit(&row); err != nil || !ok {
			break
		}
	}
	return errors.Join(err, it.Close())
}

func start(it *kv.Iter, reverse bool) bool {
	if reverse {
		return it.Last()
	}
	return it.First()
}

func step(it *kv.Iter, reverse bool) bool {
	if reverse {
		return it.Prev()
	}
	return it.Next()
}

// Local is a small value that an upper room keeps with the database on this device alone.
func (db *DB) Local(name id.Name) ([]byte, error) {
	return db.s.kv.Get(appendName(dbKey(spaceSyncgroup, db.num), name))
}

// SetLocal stores a local value durably; nil removes it.
func (db *DB) SetLocal(name id.Name, value []byte) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.alive(); err != nil {
		return err
	}
	key := appendName(dbKey(spaceSyncgroup, db.num), name)
	b := db.s.kv.NewBatch()
	if value == nil {
		b.Delete(key)
	} else {
		b.Set(key, value)
	}
	if err := b.Commit(kv.Sync); err != nil {
		return writeError(err)
	}
	db.meta.Add(1)
	db.stir()
	return nil
}

// Locals visits the local values in order of their names.
func (db *DB) Locals(visit func(name id.Name, value []byte) error) error {
	prefix := dbKey(spaceSyncgroup, db.num)
	it, err := db.s.kv.Iter(prefix, kv.PrefixEnd(prefix))
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		name, valid := parseName(it.Key()[len(prefix):])
		if !valid {
			err = corrupt("local value", nil)
			break
		}
		err = visit(name, it.Value())
	}
	return errors.Join(err, it.Close())
}
