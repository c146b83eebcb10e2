package blobs

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"

	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// What is put and known is not written again. So that nothing is acknowledged which cannot be read, that holds only while the
// pack that the index names is there, as long as it was written, and no read has found other bytes in it.

// maxSuspects bounds how many packs are remembered.
const maxSuspects = 100_000

// suspects are the packs that a read found damaged. They are forgotten with the process, and found again by the next read.
type suspects struct {
	// mu guards packs.
	mu    sync.Mutex
	packs map[chunk.Hash]struct{}
}

func (s *suspects) add(pack chunk.Hash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.packs == nil {
		s.packs = map[chunk.Hash]struct{}{}
	}
	if len(s.packs) < maxSuspects {
		s.packs[pack] = struct{}{}
	}
}

func (s *suspects) has(pack chunk.Hash) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, found := s.packs[pack]
	return found
}

func (s *suspects) clear(pack chunk.Hash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.packs, pack)
}

// present reports whether a chunk is stored where it can be read. The caller holds the turn.
func (w *PackWriter) present(ctx context.Context, h chunk.Hash) (bool, error) {
	at, err := w.s.locate(h)
	if errors.Is(err, ErrNotFound) || err == nil && w.s.suspects.has(at.pack) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	whole, asked := w.packs[at.pack]
	if !asked {
		if whole, err = w.s.hasPack(ctx, at.pack); err != nil {
			return false, err
		}
		if w.packs == nil {
			w.packs = map[chunk.Hash]bool{}
		}
		w.packs[at.pack] = whole
	}
	return whole, nil
}

// hasPack asks the object store for the last byte of a pack. One that it cannot give for any reason is not there.
func (s *Store) hasPack(ctx context.Context, name chunk.Hash) (bool, error) {
	record, err := s.kv.Get(hashKey(spacePack, name))
	if errors.Is(err, kv.ErrNotFound) || err == nil && len(record) < 4 {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	length := binary.BigEndian.Uint32(record)
	if length == 0 {
		return false, nil
	}
	data, err := s.objects.Get(ctx, packObject(name), uint64(length)-1, 1)
	return err == nil && len(data) == 1, ctx.Err()
}

// damaged reports whether a pack of this name was found damaged, which an object store may leave as it is when the same pack is put
// once more. The caller holds the turn.
func (w *PackWriter) damaged(name chunk.Hash) bool {
	whole, asked := w.packs[name]
	return asked && !whole || w.s.suspects.has(name)
}
