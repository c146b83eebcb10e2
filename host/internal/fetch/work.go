package fetch

import (
	"context"
	"errors"
	"fmt"

	"github.com/syncbase/syncbase/host/internal/blobs"
	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/sched"
)

var (
	// errBad marks what a peer should not have sent.
	errBad = errors.New("peer sent wrong data")
	// errLocal marks failures of this device.
	errLocal = errors.New("cannot store")
)

// start begins an action in a goroutine of its own. The caller holds mu.
func (f *Fetcher) start(ctx, store context.Context, action sched.Action) {
	var t *task
	var work func(context.Context)
	switch a := action.(type) {
	case sched.GetRecipe:
		t = f.tasks[a.Ref]
		t.progress.State = Locating
		work = func(ctx context.Context) { f.getRecipe(ctx, t, a) }
	case sched.GetPiece:
		t = f.tasks[a.Ref]
		if t.writer == nil {
			t.writer = f.opts.Blobs.NewPackWriter(store)
		}
		w := t.writer
		work = func(ctx context.Context) { f.getPiece(ctx, t, w, a) }
	case sched.Finish:
		t = f.tasks[a.Ref]
		work = func(context.Context) { f.finish(store, t) }
	}
	if t.ctx == nil {
		t.ctx, t.cancel = context.WithCancel(ctx)
	}
	t.notify()
	t.running++
	f.workers.Go(func() {
		work(t.ctx)
		f.leave(t)
	})
}

// leave notes that a goroutine has ended its work for the task.
func (f *Fetcher) leave(t *task) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t.running--
	if t.running > 0 || !t.cancelled {
		return
	}
	t.cancel()
	f.ending = append(f.ending, t)
	f.wake()
}

func (f *Fetcher) getRecipe(ctx context.Context, t *task, a sched.GetRecipe) {
	recipe, giver, err := f.findRecipe(ctx, t, a.Peer)
	var missing []uint32
	if err == nil {
		missing, err = f.opts.Blobs.Missing(recipe)
		if err != nil {
			err = fmt.Errorf("%w: %w", errLocal, err)
		}
	}
	if err != nil {
		f.failed(ctx, t, a.Peer, sched.NoPiece, err)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if t.cancelled {
		f.handle(sched.Located{Ref: t.name, Peer: giver})
		return
	}
	sizes := t.locate(recipe, missing)
	t.progress.Source, t.progress.Err = giver, nil
	t.notify()
	f.handle(sched.Located{Ref: t.name, Peer: giver, Sizes: sizes})
}

// findRecipe takes the recipe from the store, and from the peer when it is not there. The giver is zero in the first case.
func (f *Fetcher) findRecipe(ctx context.Context, t *task, peer id.Device) (recipe chunk.Recipe, giver id.Device, err error) {
	recipe, err = f.opts.Blobs.Recipe(t.ref)
	if err == nil {
		return recipe, giver, nil
	}
	if !errors.Is(err, blobs.ErrNotFound) && !errors.Is(err, blobs.ErrCorrupt) {
		return recipe, giver, fmt.Errorf("%w: %w", errLocal, err)
	}
	ctx, watch := f.watch(ctx)
	defer watch.end()
	encoded, err := f.opts.Source.Recipe(ctx, peer, t.name)
	if err != nil {
		return recipe, giver, causeOf(ctx, err)
	}
	if chunk.Ref(chunk.Sum(encoded)) != t.ref {
		return recipe, giver, fmt.Errorf("%w: recipe of %d bytes does not match %v", errBad, len(encoded), t.ref)
	}
	recipe, err = chunk.DecodeRecipe(encoded)
	if err != nil {
		return recipe, giver, fmt.Errorf("%w: %w", errBad, err)
	}
	if err := f.opts.Blobs.PutRecipe(recipe); err != nil {
		return recipe, giver, fmt.Errorf("%w: %w", errLocal, err)
	}
	return recipe, peer, nil
}

func (f *Fetcher) getPiece(ctx context.Context, t *task, w *blobs.PackWriter, a sched.GetPiece) {
	var err error
	if indexes := f.lacking(t, a.Piece); len(indexes) > 0 {
		err = f.getChunks(ctx, t, w, a.Peer, indexes)
	}
	if len(f.lacking(t, a.Piece)) == 0 {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.handle(sched.Got{Ref: t.name, Peer: a.Peer, Piece: a.Piece})
		return
	}
	if err == nil {
		err = errors.New("peer ended before the last chunk")
	}
	if f.failed(ctx, t, a.Peer, a.Piece, err) == sched.Local {
		f.salvage(t, w, err)
	}
}

func (f *Fetcher) lacking(t *task, piece int) []uint32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return t.lacking(piece)
}

// getChunks asks for chunks and stores what comes. An error that this package finds takes precedence over the source's.
func (f *Fetcher) getChunks(ctx context.Context, t *task, w *blobs.PackWriter, peer id.Device, indexes []uint32) error {
	open := make(map[uint32]bool, len(indexes))
	for _, i := range indexes {
		open[i] = true
	}
	ctx, watch := f.watch(ctx)
	defer watch.end()
	var own error
	err := f.opts.Source.Chunks(ctx, peer, t.name, indexes, func(i uint32, data []byte) error {
		watch.pause() // storing may take its time
		defer watch.resume()
		if !open[i] {
			own = fmt.Errorf("%w: chunk %d was not asked for", errBad, i)
			return own
		}
		delete(open, i)
		own = f.keep(ctx, t, w, peer, i, data)
		return own
	})
	if own != nil {
		return own
	}
	if err != nil {
		return causeOf(ctx, err)
	}
	return nil
}

// keep checks and stores one chunk.
func (f *Fetcher) keep(ctx context.Context, t *task, w *blobs.PackWriter, peer id.Device, i uint32, data []byte) error {
	err := w.Add(ctx, t.recipe.Hash(int(i)), data)
	switch {
	case errors.Is(err, blobs.ErrCorrupt):
		return fmt.Errorf("%w: %w", errBad, err)
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("%w: %w", errLocal, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	t.have[i] = true
	if t.progress.State == Done {
		return nil
	}
	t.givers[peer] = true
	t.progress.Received += uint64(len(data))
	t.progress.Source, t.progress.Err = peer, nil
	t.notify()
	return nil
}

// failed tells the scheduler why a request failed, and everybody else too.
func (f *Fetcher) failed(ctx context.Context, t *task, peer id.Device, piece int, err error) sched.Cause {
	cause := sched.Unreachable
	switch {
	case ctx.Err() != nil:
		cause = sched.Withdrawn
	case errors.Is(err, errLocal):
		cause = sched.Local
	case errors.Is(err, errBad):
		cause = sched.Bad
	case errors.Is(err, ErrNotHeld):
		cause = sched.NotHeld
	}
	f.mu.Lock()
	if cause != sched.Withdrawn && !t.cancelled {
		t.progress.Err = err
		t.notify()
	}
	f.handle(sched.Failed{Ref: t.name, Peer: peer, Piece: piece, Cause: cause})
	f.mu.Unlock()
	if cause != sched.Withdrawn && cause != sched.Local {
		f.opts.Events.Failed(t.ref, peer, err)
	}
	return cause
}
