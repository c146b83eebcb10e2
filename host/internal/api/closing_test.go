package api

import (
	"context"
	"errors"
	"testing"

	"github.com/syncbase/syncbase/sdk/client"
)

// openBatches are how many there are at the daemon.
func (w *world) openBatches() int {
	w.server.batches.mu.Lock()
	defer w.server.batches.mu.Unlock()
	return w.server.batches.total
}

// TestCloseEndsWhatIsOpen wants a client that is closed to take its batches along, and a watch that is under way to say so.
func TestCloseEndsWhatIsOpen(t *testing.T) {
	w := newTxWorld(t)
	ctx := t.Context()
	app := w.client()
	db := app.Database("db")
	for range 5 {
		if _, err := db.Begin(ctx, client.TxOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	opened, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		var last error
		for b, err := range db.Watch(context.WithoutCancel(ctx), client.WatchOptions{}) {
			if last = err; b.Resume != "" {
				close(opened)
			}
		}
		ended <- last
	}()
	<-opened
	if n := w.openBatches(); n != 5 {
		t.Fatalf("%d batches are open", n)
	}
	if err := app.Close(); err != nil {
		t.Error(err)
	}
	if n := w.openBatches(); n != 0 {
		t.Errorf("%d batches are open after Close", n)
	}
	if err := <-ended; !errors.Is(err, client.ErrClosed) || errors.Is(err, context.Canceled) {
		t.Errorf("the watch ended with %v", err)
	}
}

// TestLeakedBatchesAreTheirOwn lets one client begin more batches than a connection may, and wants another of the same principal
// to go on. A third, whose principal has no room either, comes through as soon as there is some.
func TestLeakedBatchesAreTheirOwn(t *testing.T) {
	w := newTxWorld(t)
	ctx := t.Context()
	leak := func() []*client.Tx {
		db := w.client().Database("db")
		var all []*client.Tx
		for {
			tx, err := db.Begin(ctx, client.TxOptions{})
			if errors.Is(err, client.ErrExhausted) {
				return all
			}
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, tx)
		}
	}
	write := func(attempts int) error {
		return w.db.RunInBatch(ctx, client.RunOptions{Attempts: attempts}, func(tx *client.Tx) error { return tx.Put(ctx, w.c, "k", 1) })
	}
	first := leak()
	if len(first) != maxBatchesConn {
		t.Errorf("one client has %d batches, want %d", len(first), maxBatchesConn)
	}
	if err := write(1); err != nil {
		t.Errorf("another client: %v", err)
	}
	for w.openBatches() < maxBatchesEach {
		leak()
	}
	if err := write(2); !errors.Is(err, client.ErrExhausted) {
		t.Errorf("with all of the principal's taken: %v", err)
	}
	// It is tried more often than once: what is refused at first finds room later.
	done := make(chan error, 1)
	go func() { done <- write(1 << 20) }()
	if err := first[0].Abort(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("when there is room again: %v", err)
	}
}
