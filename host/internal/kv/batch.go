package kv

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
)

// Batch collects writes that happen together. It is not safe for concurrent use, and useless after Commit or Apply.
type Batch struct {
	s *Store
	b *pebble.Batch
	// err is the first failure of a write; it surfaces when the batch is applied.
	err error
	// reclaims: see Reclaims.
	reclaims bool
	// removes: there is a range to remove.
	removes bool
	// ingested: it is durable already.
	ingested bool
}

// NewBatch returns an empty batch.
func (s *Store) NewBatch() *Batch { return &Batch{s: s, b: s.db.NewBatch()} }

// Reserve makes room in an empty batch for so many bytes, if they are more than it has anyway.
func (b *Batch) Reserve(n int) {
	const anyway = 1 << 10
	if n > anyway && b.b.Empty() {
		b.Discard()
		b.b = b.s.db.NewBatchWithSize(n)
	}
}

// Set stores a value; both slices may be reused afterwards.
func (b *Batch) Set(key, value []byte) { b.note(b.b.Set(key, value, nil)) }

// Delete removes a key, present or not.
func (b *Batch) Delete(key []byte) { b.note(b.b.Delete(key, nil)) }

// DeleteRange removes lo <= key < hi with one record, however many keys there are.
func (b *Batch) DeleteRange(lo, hi []byte) {
	b.removes = true
	b.note(b.b.DeleteRange(lo, hi, nil))
}

// Size is how many bytes the batch takes in the log.
func (b *Batch) Size() int { return b.b.Len() }

// Reserved is how many bytes the batch takes in memory.
func (b *Batch) Reserved() int { return cap(b.b.Repr()) }

// Empty reports whether there is nothing to write.
func (b *Batch) Empty() bool { return b.b.Empty() }

func (b *Batch) note(err error) {
	if b.err == nil {
		b.err = err
	}
}

// Discard gives up a batch that was not applied.
func (b *Batch) Discard() { _ = b.b.Close() }

// Commit applies the batch and, with Sync, waits until it is durable.
func (b *Batch) Commit(d Durability) error {
	if err := b.ready(); err != nil {
		return err
	}
	err := b.s.guarded(func() error { return b.s.db.Apply(b.b, &pebble.WriteOptions{Sync: bool(d)}) })
	if err != nil {
		return err
	}
	reclaims := b.reclaims && b.removes
	if err := b.b.Close(); err != nil || !reclaims {
		return err
	}
	b.s.giveBack()
	return nil
}

// Apply makes the batch visible and starts to make it durable. The caller must call Wait afterwards, from any goroutine:
// this is how commits that follow one another share one sync of the log.
//
// One that no memory table takes goes into tables, as Ingest would have it: Pebble keeps it in memory, as it is, until it is flushed, and
// several of those are more than anybody has counted on.
func (b *Batch) Apply() error {
	if b.Size() >= b.s.applyBelow {
		return b.Ingest()
	}
	return b.apply()
}

func (b *Batch) apply() error {
	if err := b.ready(); err != nil {
		return err
	}
	return b.s.guarded(func() error { return b.s.db.ApplyNoSyncWait(b.b, pebble.Sync) })
}

// Wait returns when an applied batch is durable, with all batches applied before it.
func (b *Batch) Wait() error {
	if b.ingested {
		return b.b.Close()
	}
	if err := b.s.guarded(b.b.SyncWait); err != nil {
		return err
	}
	return b.b.Close()
}

// ready reports why the batch cannot be written, if it cannot, and gives it up.
func (b *Batch) ready() error {
	err := b.err
	if err == nil {
		err = b.s.broken()
	}
	if err == nil {
		err = b.s.room(b)
	}
	if err == nil {
		b.s.marks.note()
	}
	if err != nil {
		b.Discard()
	}
	return err
}

// guarded writes, and marks the store as failed when that goes wrong: by an error or by Pebble giving up. The batch is left
// to the collector then, as Pebble may still refer to it.
func (s *Store) guarded(write func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			gaveUp, is := cause.(fatal)
			if !is {
				panic(cause)
			}
			err = errors.New(string(gaveUp))
		}
		if err != nil {
			cause := err
			s.failed.CompareAndSwap(nil, &cause)
			err = s.broken()
		}
	}()
	return write()
}

// broken returns ErrFailed once the log could not be written.
func (s *Store) broken() error {
	cause := s.failed.Load()
	if cause == nil {
		return nil
	}
	if errors.Is(*cause, syscall.ENOSPC) {
		return fmt.Errorf("%w: %w: %v", ErrFailed, ErrFull, *cause)
	}
	return fmt.Errorf("%w: %v", ErrFailed, *cause)
}
