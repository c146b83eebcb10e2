package plug

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	blobstorev1 "github.com/syncbase/syncbase/sdk/api/blobstore/v1"
)

// Bounds of the blob store protocol.
const (
	MaxObjectSize = 64 << 20 // what Put takes and Read returns
	maxKey        = 128
	maxRanges     = 1024
	maxKeys       = 1000
	maxPage       = 1000

	unaryLimit = time.Minute
	usageLimit = 30 * time.Second
)

// BlobStore is a flat name space of immutable objects that a plugin keeps. An object is whole or absent; it is durable
// and visible when Put returns. Content is not verified here. Safe for concurrent use.
type BlobStore struct{ caller }

// BlobStore returns the facade of an instance of kind blobstore. The instance need not exist yet.
func (h *Host) BlobStore(name string) *BlobStore {
	return &BlobStore{caller{host: h, kind: KindBlobStore, name: name}}
}

// Range is a part of an object.
type Range struct {
	Key    []byte
	Offset uint64
	Length uint64 // 0 means to the end of the object
}

// Entry describes an object.
type Entry struct {
	Key     []byte
	Size    uint64
	Missing bool // only from Stat: there is no such object
}

// Usage is the space that a store takes.
type Usage struct {
	Objects, Bytes uint64
	// Available is how many bytes can still be stored, if Bounded.
	Available uint64
	Bounded   bool
}

// ItemError is the failure of one item of a call with several.
type ItemError struct {
	Index int
	Key   []byte
	Err   error
}

func (e *ItemError) Error() string { return fmt.Sprintf("item %d, key %x: %v", e.Index, e.Key, e.Err) }

func (e *ItemError) Unwrap() error { return e.Err }

// Features lists the optional abilities of the store, waiting for it to be ready.
func (b *BlobStore) Features(ctx context.Context) (features []string, err error) {
	err = b.do(ctx, "features", func(_ context.Context, l *live) error {
		features = l.desc.features
		return nil
	})
	return features, err
}

// Stat returns one entry for each key, in order. If some keys fail, the error joins an ItemError for each of them, and
// the entries of the others are valid.
func (b *BlobStore) Stat(ctx context.Context, keys ...[]byte) ([]Entry, error) {
	entries := make([]Entry, len(keys))
	err := b.batches(ctx, "stat", keys, func(ctx context.Context, l *live, first int, batch [][]byte) ([]error, error) {
		resp, err := blobstorev1.NewBlobStoreServiceClient(l.conn).Stat(ctx, &blobstorev1.StatRequest{Keys: batch})
		if err != nil {
			return nil, err
		}
		if len(resp.GetEntries()) != len(batch) {
			return nil, fmt.Errorf("%w: %d entries for %d keys", ErrProtocol, len(resp.GetEntries()), len(batch))
		}
		faults := make([]error, len(batch))
		for i, e := range resp.GetEntries() {
			if !bytes.Equal(e.GetKey(), batch[i]) {
				return nil, fmt.Errorf("%w: entry %d is of another key", ErrProtocol, i)
			}
			faults[i] = fromFault(e.GetFault())
			entries[first+i] = Entry{Key: batch[i], Size: e.GetSize(), Missing: e.GetMissing()}
		}
		return faults, nil
	})
	return entries, err
}

// Delete removes objects; what is absent is no failure. If some keys fail, the error joins an ItemError for each.
func (b *BlobStore) Delete(ctx context.Context, keys ...[]byte) error {
	return b.batches(ctx, "delete", keys, func(ctx context.Context, l *live, _ int, batch [][]byte) ([]error, error) {
		resp, err := blobstorev1.NewBlobStoreServiceClient(l.conn).Delete(ctx, &blobstorev1.DeleteRequest{Keys: batch})
		if err != nil {
			return nil, err
		}
		if len(resp.GetFaults()) != len(batch) {
			return nil, fmt.Errorf("%w: %d answers for %d keys", ErrProtocol, len(resp.GetFaults()), len(batch))
		}
		faults := make([]error, len(batch))
		for i, f := range resp.GetFaults() {
			faults[i] = fromFault(f)
		}
		return faults, nil
	})
}

// batches calls fn with as many keys as one message may carry and joins the failures of items.
func (b *BlobStore) batches(ctx context.Context, op string, keys [][]byte,
	fn func(ctx context.Context, l *live, first int, batch [][]byte) ([]error, error),
) error {
	if err := checkKeys(keys); err != nil {
		return b.wrap(op, err)
	}
	var failed []error
	for first := 0; first < len(keys); first += maxKeys {
		batch := keys[first:min(first+maxKeys, len(keys))]
		var faults []error
		err := b.unary(ctx, op, unaryLimit, func(ctx context.Context, l *live) (err error) {
			faults, err = fn(ctx, l, first, batch)
			return err
		})
		if err != nil {
			return err
		}
		for i, fault := range faults {
			if fault != nil {
				failed = append(failed, &ItemError{Index: first + i, Key: batch[i], Err: fault})
			}
		}
	}
	if len(failed) > 0 {
		return b.wrap(op, errors.Join(failed...))
	}
	return nil
}

func checkKeys(keys [][]byte) error {
	for i, key := range keys {
		if len(key) == 0 || len(key) > maxKey {
			return fmt.Errorf("key %d has %d bytes, want 1 to %d", i, len(key), maxKey)
		}
	}
	return nil
}

// List visits all objects whose keys start with prefix and are greater than startAfter, in ascending order, until visit
// returns an error, which List then returns. An entry is visited once, also when the plugin is restarted meanwhile.
func (b *BlobStore) List(ctx context.Context, prefix, startAfter []byte, visit func(Entry) error) error {
	last := startAfter
	return b.do(ctx, "list", func(ctx context.Context, l *live) error {
		ctx, touch, stop := watch(ctx, progressLimit)
		defer stop()
		stream, err := blobstorev1.NewBlobStoreServiceClient(l.conn).List(ctx,
			&blobstorev1.ListRequest{Prefix: prefix, StartAfter: last})
		if err != nil {
			return streamError(ctx, err)
		}
		for {
			page, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return streamError(ctx, err)
			}
			if last, err = visitPage(page, prefix, last, visit); err != nil {
				return err
			}
			touch()
		}
	})
}

func visitPage(page *blobstorev1.ListResponse, prefix, last []byte, visit func(Entry) error) ([]byte, error) {
	if len(page.GetEntries()) > maxPage {
		return last, fmt.Errorf("%w: a page of %d entries", ErrProtocol, len(page.GetEntries()))
	}
	for _, e := range page.GetEntries() {
		key := e.GetKey()
		if len(key) == 0 || len(key) > maxKey || !bytes.HasPrefix(key, prefix) || bytes.Compare(key, last) <= 0 {
			return last, fmt.Errorf("%w: key %x does not follow %x under prefix %x", ErrProtocol, key, last, prefix)
		}
		if err := visit(Entry{Key: key, Size: e.GetSize()}); err != nil {
			return last, visitError{err}
		}
		last = key
	}
	return last, nil
}

// Usage returns the space that the store takes.
func (b *BlobStore) Usage(ctx context.Context) (usage Usage, err error) {
	err = b.unary(ctx, "usage", usageLimit, func(ctx context.Context, l *live) error {
		resp, err := blobstorev1.NewBlobStoreServiceClient(l.conn).Usage(ctx, &blobstorev1.UsageRequest{})
		if err != nil {
			return err
		}
		usage = Usage{
			Objects: resp.GetObjects(), Bytes: resp.GetBytes(),
			Available: resp.GetAvailable(), Bounded: resp.Available != nil,
		}
		return nil
	})
	return usage, err
}

// streamError prefers the reason for which a stream was given up on this side. The end of a stream that should have gone
// on is the plugin's mistake.
func streamError(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, errStalled) {
		return cause
	}
	return err
}
