package blobs

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// Sentinels that callers branch on.
var (
	// ErrNotFound means that nothing of the blob is here.
	ErrNotFound = errors.New("blob is not here")
	// ErrPartial means that some chunks of the blob are missing.
	ErrPartial = errors.New("blob is not complete here")
	// ErrCorrupt means that stored or received bytes do not match their hash or their format.
	ErrCorrupt = errors.New("blob data is corrupt")
	// ErrRange means that a range lies outside the blob.
	ErrRange = errors.New("range lies outside the blob")
)

// Objects is where packs live: a flat name space of immutable objects. Implementations are safe for concurrent use.
type Objects interface {
	// Put stores an object and returns once it is durable. Putting the same object again succeeds. It keeps no reference to
	// data after it has returned.
	Put(ctx context.Context, key, data []byte) error
	// Get returns length bytes from offset, which the caller may keep and change.
	Get(ctx context.Context, key []byte, offset, length uint64) ([]byte, error)
	// Delete removes objects, present or not.
	Delete(ctx context.Context, keys ...[]byte) error
}

// Store holds the blobs of one device. Safe for concurrent use.
type Store struct {
	kv      *kv.Store
	objects Objects
	recipes recipeCache
	// buffers holds []byte of retired packs, as *[]byte.
	buffers sync.Pool
	// chunkers holds idle *chunk.Chunker.
	chunkers sync.Pool

	suspects suspects

	// mu makes the change of a blob's state a single step.
	mu sync.Mutex
}

// New returns the blobs of a key-value store and an object store, both of which stay the caller's.
func New(store *kv.Store, objects Objects) *Store {
	return &Store{kv: store, objects: objects}
}

// Stat describes a blob.
type Stat struct {
	Ref   chunk.Ref
	Size  uint64
	State State
}

// Stat returns ErrNotFound when not even the recipe is here.
func (s *Store) Stat(ref chunk.Ref) (Stat, error) {
	record, err := s.record(ref)
	if err != nil {
		return Stat{}, err
	}
	return Stat{Ref: ref, Size: record.size, State: record.state}, nil
}

// List visits the blobs in the order of their references, partial ones included.
func (s *Store) List(visit func(Stat) error) error {
	return s.scan([]byte{spaceBlob}, func(key, value []byte) error {
		record, err := decodeBlobRecord(value)
		if err != nil {
			return err
		}
		return visit(Stat{Ref: chunk.Ref(key[1:]), Size: record.size, State: record.state})
	})
}

// Has reports whether the chunk is stored.
func (s *Store) Has(h chunk.Hash) (bool, error) {
	_, err := s.kv.Get(hashKey(spaceChunk, h))
	if errors.Is(err, kv.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Missing returns the positions of the recipe whose chunks are not stored.
func (s *Store) Missing(recipe chunk.Recipe) ([]uint32, error) {
	var missing []uint32
	for i := range recipe.Len() {
		found, err := s.Has(recipe.Hash(i))
		if err != nil {
			return nil, err
		}
		if !found {
			missing = append(missing, uint32(i))
		}
	}
	return missing, nil
}

func (s *Store) record(ref chunk.Ref) (blobRecord, error) {
	value, err := s.kv.Get(hashKey(spaceBlob, ref))
	if errors.Is(err, kv.ErrNotFound) {
		return blobRecord{}, fmt.Errorf("%w: %v", ErrNotFound, ref)
	}
	if err != nil {
		return blobRecord{}, err
	}
	return decodeBlobRecord(value)
}

// isWhole reports whether every chunk of the blob is here.
func (s *Store) isWhole(ref chunk.Ref) (bool, error) {
	record, err := s.record(ref)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return record.state == Whole, err
}

func (s *Store) locate(h chunk.Hash) (position, error) {
	value, err := s.kv.Get(hashKey(spaceChunk, h))
	if errors.Is(err, kv.ErrNotFound) {
		return position{}, fmt.Errorf("%w: chunk %v", ErrNotFound, h)
	}
	if err != nil {
		return position{}, err
	}
	return decodePosition(value)
}

// scan visits the keys with a prefix; key and value are valid during the visit.
func (s *Store) scan(prefix []byte, visit func(key, value []byte) error) error {
	it, err := s.kv.Iter(prefix, kv.PrefixEnd(prefix))
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		if err := visit(it.Key(), it.Value()); err != nil {
			return errors.Join(err, it.Close())
		}
	}
	return it.Close()
}
