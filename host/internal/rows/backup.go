package rows

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// Backup copies the whole store, databases and all that other rooms keep beside them, into a directory while it is in use. A
// store of which something cannot be read is not copied: a faithful copy of the damage would pass for a backup. Errors:
// kv.ErrDamaged.
func (s *Store) Backup(ctx context.Context, dir string, beside ...func(*kv.Beside) error) (kv.Manifest, error) {
	losses, err := s.kv.Losses(ctx, nil)
	if err != nil {
		return kv.Manifest{}, err
	}
	if n := len(losses); n > 0 {
		return kv.Manifest{}, fmt.Errorf("%w: %s: %s (%d damaged places in all); %s",
			kv.ErrDamaged, losses[0].File, losses[0].Cause, n, kv.WhatNow)
	}
	return s.kv.Backup(ctx, dir, s.opts.Now(), beside...)
}

// restoredEpochs is the least epoch of a restored store. Those of a store that never was are small, so the two never meet.
const restoredEpochs = 1 << 31

// Restore makes a store in dir from a backup. What this device wrote after the backup was taken may have reached peers, so
// the restored store must not make those generations again: it is another writer from now on, in an epoch of its own, who
// holds what the former one had made until the backup. Whatever peers have beyond that comes back by syncing. The function
// random returns a number that is hard to meet twice; no two restores may have the same. Before the store comes to be, beside brings
// back what the backup has beside it.
func Restore(ctx context.Context, backup, dir string, opts kv.Options, random func() uint32, beside func(kv.Manifest) error) (kv.Manifest, error) {
	return kv.Restore(ctx, backup, dir, opts, func(store *kv.Store, m kv.Manifest) error {
		if err := RenewStore(store, random()); err != nil {
			return err
		}
		return beside(m)
	})
}

// RenewStore gives a store that is not what it was (it was restored, say, or copied) a new epoch, and each of its databases,
// before it is opened and written to: what is in it keeps its names, and no name that may have been used elsewhere since is
// used again.
func RenewStore(store *kv.Store, random uint32) error {
	data, err := store.Get(keyWriter)
	if errors.Is(err, kv.ErrNotFound) {
		return nil // a store without a device yet has written nothing
	}
	if err != nil {
		return err
	}
	if len(data) != wire.WriterLen {
		return corrupt("device name", nil)
	}
	writer := wire.DecodeWriter(data)
	epoch := newEpoch(random, writer.Epoch)
	s, err := Open(store, Options{})
	if err != nil {
		return err
	}
	b := store.NewBatch()
	b.Set(keyWriter, wire.AppendWriter(nil, id.Writer{Device: writer.Device, Epoch: epoch}))
	dbs, _ := s.Databases()
	for _, db := range dbs {
		if err := db.renew(b, epoch); err != nil {
			b.Discard()
			return fmt.Errorf("database %s: %w", db.name, err)
		}
	}
	return writeError(b.Commit(kv.Sync))
}

// renew adds to the batch what makes this device another writer in the database.
func (db *DB) renew(b *kv.Batch, epoch uint32) error {
	rec := db.rec
	if own := db.know.Own(); own.Gen > 0 {
		rec.Former = append(slices.Clone(rec.Former), formerEpoch{Epoch: own.Writer.Epoch, Gen: own.Gen, Seq: db.seq})
	}
	rec.epoch, rec.Reserved = epoch, 0
	data, err := rec.encode()
	if err != nil {
		return err
	}
	b.Set(databaseKey(db.name), data)
	former := rec.formerVector(db.writer.Device)
	for _, s := range db.know.Scopes() {
		v := db.know.Stored(s).Clone()
		v.Merge(former)
		num := db.colls[s.Collection].num
		b.Set(rowKey(spaceKnowledge, db.num, num, s.Prefix), wire.AppendVector([]byte{valueVersion}, v))
	}
	return nil
}
