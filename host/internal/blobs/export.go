package blobs

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/syncbase/syncbase/host/internal/chunk"
)

// EachPack visits the objects in which the chunks of all blobs lie, with their keys in the object store.
func (s *Store) EachPack(ctx context.Context, visit func(key, data []byte) error) error {
	return s.scan([]byte{spacePack}, func(key, value []byte) error {
		if len(key) != 1+chunk.HashSize || len(value) != 8 {
			return fmt.Errorf("%w: pack record of %d and %d bytes", ErrCorrupt, len(key), len(value))
		}
		object := packObject(chunk.Hash(key[1:]))
		data, err := s.objects.Get(ctx, object, 0, uint64(binary.BigEndian.Uint32(value)))
		if err != nil {
			return fmt.Errorf("read %s: %w", object, err)
		}
		return visit(object, data)
	})
}
