package fetch

import (
	"context"
	"errors"

	"github.com/syncbase/syncbase/host/internal/blobs"
	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/id"
)

// State is how far a fetch has come.
type State int

const (
	// Pending: wanted, nothing asked yet.
	Pending State = iota
	// Locating: looking for a peer that has the recipe.
	Locating
	// Fetching: the recipe is here, chunks are coming.
	Fetching
	// Done: the blob is whole.
	Done
)

// String returns the word that the command line shows.
func (s State) String() string {
	return [...]string{"pending", "locating", "fetching", "done"}[s]
}

// Progress of a fetch.
type Progress struct {
	State State
	// Received counts the bytes that are here, those that were here before included; Total is the size, 0 while unknown.
	Received, Total uint64
	// Source is the peer that gave something last.
	Source id.Device
	// Err is the latest failure, nil once something has arrived after it. The fetch goes on all the same.
	Err error
}

// Follow calls visit with the progress of a wanted blob, at once and after changes, until it is done. Changes that come faster
// than visit returns are shown together. It returns nil after Done, or the error of visit or of the context, ErrCancelled,
// ErrStopped, or ErrNotWanted when the blob is neither whole nor wanted.
func (f *Fetcher) Follow(ctx context.Context, ref chunk.Ref, visit func(Progress) error) error {
	for {
		t := f.task(ref) // anew each time: a cancelled task may have a successor
		if t == nil {
			return f.followWhole(ref, visit)
		}
		p, changed, err := f.observe(t)
		if err != nil {
			return err
		}
		if err := visit(p); err != nil || p.State == Done {
			return err
		}
		if err := f.wait(ctx, changed); err != nil {
			return err
		}
	}
}

func (f *Fetcher) followWhole(ref chunk.Ref, visit func(Progress) error) error {
	st, err := f.opts.Blobs.Stat(ref)
	if err != nil && !errors.Is(err, blobs.ErrNotFound) {
		return err
	}
	if err != nil || st.State != blobs.Whole {
		return ErrNotWanted
	}
	return visit(Progress{State: Done, Received: st.Size, Total: st.Size})
}

// observe returns a channel that is closed at the next change.
func (f *Fetcher) observe(t *task) (Progress, <-chan struct{}, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if t.cancelled && t.again == nil && t.progress.State != Done {
		return Progress{}, nil, ErrCancelled
	}
	if t.changed == nil {
		t.changed = make(chan struct{})
	}
	return t.progress, t.changed, nil
}

func (f *Fetcher) wait(ctx context.Context, changed <-chan struct{}) error {
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-f.stopped:
		return ErrStopped
	}
}
