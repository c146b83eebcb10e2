package blobs

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// IndexRow records, in the batch that changes a row from old to new, which blobs the row refers to; nil means that there is
// no row. A blob that is referred to and not whole becomes missing, for EachMissing. Only values that are JSON are to be
// given. A value without references costs one search for a short text.
func (s *Store) IndexRow(b *kv.Batch, db, collection uint32, key string, old, new []byte) error {
	before, after := Refs(old), Refs(new)
	for _, ref := range before {
		if !slices.Contains(after, ref) {
			b.Delete(referenceKey(ref, db, collection, key))
		}
	}
	for _, ref := range after {
		if slices.Contains(before, ref) {
			continue
		}
		b.Set(referenceKey(ref, db, collection, key), nil)
		whole, err := s.isWhole(ref)
		if err != nil {
			return err
		}
		if !whole {
			b.Set(hashKey(spaceMissing, ref), nil)
		}
	}
	return nil
}

// CheckValue refuses a JSON value to be written here in which a reference is malformed; see CheckRefs.
func (s *Store) CheckValue(value []byte) error { return CheckRefs(value) }

// Keep refers to the blob from the database itself, as one that was put through it: collection 0, which no row has, and
// an empty key.
func (s *Store) Keep(ref chunk.Ref, db uint32) error {
	b := s.kv.NewBatch()
	b.Set(referenceKey(ref, db, 0, ""), nil)
	return b.Commit(kv.Sync)
}

// ReferencedBy visits the rows that refer to the blob, and the databases that Keep it as (database, 0, "").
func (s *Store) ReferencedBy(ref chunk.Ref, visit func(db, collection uint32, key string) error) error {
	const prefix = 1 + chunk.HashSize
	return s.scan(hashKey(spaceReference, ref), func(key, _ []byte) error {
		if len(key) < prefix+8 {
			return fmt.Errorf("%w: reference record of %d bytes", ErrCorrupt, len(key))
		}
		return visit(binary.BigEndian.Uint32(key[prefix:]), binary.BigEndian.Uint32(key[prefix+4:]), string(key[prefix+8:]))
	})
}

// EachMissing visits the blobs that a row refers to and that are not whole, in the order of their references. Records of
// blobs that have become whole in the meantime are removed on the way.
func (s *Store) EachMissing(visit func(chunk.Ref) error) error {
	stale := s.kv.NewBatch()
	err := s.scan([]byte{spaceMissing}, func(key, _ []byte) error {
		ref := chunk.Ref(key[1:])
		whole, err := s.isWhole(ref)
		if err != nil {
			return err
		}
		if whole {
			stale.Delete(key)
			return nil
		}
		referenced, err := s.isReferenced(ref)
		if err != nil || !referenced {
			return err
		}
		return visit(ref)
	})
	if err != nil {
		stale.Discard()
		return err
	}
	return stale.Commit(kv.NoSync)
}

func (s *Store) isReferenced(ref chunk.Ref) (bool, error) {
	prefix := hashKey(spaceReference, ref)
	it, err := s.kv.Iter(prefix, kv.PrefixEnd(prefix))
	if err != nil {
		return false, err
	}
	referenced := it.First()
	return referenced, it.Close()
}
