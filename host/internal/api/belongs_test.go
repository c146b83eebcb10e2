package api

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/syncbase/syncbase/sdk/client"
)

// TestOperationsOfAnotherDatabase hands operations and collections of one database to batches of another that has a collection of
// the same name, and wants every one refused and nothing written.
func TestOperationsOfAnotherDatabase(t *testing.T) {
	w := newTxWorld(t)
	ctx := t.Context()
	w.collection("other", "c")
	other := w.client().Database("other").Collection("c")
	op, err := other.PutOp("k", "for the other")
	if err != nil {
		t.Fatal(err)
	}
	mine, err := w.c.PutOp("mine", 1)
	if err != nil {
		t.Fatal(err)
	}
	tx := w.begin(client.TxOptions{})
	_, _, permissions := tx.Permissions(ctx, other)
	for what, err := range map[string]error{
		"commit":      must(w.db.Commit(ctx, mine, op)),
		"check":       must(w.db.Commit(ctx, mine, other.CheckAbsentOp("k"))),
		"delete":      must(w.db.Commit(ctx, mine, other.DeleteOp("k"))),
		"write":       tx.Write(ctx, mine, op),
		"put":         tx.Put(ctx, other, "k", 1),
		"remove":      tx.Delete(ctx, other, "k"),
		"get":         must(tx.Get(ctx, other, "k")),
		"scan":        firstError(tx.Scan(ctx, other, client.Range{})),
		"create":      tx.CreateCollection(ctx, w.client().Database("other").Collection("new"), nil),
		"destroy":     tx.DestroyCollection(ctx, other),
		"permissions": permissions,
		"set":         tx.SetPermissions(ctx, other, client.Permissions{}),
	} {
		if !errors.Is(err, client.ErrInvalid) || !strings.Contains(err.Error(), "of the database other, and the batch is of db") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := tx.Commit(ctx); err != nil {
		t.Errorf("the batch that was spared all of it: %v", err)
	}
	if got := scanned(t, w.c.Scan(ctx, client.Range{})); len(got) != 0 {
		t.Errorf("written: %v", got)
	}
	same, err := w.client().Database("db").Collection("c").PutOp("k", 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.db.Commit(ctx, same); err != nil {
		t.Errorf("an operation of the same database, named by another client of the same daemon: %v", err)
	}
}

// TestOperationsOfAnotherDaemon has databases of the same name at two daemons.
func TestOperationsOfAnotherDaemon(t *testing.T) {
	a, b := newTxWorld(t), newTxWorld(t)
	_, err := a.db.Commit(t.Context(), b.c.DeleteOp("k"))
	if !errors.Is(err, client.ErrInvalid) || !strings.Contains(err.Error(), "operation 1 is of another client") {
		t.Errorf("an operation of another daemon: %v", err)
	}
}

func firstError[T any](seq iter.Seq2[T, error]) error {
	for _, err := range seq {
		return err
	}
	return nil
}

// TestIteratorsEndWithTheirContext cancels in the midst of what has already arrived, and wants the error next, and nothing after it.
func TestIteratorsEndWithTheirContext(t *testing.T) {
	w := newTxWorld(t)
	for i := range 3 {
		w.put(fmt.Sprint("k", i), i)
	}
	for what, steps := range map[string]func(context.Context) iter.Seq[error]{
		"scan":        func(ctx context.Context) iter.Seq[error] { return errorsOf(w.c.Scan(ctx, client.Range{})) },
		"typed scan":  func(ctx context.Context) iter.Seq[error] { return errorsOf(client.Scan[int](ctx, w.c, client.Range{})) },
		"databases":   func(ctx context.Context) iter.Seq[error] { return errorsOf(w.client().Databases(ctx)) },
		"collections": func(ctx context.Context) iter.Seq[error] { return errorsOf(w.db.Collections(ctx)) },
		"watch": func(ctx context.Context) iter.Seq[error] {
			return errorsOf(w.db.Watch(ctx, client.WatchOptions{Initial: true}))
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		var got []error
		for err := range steps(ctx) {
			got = append(got, err)
			cancel()
		}
		if len(got) != 2 || got[0] != nil || !errors.Is(got[1], context.Canceled) {
			t.Errorf("%s: %v, want one thing and the error", what, got)
		}
		cancel()
	}
}

func errorsOf[T any](seq iter.Seq2[T, error]) iter.Seq[error] {
	return func(yield func(error) bool) {
		for _, err := range seq {
			if !yield(err) {
				return
			}
		}
	}
}
