package blobs

import (
	"bytes"
	"context"
	"errors"

	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// RuleBytes: the object store gives the bytes of every chunk in the index. Only Verify looks.
const RuleBytes Rule = "blob-bytes"

// verifyPage is how many references are held at a time.
const verifyPage = 1000

// VerifyOptions of Verify.
type VerifyOptions struct {
	// Lost tells of an error of the object store that the bytes are not there any more, or not what they were; any other ends the
	// work. Without it every error of the object store does.
	Lost func(err error) bool
	// Verified is told how many blobs were read, and how many bytes there are in them. It may be nil.
	Verified func(blobs int, bytes uint64)
}

// Verify reads from the object store what is here of every blob, checks it against the hashes, and reports each blob of which something
// is damaged or gone. A blob that is removed meanwhile is passed over, one that comes may be. It holds a few MiB in memory at most; what is
// found damaged is written again by the next put of the same content.
func (s *Store) Verify(ctx context.Context, opts VerifyOptions, report func(ref chunk.Ref, why error)) error {
	after, blobs, size := []byte{spaceBlob}, 0, uint64(0)
	for {
		refs, err := s.refsFrom(after)
		if err != nil || len(refs) == 0 {
			return err
		}
		for _, ref := range refs {
			n, err := s.verify(ctx, ref)
			lost := errors.Is(err, ErrCorrupt) || errors.Is(err, ErrNotFound) || err != nil && opts.Lost != nil && opts.Lost(err)
			if err != nil && !lost {
				return err
			}
			if _, gone := s.record(ref); lost && gone == nil {
				report(ref, err)
			}
			if blobs, size = blobs+1, size+n; opts.Verified != nil {
				opts.Verified(blobs, size)
			}
		}
		after = append(hashKey(spaceBlob, refs[len(refs)-1]), 0)
	}
}

// refsFrom returns some references from a key on.
func (s *Store) refsFrom(key []byte) (refs []chunk.Ref, err error) {
	it, err := s.kv.Iter(key, kv.PrefixEnd([]byte{spaceBlob}))
	if err != nil {
		return nil, err
	}
	for ok := it.First(); ok && len(refs) < verifyPage; ok = it.Next() {
		if key := it.Key(); len(key) == 1+chunk.HashSize {
			refs = append(refs, chunk.Ref(bytes.Clone(key[1:])))
		}
	}
	return refs, it.Close()
}

// verify reads the chunks of a blob that are stored, and returns how many bytes that were.
func (s *Store) verify(ctx context.Context, ref chunk.Ref) (size uint64, err error) {
	record, err := s.record(ref)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	recipe, err := s.Recipe(ref)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var failed error
	stored := func(yield func(int) bool) {
		for i := range recipe.Len() {
			found, err := record.state == Whole, error(nil)
			if !found {
				found, err = s.Has(recipe.Hash(i))
			}
			if failed = err; err != nil || found && !yield(i) {
				return
			}
		}
	}
	err = s.readChunks(ctx, recipe, stored, func(_ int, data []byte) error {
		size += uint64(len(data))
		return nil
	})
	return size, errors.Join(err, failed)
}
