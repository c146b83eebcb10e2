package blobs

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// DropDatabase removes, in the batch, every reference from rows of a database. It reads all references there are:
// destroying a database is rare.
func (s *Store) DropDatabase(b *kv.Batch, db uint32) error {
	const prefix = 1 + chunk.HashSize
	it, err := s.kv.Iter([]byte{spaceReference}, []byte{spaceReference + 1})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		key := it.Key()
		if len(key) < prefix+8 {
			return errors.Join(fmt.Errorf("%w: reference record of %d bytes", ErrCorrupt, len(key)), it.Close())
		}
		if binary.BigEndian.Uint32(key[prefix:]) == db {
			b.Delete(key)
		}
	}
	return it.Close()
}
