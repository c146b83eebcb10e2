package fetch

import (
	"context"
	"errors"

	"github.com/syncbase/syncbase/host/internal/blobs"
	"github.com/syncbase/syncbase/host/internal/sched"
)

// finish stores the rest and makes the blob whole.
func (f *Fetcher) finish(store context.Context, t *task) {
	f.mu.Lock()
	w := t.writer
	f.mu.Unlock()
	var err error
	if w != nil {
		err = w.Flush(store)
	}
	if err == nil {
		err = f.opts.Blobs.Complete(t.ref)
	}
	if err != nil {
		f.salvage(t, w, err)
		return
	}
	f.closeWriter(store, t)
	f.remember(t)
	f.mu.Lock()
	t.progress.State, t.progress.Err = Done, nil
	t.progress.Received = t.progress.Total
	t.cancelled = true // the task ends when this goroutine leaves it
	f.handle(sched.Finished{Ref: t.name})
	t.notify()
	f.mu.Unlock()
	f.opts.Events.Done(t.ref, t.recipe.Size())
}

// remember notes in the signpost who gave the blob.
func (f *Fetcher) remember(t *task) {
	known, err := f.opts.Blobs.Locations(t.ref)
	if err != nil {
		return // a lost hint costs a search
	}
	f.mu.Lock()
	for _, l := range known {
		delete(t.givers, l.Device)
	}
	givers := t.givers
	t.givers = nil
	f.mu.Unlock()
	for peer := range givers {
		_ = f.opts.Blobs.MarkLocationNow(t.ref, blobs.Location{Device: peer, Seen: f.opts.Now()})
	}
}

// salvage gives up a writer that failed, finds out what was lost with it, and lets the blob rest.
func (f *Fetcher) salvage(t *task, w *blobs.PackWriter, cause error) {
	f.mu.Lock()
	known := t.writer != w
	if !known {
		t.writer = nil
	}
	f.mu.Unlock()
	if known { // another goroutine sees to it
		f.mu.Lock()
		defer f.mu.Unlock()
		f.handle(sched.Stuck{Ref: t.name})
		return
	}
	if w != nil {
		w.Discard()
	}
	missing, err := f.opts.Blobs.Missing(t.recipe)
	f.opts.Events.Stuck(t.ref, errors.Join(cause, err))
	f.mu.Lock()
	defer f.mu.Unlock()
	lost := t.lose(missing)
	if !t.cancelled {
		t.progress.Err = cause
	}
	t.notify()
	f.handle(sched.Stuck{Ref: t.name, Lost: lost})
}
