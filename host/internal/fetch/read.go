package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/syncbase/syncbase/host/internal/blobs"
	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/sched"
)

// readAhead is how many pieces beyond the present one a reader asks for.
const readAhead = 8

// Read writes length bytes from offset of a blob to w, fewer where it ends before, and returns how many it wrote. What is not
// here is fetched, the pieces that the reader waits for first. Every byte was verified before it is written. The fetch goes
// on to the end of the blob even if the reader does not. An offset beyond the end is blobs.ErrRange. While no peer has the
// blob it waits until the context ends.
func (f *Fetcher) Read(ctx context.Context, ref chunk.Ref, offset, length uint64, w io.Writer) (int64, error) {
	if err := f.Want(ref, PriorityRead); err != nil {
		return 0, err
	}
	t := f.task(ref)
	if t == nil {
		return f.readWhole(ctx, ref, offset, length, w)
	}
	recipe, err := f.awaitRecipe(ctx, t)
	if err != nil {
		return 0, err
	}
	if offset > recipe.Size() {
		return 0, fmt.Errorf("%w: offset %d of a blob of %d bytes", blobs.ErrRange, offset, recipe.Size())
	}
	end := offset + min(length, recipe.Size()-offset)
	var written int64
	for i := range blobs.Covering(recipe, offset, end) {
		data, err := f.awaitChunk(ctx, t, uint32(i))
		if errors.Is(err, errWhole) {
			at := max(offset, recipe.Start(i))
			n, err := f.readWhole(ctx, ref, at, end-at, w)
			return written + n, err
		}
		if err != nil {
			return written, err
		}
		n, err := w.Write(blobs.Clip(recipe, i, data, offset, end))
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// errWhole tells that the store is the better place to read from.
var errWhole = errors.New("blob is whole")

func (f *Fetcher) readWhole(ctx context.Context, ref chunk.Ref, offset, length uint64, w io.Writer) (int64, error) {
	r, err := f.opts.Blobs.Open(ref)
	if err != nil {
		return 0, err
	}
	return r.WriteTo(ctx, w, offset, length)
}

func (f *Fetcher) awaitRecipe(ctx context.Context, t *task) (chunk.Recipe, error) {
	for {
		p, changed, err := f.observe(t)
		if err != nil {
			return chunk.Recipe{}, err
		}
		if p.State >= Fetching {
			return t.recipe, nil // it does not change any more
		}
		if err := f.wait(ctx, changed); err != nil {
			return chunk.Recipe{}, err
		}
	}
}

// awaitChunk returns a chunk as soon as it is here, or errWhole.
func (f *Fetcher) awaitChunk(ctx context.Context, t *task, i uint32) ([]byte, error) {
	i = t.original(i)
	asked := false
	for {
		p, changed, err := f.observe(t)
		switch {
		case err != nil:
			return nil, err
		case p.State == Done:
			return nil, errWhole
		}
		f.mu.Lock()
		here, w := t.have[i], t.writer
		if !here && !asked {
			asked = true
			f.demand(t, i)
		}
		f.mu.Unlock()
		if here {
			data, err := f.takeChunk(ctx, t, w, i)
			if !errors.Is(err, blobs.ErrNotFound) {
				return data, err
			}
		}
		if err := f.wait(ctx, changed); err != nil {
			return nil, err
		}
	}
}

func (f *Fetcher) takeChunk(ctx context.Context, t *task, w *blobs.PackWriter, i uint32) ([]byte, error) {
	if w != nil {
		if data, found := w.Get(t.recipe.Hash(int(i))); found {
			return data, nil
		}
	}
	return f.opts.Blobs.ReadChunk(ctx, t.recipe, int(i))
}

// demand puts the piece of a chunk and the next ones first. The caller holds mu.
func (f *Fetcher) demand(t *task, i uint32) {
	piece := t.pieceOf[i]
	pieces := make([]int, 0, 1+readAhead)
	for p := piece; p < len(t.pieces) && p <= piece+readAhead; p++ {
		pieces = append(pieces, p)
	}
	f.handle(sched.Demand{Ref: t.name, Pieces: pieces})
}
