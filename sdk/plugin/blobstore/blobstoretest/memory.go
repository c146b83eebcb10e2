package blobstoretest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/syncbase/syncbase/sdk/plugin"
	"github.com/syncbase/syncbase/sdk/plugin/blobstore"
)

// Memory is a store that forgets everything when its process ends; for tests, and as the shortest example of a Store.
type Memory struct {
	// MaxBytes bounds the sum of all sizes; 0 means no bound. It is set before the first use.
	MaxBytes int64

	mu      sync.Mutex // guards the fields below
	objects map[blobstore.Key][]byte
	used    int64
}

var _ blobstore.Store = (*Memory)(nil)

// MemoryKind serves m under every configuration.
func MemoryKind(m *Memory) plugin.Kind {
	return blobstore.Kind(func(context.Context, plugin.Setup) (blobstore.Store, error) { return m, nil })
}

// Put implements blobstore.Store.
func (m *Memory) Put(_ context.Context, object blobstore.Object, r io.Reader) (blobstore.Outcome, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, there := m.objects[object.Key]; there {
		return blobstore.Exists, nil
	}
	if m.MaxBytes > 0 && m.used+object.Size > m.MaxBytes {
		return 0, fmt.Errorf("%w: %d bytes of %d are in use", blobstore.ErrFull, m.used, m.MaxBytes)
	}
	if m.objects == nil {
		m.objects = map[blobstore.Key][]byte{}
	}
	m.objects[object.Key] = data
	m.used += object.Size
	return blobstore.Stored, nil
}

func (m *Memory) find(key blobstore.Key) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.objects[key]
	if !ok {
		return nil, fmt.Errorf("%w: %x", blobstore.ErrNotFound, key)
	}
	return data, nil
}

// Open implements blobstore.Store.
func (m *Memory) Open(_ context.Context, key blobstore.Key, offset, _ int64) (io.ReadCloser, int64, error) {
	data, err := m.find(key)
	if err != nil {
		return nil, 0, err
	}
	size := int64(len(data))
	return io.NopCloser(bytes.NewReader(data[min(offset, size):])), size, nil
}

// Stat implements blobstore.Store.
func (m *Memory) Stat(_ context.Context, key blobstore.Key) (blobstore.Info, error) {
	data, err := m.find(key)
	return blobstore.Info{Key: key, Size: int64(len(data))}, err
}

// List implements blobstore.Store.
func (m *Memory) List(ctx context.Context, prefix, startAfter blobstore.Key) iter.Seq2[blobstore.Info, error] {
	m.mu.Lock()
	keys := slices.Sorted(maps.Keys(m.objects))
	m.mu.Unlock()
	return func(yield func(blobstore.Info, error) bool) {
		for _, key := range keys {
			if key <= startAfter || !strings.HasPrefix(string(key), string(prefix)) {
				continue
			}
			info, err := m.Stat(ctx, key)
			if err != nil {
				continue // deleted since
			}
			if !yield(info, nil) {
				return
			}
		}
	}
}

// Delete implements blobstore.Store.
func (m *Memory) Delete(_ context.Context, key blobstore.Key) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used -= int64(len(m.objects[key]))
	delete(m.objects, key)
	return nil
}

// Usage implements blobstore.Store.
func (m *Memory) Usage(context.Context) (blobstore.Usage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	usage := blobstore.Usage{Objects: uint64(len(m.objects)), Bytes: uint64(m.used), Available: blobstore.Unknown}
	if m.MaxBytes > 0 {
		usage.Available = m.MaxBytes - m.used
	}
	return usage, nil
}
