package hosttest

import (
	"context"
	"maps"
	"slices"
	"sync"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// Batch is what a watcher was shown together.
type Batch struct {
	// Name of the batch; empty for the initial state.
	Name    string
	Changes []*nodev1.Change
}

// Watcher watches the database of one host, from its present rows on, through all its stops and crashes: it goes on
// after the last marker that it was given, or begins again where that is too old.
type Watcher struct {
	// mu guards the fields below it.
	mu      sync.Mutex
	marker  string
	state   map[string]string
	batches []Batch
	// err is why the last stream broke.
	err error
	// pending are the changes of a batch that is not complete.
	pending []*nodev1.Change
	// anew: the next batch is all the rows there are.
	anew bool
}

// Watch begins to watch. The database must be there.
func (h *Host) Watch() *Watcher {
	h.c.t.Helper()
	w := &Watcher{state: map[string]string{}}
	h.watchers = append(h.watchers, w)
	h.attach(w)
	return w
}

// attach lets the watcher follow the present run, which waits for it when it ends.
func (h *Host) attach(w *Watcher) {
	api, ctx := h.API(), h.ctx()
	h.run.watching.Go(func() { w.follow(ctx, api) })
}

// follow returns when the stream breaks. A marker that is too old is let go of: the watch begins again.
func (w *Watcher) follow(ctx context.Context, api nodev1.NodeServiceClient) {
	for tooOld := true; tooOld; {
		err := w.stream(ctx, api)
		w.mu.Lock()
		w.err = err
		if tooOld = slices.ContainsFunc(status.Convert(err).Details(), isTooOld); tooOld {
			w.marker = ""
		}
		w.mu.Unlock()
	}
}

// isTooOld tells whether part of a status says that what came after the marker is not kept any more.
func isTooOld(detail any) bool {
	info, ok := detail.(*errdetails.ErrorInfo)
	return ok && info.GetReason() == "MARKER_TOO_OLD"
}

// stream takes what comes until it breaks, and returns why.
func (w *Watcher) stream(ctx context.Context, api nodev1.NodeServiceClient) error {
	w.mu.Lock()
	marker := w.marker
	w.pending, w.anew = nil, marker == ""
	w.mu.Unlock()
	stream, err := api.Watch(ctx, &nodev1.WatchRequest{
		Database: Database, Resume: marker, Initial: marker == "",
	})
	for err == nil {
		var m *nodev1.WatchResponse
		if m, err = stream.Recv(); err == nil {
			w.take(m)
		}
	}
	return err
}

// take adds what a message says. The initial state counts as one batch, so if it is cut short nothing of it stays.
func (w *Watcher) take(m *nodev1.WatchResponse) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending = append(w.pending, m.GetChanges()...)
	if m.GetContinued() {
		return
	}
	changes := w.pending
	w.pending, w.marker = nil, m.GetResume()
	if w.anew {
		clear(w.state)
	}
	w.anew = false
	if len(changes) == 0 {
		return
	}
	for _, ch := range changes {
		switch ch.GetKind() {
		case nodev1.ChangeKind_CHANGE_KIND_PUT:
			w.state[ch.GetRow().GetKey()] = string(ch.GetRow().GetValue())
		case nodev1.ChangeKind_CHANGE_KIND_DELETE:
			delete(w.state, ch.GetRow().GetKey())
		case nodev1.ChangeKind_CHANGE_KIND_DESTROYED:
			clear(w.state)
		}
	}
	w.batches = append(w.batches, Batch{Name: changes[0].GetBatch(), Changes: changes})
}

// State returns the rows as the watcher knows them.
func (w *Watcher) State() map[string]string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.state)
}

// Err returns why the stream of an earlier run, or of this one, broke.
func (w *Watcher) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// Batches returns everything that the watcher was shown, in order.
func (w *Watcher) Batches() []Batch {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.batches)
}

// Unwatch lets go of all watchers of the host, which must not run. They keep what they have seen.
func (h *Host) Unwatch() {
	h.c.t.Helper()
	if h.Running() {
		h.c.t.Fatalf("%s runs", h.name)
	}
	h.watchers = nil
}
