package api

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/sdk/client"
)

// interfere is a batch that reads k and writes the number of its attempt, while beside it k is written in the first
// attempts.
func (w *txWorld) interfere(ctx context.Context, opts client.RunOptions, first int) (attempts int, err error) {
	err = w.db.RunInBatch(ctx, opts, func(tx *client.Tx) error {
		attempts++
		if _, err := tx.Get(ctx, w.c, "k"); err != nil && !errors.Is(err, client.ErrNotFound) {
			return err
		}
		if attempts <= first {
			w.put("k", fmt.Sprint("beside ", attempts))
		}
		return tx.Put(ctx, w.c, fmt.Sprint("attempt", attempts), attempts)
	})
	return attempts, err
}

// reference: store-52
// After one conflict the second attempt commits, and only what it wrote is there.
// reference: store-53
// When it conflicts every time, there are as many attempts as were asked for and none of their writes.
func TestRunInBatchRetries(t *testing.T) {
	w := newTxWorld(t)
	ctx := t.Context()
	if n, err := w.interfere(ctx, client.RunOptions{}, 1); n != 2 || err != nil {
		t.Errorf("%d attempts, %v", n, err)
	}
	if n, err := w.interfere(ctx, client.RunOptions{Attempts: 3}, 100); n != 3 || !errors.Is(err, client.ErrConflict) {
		t.Errorf("%d attempts, %v", n, err)
	}
	want := []string{"attempt2=2", `k="beside 3"`}
	if diff := cmp.Diff(want, scanned(t, w.c.Scan(ctx, client.Range{}))); diff != "" {
		t.Errorf("-wanted +there:\n%s", diff)
	}
	if n, err := w.interfere(ctx, client.RunOptions{}, 100); n != 10 || !errors.Is(err, client.ErrConflict) {
		t.Errorf("%d attempts by default, %v", n, err)
	}
}

// reference: store-54
// An error of the function comes back as it is, after one attempt, and nothing is written; a panic goes on its way.
func TestRunInBatchGivesUp(t *testing.T) {
	w := newTxWorld(t)
	ctx := t.Context()
	mine := errors.New("mine")
	attempts := 0
	write := func(then func() error) error {
		return w.db.RunInBatch(ctx, client.RunOptions{}, func(tx *client.Tx) error {
			attempts++
			if err := tx.Put(ctx, w.c, "k", 1); err != nil {
				return err
			}
			return then()
		})
	}
	if err := write(func() error { return mine }); err != mine || attempts != 1 {
		t.Errorf("%v after %d attempts", err, attempts)
	}
	func() {
		defer func() {
			if got := recover(); got != "boom" {
				t.Errorf("recovered %v", got)
			}
		}()
		_ = write(func() error { panic("boom") })
	}()
	if ok, err := w.c.Has(ctx, "k"); ok || err != nil {
		t.Errorf("the row is there: %v, %v", ok, err)
	}
	if n := w.server.batches.total; n != 0 {
		t.Errorf("%d batches were left open", n)
	}
}

// reference: store-55
// A read-only function runs once, on data that stands still, cannot write, and commits nothing.
func TestRunInBatchReadOnly(t *testing.T) {
	w := newTxWorld(t)
	ctx := t.Context()
	attempts := 0
	err := w.db.RunInBatch(ctx, client.RunOptions{TxOptions: client.TxOptions{ReadOnly: true}}, func(tx *client.Tx) error {
		attempts++
		for i := range 3 {
			if got := scanned(t, tx.Scan(ctx, w.c, client.Range{})); len(got) != 0 {
				t.Errorf("read %v", got)
			}
			w.put(fmt.Sprint(i), i)
		}
		if err := tx.Put(ctx, w.c, "x", 1); !errors.Is(err, client.ErrPrecondition) {
			t.Errorf("put: %v", err)
		}
		return nil
	})
	if err != nil || attempts != 1 {
		t.Errorf("%v after %d attempts", err, attempts)
	}
	if ok, err := w.c.Has(ctx, "x"); ok || err != nil {
		t.Errorf("x is there: %v, %v", ok, err)
	}
}

// TestCounters lets many callers add to one row, and wants no addition to be lost.
func TestCounters(t *testing.T) {
	w := newTxWorld(t)
	ctx := t.Context()
	const callers, each = 8, 5
	var running sync.WaitGroup
	for range callers {
		running.Go(func() {
			for range each {
				err := w.db.RunInBatch(ctx, client.RunOptions{Attempts: 1000}, func(tx *client.Tx) error {
					n := 0
					row, err := tx.Get(ctx, w.c, "n")
					if err == nil {
						err = row.Decode(&n)
					}
					if err != nil && !errors.Is(err, client.ErrNotFound) {
						return err
					}
					return tx.Put(ctx, w.c, "n", n+1)
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	if row, err := w.c.Get(ctx, "n"); err != nil || string(row.Value.Bytes) != fmt.Sprint(callers*each) {
		t.Errorf("n is %s, %v", row.Value.Bytes, err)
	}
}
