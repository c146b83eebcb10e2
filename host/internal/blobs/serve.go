package blobs

import (
	"context"
	"fmt"

	"github.com/syncbase/syncbase/host/internal/chunk"
)

// MaxChunksPerRead bounds the indexes of one ReadChunks.
const MaxChunksPerRead = 4096

// ServeRecipe sends the encoded recipe of a whole blob in parts of at most 256 KiB, each valid during the call of send. Other
// blobs are ErrNotFound or ErrPartial.
func (s *Store) ServeRecipe(ctx context.Context, ref chunk.Ref, send func(part []byte) error) error {
	if _, err := s.Open(ref); err != nil {
		return err
	}
	return s.recipePages(ref, func(page []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return send(page)
	})
}

// ReadChunks sends chunks of a whole blob in the order asked for, each verified. The positions come from a peer: too many
// of them, or one beyond the recipe, is ErrRange, and then nothing is sent.
func (s *Store) ReadChunks(ctx context.Context, ref chunk.Ref, indexes []uint32, send func(index uint32, data []byte) error) error {
	r, err := s.Open(ref)
	if err != nil {
		return err
	}
	if len(indexes) > MaxChunksPerRead {
		return fmt.Errorf("%w: %d chunks asked for at once, the limit is %d", ErrRange, len(indexes), MaxChunksPerRead)
	}
	for _, i := range indexes {
		if uint64(i) >= uint64(r.recipe.Len()) {
			return fmt.Errorf("%w: chunk %d of a blob of %d chunks", ErrRange, i, r.recipe.Len())
		}
	}
	order := func(yield func(int) bool) {
		for _, i := range indexes {
			if !yield(int(i)) {
				return
			}
		}
	}
	return s.readChunks(ctx, r.recipe, order, func(i int, data []byte) error { return send(uint32(i), data) })
}
