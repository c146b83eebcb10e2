package kv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// incoming is the directory, within the store's, in which tables are written before they become part of the store. What is
// found there when the store is opened never did.
const incoming = "incoming"

// Tables are sorted tables that become part of the store together: for much that is written at once this takes the place of
// the log, the memory tables, and their being written out and merged later. Not safe for concurrent use.
type Tables struct {
	s     *Store
	paths []string
	w     *sstable.Writer
	// space is that of the keys in the table that is being written.
	space byte
}

// NewTables begins a set of tables. It must be ended by Ingest or Discard.
func (s *Store) NewTables() *Tables { return &Tables{s: s} }

// Set stores a value. Keys ascend from call to call, of Delete too, and each comes once.
func (t *Tables) Set(key, value []byte) error {
	if err := t.reach(key); err != nil {
		return err
	}
	return mapWriteError(t.w.Set(key, value))
}

// Delete removes a key, present or not.
func (t *Tables) Delete(key []byte) error {
	if err := t.reach(key); err != nil {
		return err
	}
	return mapWriteError(t.w.Delete(key))
}

// reach begins a table where a space begins; see tableEnd.
func (t *Tables) reach(key []byte) error {
	if t.w != nil && t.space == key[0] {
		return nil
	}
	if err := t.end(); err != nil {
		return err
	}
	path := t.s.fs.PathJoin(t.s.dir, incoming, fmt.Sprintf("%06d.sst", t.s.tables.Add(1)))
	f, err := t.s.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return mapWriteError(err)
	}
	t.paths = append(t.paths, path)
	t.w, t.space = sstable.NewWriter(objstorageprovider.NewFileWritable(f), t.s.tableOptions), key[0]
	return nil
}

// end completes the table that is being written, and syncs it.
func (t *Tables) end() error {
	if t.w == nil {
		return nil
	}
	w := t.w
	t.w = nil
	return mapWriteError(w.Close())
}

// Ingest makes the tables part of the store, all of them or, after an error, none. When it returns they, and all batches
// applied before, are durable.
func (t *Tables) Ingest() error {
	defer t.Discard()
	if err := errors.Join(t.end(), t.s.broken()); err != nil || len(t.paths) == 0 {
		return err
	}
	t.s.marks.note()
	var refused error
	err := t.s.guarded(func() error {
		// Tables bypass the log, and what they build on may be there, and not synced yet.
		if err := t.s.db.LogData(nil, pebble.Sync); err != nil {
			return err
		}
		err := t.s.db.Ingest(context.Background(), t.paths)
		if outOfFiles(err) { // Pebble could not look into the tables, and has taken none
			refused, err = err, nil
		}
		return err
	})
	return errors.Join(err, refused)
}

// outOfFiles reports whether the process or the machine has no descriptor left, which passes.
func outOfFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// Discard gives up what was not ingested.
func (t *Tables) Discard() {
	_ = t.end()
	for _, path := range t.paths {
		_ = t.s.fs.Remove(path) // Pebble has removed those that it took
	}
	t.paths = nil
}

// openIncoming makes the directory for tables, empty.
func openIncoming(from vfs.FS, dir string) error {
	path := from.PathJoin(dir, incoming)
	if err := from.RemoveAll(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return mapWriteError(from.MkdirAll(path, 0o700))
}

// Ingest is Apply for a batch that may be large: from Options.IngestBytes on it goes into tables, and is durable when Ingest returns.
// The caller must call Wait all the same. Batches that remove ranges, and all while tables wait to be merged, go through the
// log.
func (b *Batch) Ingest() error {
	if b.removes || b.Size() < b.s.ingestFrom || b.s.crowded() {
		return b.apply()
	}
	if err := b.ready(); err != nil {
		return err
	}
	t := b.s.NewTables()
	if err := b.sortInto(t); err != nil {
		t.Discard()
		b.Discard()
		return err
	}
	b.ingested = true
	err := t.Ingest()
	if outOfFiles(err) {
		b.Discard()
	}
	return err
}

// crowdedFrom is how many layers of tables may wait to be merged before batches go through the log again, where Pebble lets
// them wait for it.
const crowdedFrom = 8

func (s *Store) crowded() bool { return s.db.Metrics().Levels[0].Sublevels >= crowdedFrom }

// entry is a write of a batch.
type entry struct {
	key, value []byte
	removes    bool
}

func (e entry) large() bool { return len(e.value) >= largeValue }

// sortInto writes the batch in the order of the keys.
func (b *Batch) sortInto(t *Tables) error {
	var spaces [256][]entry
	for r := b.b.Reader(); ; {
		kind, key, value, more, err := r.Next()
		if err != nil {
			return err
		}
		if !more {
			break
		}
		if kind != pebble.InternalKeyKindSet && kind != pebble.InternalKeyKindDelete || len(key) == 0 {
			return fmt.Errorf("a write of kind %d cannot go into a table", kind)
		}
		spaces[key[0]] = append(spaces[key[0]], entry{key, value, kind == pebble.InternalKeyKindDelete})
	}
	return t.write(spaces[:])
}

// largeValue is from which size of a value on tables are written one after the other: the buffers for each are several times as large.
const largeValue = 256 << 10

// write writes one table for each list, all at the same time, unless there are large values in them.
func (t *Tables) write(lists [][]entry) error {
	if slices.ContainsFunc(lists, func(list []entry) bool { return slices.ContainsFunc(list, entry.large) }) {
		return t.writeInTurn(lists)
	}
	var parts []*Tables
	var errs [256]error
	var all sync.WaitGroup
	for i, list := range lists {
		if len(list) == 0 {
			continue
		}
		part := t.s.NewTables()
		parts = append(parts, part)
		all.Go(func() { errs[i] = part.fill(list) })
	}
	all.Wait()
	for _, part := range parts {
		t.paths = append(t.paths, part.paths...)
	}
	return errors.Join(errs[:]...)
}

func (t *Tables) writeInTurn(lists [][]entry) error {
	for _, list := range lists {
		if err := t.fill(list); err != nil {
			return err
		}
	}
	return nil
}

// fill writes a list to its end; of several writes of a key the last one counts.
func (t *Tables) fill(list []entry) error {
	inOrder := func(a, b entry) int { return bytes.Compare(a.key, b.key) }
	if !slices.IsSortedFunc(list, inOrder) {
		slices.SortStableFunc(list, inOrder)
	}
	for i := range list {
		if i+1 < len(list) && bytes.Equal(list[i].key, list[i+1].key) {
			continue
		}
		if err := t.add(&list[i]); err != nil {
			return errors.Join(err, t.end())
		}
	}
	return t.end()
}

func (t *Tables) add(e *entry) error {
	if e.removes {
		return t.Delete(e.key)
	}
	return t.Set(e.key, e.value)
}

// IngestFrom is from which size on batches go into tables.
func (s *Store) IngestFrom() int { return s.ingestFrom }
