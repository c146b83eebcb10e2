package blobs

import (
	"context"
	"fmt"
	"iter"

	"github.com/syncbase/syncbase/host/internal/chunk"
)

// maxSpan bounds what one read of the object store asks for.
const maxSpan = 2 << 20

// span is a run of chunks that are neighbours both in the order asked for and in one pack.
type span struct {
	pack        chunk.Hash
	offset, end uint32
	// indexes are the chunks' positions in the recipe.
	indexes []int
	data    []byte
	err     error
}

// readChunks visits chunks of the recipe in the order given, each checked against its hash. The next span is read while
// one is being visited. data is the visitor's to keep, but it pins its whole span.
func (s *Store) readChunks(ctx context.Context, recipe chunk.Recipe, order iter.Seq[int], visit func(index int, data []byte) error) error {
	ctx, cancel := context.WithCancel(ctx)
	spans := make(chan span) // from the goroutine below, which closes it
	go func() {
		defer close(spans)
		for sp := range s.planSpans(recipe, order) {
			if sp.err == nil {
				sp.data, sp.err = s.readSpan(ctx, sp)
			}
			select {
			case spans <- sp:
			case <-ctx.Done():
				return
			}
		}
	}()
	defer func() {
		cancel()
		for range spans { // until the goroutine has ended
		}
	}()
	for sp := range spans {
		if sp.err != nil {
			return sp.err
		}
		if err := s.visit(sp, recipe, visit); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// planSpans joins neighbours. An error is the last thing it yields.
func (s *Store) planSpans(recipe chunk.Recipe, order iter.Seq[int]) iter.Seq[span] {
	return func(yield func(span) bool) {
		var sp span
		for i := range order {
			at, err := s.locate(recipe.Hash(i))
			if err == nil && at.length != recipe.Length(i) {
				err = fmt.Errorf("%w: chunk %v has %d bytes in the index and %d in the recipe", ErrCorrupt, recipe.Hash(i), at.length, recipe.Length(i))
			}
			if err != nil {
				yield(span{err: err})
				return
			}
			if at.pack == sp.pack && at.offset == sp.end && at.end()-sp.offset <= maxSpan {
				sp.end = at.end()
				sp.indexes = append(sp.indexes, i)
				continue
			}
			if sp.indexes != nil && !yield(sp) {
				return
			}
			sp = span{pack: at.pack, offset: at.offset, end: at.end(), indexes: []int{i}}
		}
		if sp.indexes != nil {
			yield(sp)
		}
	}
}

func (s *Store) readSpan(ctx context.Context, sp span) ([]byte, error) {
	want := sp.end - sp.offset
	data, err := s.objects.Get(ctx, packObject(sp.pack), uint64(sp.offset), uint64(want))
	if err != nil {
		return nil, fmt.Errorf("read pack %v: %w", sp.pack, err)
	}
	if len(data) != int(want) {
		return nil, fmt.Errorf("%w: pack %v gave %d bytes at offset %d, want %d", ErrCorrupt, sp.pack, len(data), sp.offset, want)
	}
	return data, nil
}

func (s *Store) visit(sp span, recipe chunk.Recipe, visit func(index int, data []byte) error) error {
	rest := sp.data
	for _, i := range sp.indexes {
		n := recipe.Length(i)
		data := rest[:n:n]
		rest = rest[n:]
		if chunk.Sum(data) != recipe.Hash(i) {
			s.suspects.add(sp.pack)
			return fmt.Errorf("%w: chunk %v in pack %v does not match its hash", ErrCorrupt, recipe.Hash(i), sp.pack)
		}
		if err := visit(i, data); err != nil {
			return err
		}
	}
	return nil
}
