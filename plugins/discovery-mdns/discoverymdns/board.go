package discoverymdns

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/syncbase/syncbase/sdk/plugin/discovery"
)

// reportPause is the shortest time between two rounds of reports to one watcher. What changes more often in between is
// reported once, with its last state.
const reportPause = 100 * time.Millisecond

// board is what watchers see: the present state of every node that was seen. A slow watcher delays nobody and costs at
// most one entry a node.
type board struct {
	// mu guards all fields.
	mu       sync.Mutex
	nodes    map[string]change
	watchers map[*watcher]struct{}
}

// watcher is one call of Watch.
type watcher struct {
	// dirty are the nodes to report, guarded by the board's mutex.
	dirty map[string]struct{}
	// wake holds a token while dirty is not empty.
	wake chan struct{}
}

func newBoard() *board {
	return &board{nodes: make(map[string]change), watchers: make(map[*watcher]struct{})}
}

// post makes changes visible.
func (b *board) post(changes []change) {
	if len(changes) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range changes {
		_, known := b.nodes[c.id]
		if !c.seen && !known {
			continue
		}
		if c.seen {
			b.nodes[c.id] = c
		} else {
			delete(b.nodes, c.id)
		}
		for w := range b.watchers {
			w.dirty[c.id] = struct{}{}
		}
	}
	for w := range b.watchers {
		w.signal()
	}
}

func (w *watcher) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// join adds a watcher and returns what is known now, which the watcher has to report first.
func (b *board) join() (*watcher, []change) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := &watcher{dirty: make(map[string]struct{}), wake: make(chan struct{}, 1)}
	b.watchers[w] = struct{}{}
	return w, slices.Collect(maps.Values(b.nodes))
}

// leave removes a watcher.
func (b *board) leave(w *watcher) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.watchers, w)
}

func (b *board) watched() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.watchers) > 0
}

// size is the number of nodes in sight.
func (b *board) size() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.nodes)
}

// take returns what the watcher has to report.
func (b *board) take(w *watcher) []change {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]change, 0, len(w.dirty))
	for id := range w.dirty {
		c, seen := b.nodes[id]
		if !seen {
			c = change{id: id}
		}
		out = append(out, c)
	}
	clear(w.dirty)
	return out
}

// follow reports to a watcher until the context ends, report fails or the service is done.
func (b *board) follow(ctx context.Context, done <-chan struct{}, w *watcher, known []change, report func(discovery.Event) error) error {
	if err := reportAll(known, report); err != nil {
		return err
	}
	if err := report(discovery.Event{Kind: discovery.Synced}); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-done:
			return errClosed
		case <-w.wake:
		}
		if err := reportAll(b.take(w), report); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(reportPause):
		}
	}
}

func reportAll(changes []change, report func(discovery.Event) error) error {
	for _, c := range changes {
		if err := report(c.event(time.Now())); err != nil {
			return err
		}
	}
	return nil
}

// event is how the host hears of a change.
func (c change) event(now time.Time) discovery.Event {
	if !c.seen {
		return discovery.Event{Kind: discovery.Lost, Advert: discovery.Advert{NodeID: []byte(c.id)}}
	}
	return discovery.Event{
		Kind:   discovery.Seen,
		Advert: c.advert,
		TTL:    max(c.expires.Sub(now), time.Millisecond),
		Source: c.source,
	}
}
