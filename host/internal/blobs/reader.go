package blobs

import (
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/syncbase/syncbase/host/internal/chunk"
)

// Reader reads a whole blob. Safe for concurrent use; there is nothing to close.
type Reader struct {
	s      *Store
	recipe chunk.Recipe
}

// Open returns a reader, ErrNotFound, or ErrPartial.
func (s *Store) Open(ref chunk.Ref) (*Reader, error) {
	record, err := s.record(ref)
	if err != nil {
		return nil, err
	}
	if record.state != Whole {
		return nil, fmt.Errorf("%w: %v", ErrPartial, ref)
	}
	recipe, err := s.Recipe(ref)
	if err != nil {
		return nil, err
	}
	return &Reader{s: s, recipe: recipe}, nil
}

// Size returns the length of the blob.
func (r *Reader) Size() uint64 { return r.recipe.Size() }

// WriteTo writes length bytes from offset to w, fewer where the blob ends before, and returns how many it wrote. Every byte
// was verified before it is written. An offset beyond the end is ErrRange.
func (r *Reader) WriteTo(ctx context.Context, w io.Writer, offset, length uint64) (int64, error) {
	if offset > r.Size() {
		return 0, fmt.Errorf("%w: offset %d of a blob of %d bytes", ErrRange, offset, r.Size())
	}
	end := offset + min(length, r.Size()-offset)
	var written int64
	err := r.s.readChunks(ctx, r.recipe, Covering(r.recipe, offset, end), func(i int, data []byte) error {
		n, err := w.Write(Clip(r.recipe, i, data, offset, end))
		written += int64(n)
		return err
	})
	return written, err
}

// ReadAt fills p from offset like an io.ReaderAt: it returns io.EOF when the blob ends before p is full.
func (r *Reader) ReadAt(ctx context.Context, p []byte, offset uint64) (int, error) {
	w := sliceWriter{rest: p}
	n, err := r.WriteTo(ctx, &w, offset, uint64(len(p)))
	if err == nil && int(n) < len(p) {
		err = io.EOF
	}
	return int(n), err
}

// sliceWriter fills a slice that is long enough.
type sliceWriter struct{ rest []byte }

func (w *sliceWriter) Write(data []byte) (int, error) {
	n := copy(w.rest, data)
	w.rest = w.rest[n:]
	return n, nil
}

// Covering yields the chunks that hold the bytes offset <= b < end.
func Covering(recipe chunk.Recipe, offset, end uint64) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := recipe.Find(offset); i < recipe.Len() && recipe.Start(i) < end; i++ {
			if !yield(i) {
				return
			}
		}
	}
}

// Clip returns the part of chunk i, whose bytes are data, that lies within offset <= b < end.
func Clip(recipe chunk.Recipe, i int, data []byte, offset, end uint64) []byte {
	start := recipe.Start(i)
	if stop := start + uint64(len(data)); stop > end {
		data = data[:uint64(len(data))-(stop-end)]
	}
	if start < offset {
		data = data[offset-start:]
	}
	return data
}

// ReadChunk returns one stored chunk of a recipe, verified, whether or not the blob is whole.
func (s *Store) ReadChunk(ctx context.Context, recipe chunk.Recipe, index int) ([]byte, error) {
	var chunkData []byte
	err := s.readChunks(ctx, recipe, func(yield func(int) bool) { yield(index) }, func(_ int, data []byte) error {
		chunkData = data
		return nil
	})
	return chunkData, err
}
