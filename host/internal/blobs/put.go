package blobs

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/syncbase/syncbase/host/internal/chunk"
)

// PutBlob stores what r yields until io.EOF and returns its reference and size. When it returns without an error the blob
// is whole and durable. After an error nothing refers to it; chunks that were stored already are found again when the
// same content is put again.
func (s *Store) PutBlob(ctx context.Context, r io.Reader) (chunk.Ref, uint64, error) {
	w := s.NewPackWriter(ctx)
	recipe, err := fill(ctx, w, r)
	if err != nil {
		w.Discard()
		return chunk.Ref{}, 0, err
	}
	if err := w.Close(ctx); err != nil {
		return chunk.Ref{}, 0, err
	}
	if err := s.setState(recipe, Whole); err != nil {
		return chunk.Ref{}, 0, err
	}
	return recipe.Ref(), recipe.Size(), nil
}

func fill(ctx context.Context, w *PackWriter, r io.Reader) (chunk.Recipe, error) {
	var b chunk.Builder
	chunker := w.s.takeChunker(r)
	defer w.s.giveChunker(chunker)
	for {
		data, err := chunker.Next()
		if errors.Is(err, io.EOF) {
			return b.Recipe(), nil
		}
		if err != nil {
			return chunk.Recipe{}, fmt.Errorf("read blob: %w", err)
		}
		h := chunk.Sum(data)
		if err := b.Add(h, len(data)); err != nil {
			return chunk.Recipe{}, err
		}
		if err := w.add(ctx, h, data); err != nil {
			return chunk.Recipe{}, err
		}
	}
}

func (s *Store) takeChunker(r io.Reader) *chunk.Chunker {
	if c, ok := s.chunkers.Get().(*chunk.Chunker); ok {
		c.Reset(r)
		return c
	}
	return chunk.NewChunker(r)
}

func (s *Store) giveChunker(c *chunk.Chunker) {
	c.Reset(nil)
	s.chunkers.Put(c)
}
