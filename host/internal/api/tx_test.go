package api

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
	"github.com/syncbase/syncbase/sdk/client"

	"github.com/syncbase/syncbase/host/internal/perm"
)

// txWorld has a database with a collection, seen by a client.
type txWorld struct {
	*world
	db *client.Database
	c  *client.Collection
}

func newTxWorld(t testing.TB) *txWorld {
	w := newWorld(t)
	w.collection("db", "c")
	db := w.client().Database("db")
	return &txWorld{world: w, db: db, c: db.Collection("c")}
}

func (w *txWorld) begin(opts client.TxOptions) *client.Tx {
	w.t.Helper()
	tx, err := w.db.Begin(w.t.Context(), opts)
	if err != nil {
		w.t.Fatal(err)
	}
	return tx
}

func (w *txWorld) put(key string, value any) {
	w.t.Helper()
	if _, err := w.c.Put(w.t.Context(), key, value); err != nil {
		w.t.Fatal(err)
	}
}

// scanned are the rows of a scan as key=value.
func scanned(t testing.TB, seq func(func(client.Row, error) bool)) []string {
	t.Helper()
	var got []string
	for row, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, row.Key+"="+string(row.Value.Bytes))
	}
	return got
}

// reference: store-45
// What a batch writes only it sees until it is committed; a scan that is under way does not see later writes; of two
// batches the one fails that read as absent what the other made.
func TestBatchBasics(t *testing.T) {
	w := newTxWorld(t)
	ctx := t.Context()
	w.put("a", 1)
	w.put("b", 2)
	tx, other := w.begin(client.TxOptions{}), w.begin(client.TxOptions{})
	if err := errors.Join(tx.Put(ctx, w.c, "a", 10), tx.Delete(ctx, w.c, "b"), tx.Put(ctx, w.c, "n", 3)); err != nil {
		t.Fatal(err)
	}
	var during []string
	for row, err := range tx.Scan(ctx, w.c, client.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		if during = append(during, row.Key+"="+string(row.Value.Bytes)); len(during) == 1 {
			if err := tx.Put(ctx, w.c, "z", 4); err != nil {
				t.Fatal(err)
			}
		}
	}
	if diff := cmp.Diff([]string{"a=10", "n=3"}, during); diff != "" {
		t.Errorf("-wanted +scanned in the batch:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"z=4", "n=3", "a=10"}, scanned(t, tx.Scan(ctx, w.c, client.Range{Reverse: true}))); diff != "" {
		t.Errorf("-wanted +scanned backwards in the batch:\n%s", diff)
	}
	if row, err := tx.Get(ctx, w.c, "a"); err != nil || string(row.Value.Bytes) != "10" || row.Version != "" || !row.Updated.IsZero() {
		t.Errorf("own write: %+v, %v", row, err)
	}
	if _, err := tx.Get(ctx, w.c, "b"); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("own delete: %v", err)
	}
	if diff := cmp.Diff([]string{"a=1", "b=2"}, scanned(t, w.c.Scan(ctx, client.Range{}))); diff != "" {
		t.Errorf("-wanted +seen outside:\n%s", diff)
	}
	if _, err := other.Get(ctx, w.c, "n"); !errors.Is(err, client.ErrNotFound) {
		t.Fatalf("n in the other batch: %v", err)
	}
	if err := errors.Join(other.Put(ctx, w.c, "m", 5), tx.Commit(ctx)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a=10", "n=3", "z=4"}, scanned(t, w.c.Scan(ctx, client.Range{}))); diff != "" {
		t.Errorf("-wanted +seen after the commit:\n%s", diff)
	}
	if err := other.Commit(ctx); !errors.Is(err, client.ErrConflict) {
		t.Errorf("the batch that read n as absent: %v", err)
	}
	if ok, err := w.c.Has(ctx, "m"); ok || err != nil {
		t.Errorf("a batch that failed has written: %v, %v", ok, err)
	}
}

// reference: store-46
// A read-only batch reads the same, however much is written beside it; a new one sees that. A collection that is not there,
// or was not yet when the batch began, cannot be read in it.
// reference: store-49
// It can neither put nor delete nor be committed.
func TestReadOnlyBatch(t *testing.T) {
	w := newTxWorld(t)
	ctx := t.Context()
	w.put("a", 1)
	tx := w.begin(client.TxOptions{ReadOnly: true})
	for i := range 3 {
		w.put(fmt.Sprint("n", i), i)
		if diff := cmp.Diff([]string{"a=1"}, scanned(t, tx.Scan(ctx, w.c, client.Range{}))); diff != "" {
			t.Errorf("-wanted +scanned:\n%s", diff)
		}
	}
	later := w.collection("db", "later")
	for _, c := range []*client.Collection{later, w.db.Collection("none")} {
		if err := firstError(tx.Scan(ctx, c, client.Range{})); !errors.Is(err, client.ErrNotFound) {
			t.Errorf("scan of %s: %v", c.Name(), err)
		}
	}
	for what, err := range map[string]error{
		"put": tx.Put(ctx, w.c, "a", 2), "delete": tx.Delete(ctx, w.c, "a"), "commit": tx.Commit(ctx),
	} {
		var said *client.Error
		if !errors.As(err, &said) || said.Reason != "READ_ONLY_BATCH" {
			t.Errorf("%s: %v", what, err)
		}
	}
	fresh := w.begin(client.TxOptions{ReadOnly: true})
	if diff := cmp.Diff([]string{"a=1", "n0=0", "n1=1", "n2=2"}, scanned(t, fresh.Scan(ctx, w.c, client.Range{}))); diff != "" {
		t.Errorf("-wanted +scanned by a new batch:\n%s", diff)
	}
	if err := firstError(fresh.Scan(ctx, later, client.Range{})); err != nil {
		t.Errorf("scan of the new collection in a new batch: %v", err)
	}
	if err := fresh.Abort(ctx); err != nil {
		t.Error(err)
	}
}

// reference: store-079 whatever is asked of a batch after it was committed or aborted is refused in the same way.
//
// reference: store-50
// After a commit, one that failed, or an abort, nothing can be done with the batch any more.
// reference: store-56
// Nor after a restart of the daemon; what was committed is there, what was not is not.
func TestEndedBatch(t *testing.T) {
	for what, end := range map[string]func(context.Context, *txWorld, *client.Tx) error{
		"commit": func(ctx context.Context, _ *txWorld, tx *client.Tx) error { return tx.Commit(ctx) },
		"failed commit": func(ctx context.Context, w *txWorld, tx *client.Tx) error {
			w.put("read", 2)
			if err := tx.Commit(ctx); !errors.Is(err, client.ErrConflict) {
				return fmt.Errorf("commit: %w, want a conflict", err)
			}
			return nil
		},
		"abort":   func(ctx context.Context, _ *txWorld, tx *client.Tx) error { return tx.Abort(ctx) },
		"restart": func(_ context.Context, w *txWorld, _ *client.Tx) error { w.restart(); return w.hello() },
	} {
		t.Run(what, func(t *testing.T) {
			w := newTxWorld(t)
			ctx := t.Context()
			w.put("read", 1)
			tx := w.begin(client.TxOptions{})
			if _, err := tx.Get(ctx, w.c, "read"); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(tx.Put(ctx, w.c, "made", 1), end(ctx, w, tx)); err != nil {
				t.Fatal(err)
			}
			// The connection that a restart broke may break one more call.
			scan := client.ErrUnavailable
			for errors.Is(scan, client.ErrUnavailable) {
				for _, scan = range tx.Scan(ctx, w.c, client.Range{}) {
				}
			}
			for op, err := range map[string]error{
				"get": must(tx.Get(ctx, w.c, "read")), "put": tx.Put(ctx, w.c, "k", 1), "delete": tx.Delete(ctx, w.c, "k"),
				"scan": scan, "commit": tx.Commit(ctx),
			} {
				if !errors.Is(err, client.ErrUnknownBatch) || errors.Is(err, client.ErrNotFound) {
					t.Errorf("%s: %v", op, err)
				}
			}
			if err := tx.Abort(ctx); err != nil {
				t.Errorf("abort: %v", err)
			}
			if made, err := w.c.Has(ctx, "made"); err != nil || made != (what == "commit") {
				t.Errorf("the row is there: %v, %v", made, err)
			}
		})
	}
}

// hello makes a call until the connection that a restart broke is made again.
func (w *txWorld) hello() error {
	for {
		if _, err := w.c.Has(w.t.Context(), "read"); !errors.Is(err, client.ErrUnavailable) {
			return err
		}
	}
}

// reference: store-51
// An empty name is that of no batch, as is any other that nobody was given.
// reference: store-39
// Nor is the name of another's batch, and the answer is the same; the batch of its own caller goes on.
func TestForeignBatch(t *testing.T) {
	w := newTxWorld(t)
	ctx := t.Context()
	if _, err := w.db.SetPermissions(ctx, client.Permissions{
		"Admin": {In: []string{"..."}}, "Read": {In: []string{"..."}},
	}, ""); err != nil {
		t.Fatal(err)
	}
	batch, err := w.raw.BeginBatch(ctx, &nodev1.BeginBatchRequest{Database: "db"})
	if err != nil {
		t.Fatal(err)
	}
	w.collection("other", "c")
	ask := func(ctx context.Context, handle, db string) string {
		var text string
		for _, err := range []error{
			must(w.raw.WriteBatch(ctx, &nodev1.WriteBatchRequest{Batch: handle, Ops: []*nodev1.Op{put("k", "1")}})),
			must(w.raw.CommitBatch(ctx, &nodev1.CommitBatchRequest{Batch: handle})),
			must(w.raw.AbortBatch(ctx, &nodev1.AbortBatchRequest{Batch: handle})),
		} {
			text += fmt.Sprintln(reasonOf(err), err)
		}
		if handle != "" { // without a name it is a read outside of batches
			text += fmt.Sprintln(must(w.raw.Get(ctx, &nodev1.GetRequest{Database: db, Collection: "home.local/owner:c", Key: "k", Batch: handle})))
		}
		return text
	}
	stranger, made := ask(as(ctx, friend), batch.GetBatch(), "home.local/owner:db"), ask(as(ctx, friend), "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "home.local/owner:db")
	if stranger != made {
		t.Errorf("of another's batch:\n%s\nof none:\n%s", stranger, made)
	}
	if empty := ask(ctx, "", "db"); empty == "" || made[:len(empty)] != empty {
		t.Errorf("of an empty name:\n%s", empty)
	}
	elsewhere := must(w.raw.Get(ctx, &nodev1.GetRequest{Database: "other", Collection: "c", Key: "k", Batch: batch.GetBatch()}))
	if got := reasonOf(elsewhere); got != "NotFound UNKNOWN_BATCH" {
		t.Errorf("in another database: %s", got)
	}
	if _, err := w.raw.CommitBatch(ctx, &nodev1.CommitBatchRequest{Batch: batch.GetBatch()}); err != nil {
		t.Errorf("its own caller: %v", err)
	}
}

// reference: store-39
// A batch that was opened while its caller had access stops working when the access is taken away, for reads as for the
// commit.
func TestRevokedBatch(t *testing.T) {
	w := newTxWorld(t)
	ctx := t.Context()
	w.put("k", 1)
	grant := func(who string) {
		t.Helper()
		own := []string{string(owner)}
		list := client.Permissions{"Admin": {In: own}, "Read": {In: append(own, who)}, "Write": {In: append(own, who)}}
		if _, err := w.db.SetPermissions(ctx, client.Permissions{"Admin": {In: own}, "Read": {In: append(own, string(friend))}}, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := w.c.SetPermissions(ctx, list, ""); err != nil {
			t.Fatal(err)
		}
	}
	grant(string(friend))
	theirs := as(ctx, friend)
	batch, err := w.raw.BeginBatch(theirs, &nodev1.BeginBatchRequest{Database: "home.local/owner:db"})
	if err != nil {
		t.Fatal(err)
	}
	get := &nodev1.GetRequest{Database: "home.local/owner:db", Collection: "home.local/owner:c", Key: "k", Batch: batch.GetBatch()}
	write := &nodev1.WriteBatchRequest{Batch: batch.GetBatch(), Ops: []*nodev1.Op{put("k", "2")}}
	if err := errors.Join(must(w.raw.Get(theirs, get)), must(w.raw.WriteBatch(theirs, write))); err != nil {
		t.Fatal(err)
	}
	grant(string(laptop))
	for what, err := range map[string]error{"get": must(w.raw.Get(theirs, get)), "write": must(w.raw.WriteBatch(theirs, write))} {
		if got := reasonOf(err); got != refused {
			t.Errorf("%s: %s", what, got)
		}
	}
	if got := reasonOf(must(w.raw.CommitBatch(theirs, &nodev1.CommitBatchRequest{Batch: batch.GetBatch()}))); got != "Aborted CONFLICT" && got != refused {
		t.Errorf("commit: %s", got)
	}
	if row, err := w.c.Get(ctx, "k"); err != nil || string(row.Value.Bytes) != "1" {
		t.Errorf("the row is %s, %v", row.Value.Bytes, err)
	}
}

// TestRevokedBlindBatch revokes what a commit needs between the write and the commit of a batch that reads nothing: the
// list counts as read, so it conflicts; and the access to the database is asked for at the commit itself.
func TestRevokedBlindBatch(t *testing.T) {
	w := newTxWorld(t)
	ctx := t.Context()
	everyone := client.Permissions{"Admin": {In: []string{string(owner)}}, "Write": {In: []string{"..."}}}
	if err := errors.Join(must(w.db.SetPermissions(ctx, everyone, "")), must(w.c.SetPermissions(ctx, everyone, ""))); err != nil {
		t.Fatal(err)
	}
	theirs := as(ctx, friend)
	batch, err := w.raw.BeginBatch(theirs, &nodev1.BeginBatchRequest{Database: "home.local/owner:db"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.raw.WriteBatch(theirs, &nodev1.WriteBatchRequest{Batch: batch.GetBatch(), Ops: []*nodev1.Op{put("k", "2")}}); err != nil {
		t.Fatal(err)
	}
	own := perm.For(owner, perm.DatabaseTags).Marshal()
	if _, err := w.raw.SetPermissions(ctx, &nodev1.SetPermissionsRequest{Database: "db", Permissions: own}); err != nil {
		t.Fatal(err)
	}
	if got := reasonOf(must(w.raw.CommitBatch(theirs, &nodev1.CommitBatchRequest{Batch: batch.GetBatch()}))); got != hidden {
		t.Errorf("commit: %s, want %s", got, hidden)
	}
}

// reference: store-57
// Two batches that write the same row without reading it both commit, and the later stays; one that writes into a
// collection whose access list has changed since it began fails.
func TestBlindWrites(t *testing.T) {
	w := newTxWorld(t)
	ctx := t.Context()
	one, two := w.begin(client.TxOptions{}), w.begin(client.TxOptions{})
	if err := errors.Join(one.Put(ctx, w.c, "k", 1), two.Put(ctx, w.c, "k", 2), two.Commit(ctx), one.Commit(ctx)); err != nil {
		t.Fatal(err)
	}
	if row, err := w.c.Get(ctx, "k"); err != nil || string(row.Value.Bytes) != "1" {
		t.Errorf("the row is %s, %v", row.Value.Bytes, err)
	}
	three := w.begin(client.TxOptions{})
	if err := three.Put(ctx, w.c, "k", 3); err != nil {
		t.Fatal(err)
	}
	list, version, err := w.c.Permissions(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.c.SetPermissions(ctx, list, version); err != nil {
		t.Fatal(err)
	}
	if err := three.Commit(ctx); !errors.Is(err, client.ErrConflict) {
		t.Errorf("commit after a change of the list: %v", err)
	}
}

// TestEndDuringUse ends batches while scans and reads of them are under way: each sees the batch whole, or that it has
// ended.
func TestEndDuringUse(t *testing.T) {
	w := newTxWorld(t)
	ctx := t.Context()
	const n = 50
	for i := range n {
		w.put(fmt.Sprintf("k%03d", i), i)
	}
	for round := range 20 {
		tx := w.begin(client.TxOptions{})
		var running sync.WaitGroup
		for range 4 {
			running.Go(func() {
				for {
					count := 0
					for _, err := range tx.Scan(ctx, w.c, client.Range{Prefix: "k"}) {
						if errors.Is(err, client.ErrUnknownBatch) {
							return
						}
						if err != nil {
							t.Error(err)
							return
						}
						count++
					}
					if count != n {
						t.Errorf("a scan of %d rows, want %d", count, n)
						return
					}
					if _, err := tx.Get(ctx, w.c, "k001"); errors.Is(err, client.ErrUnknownBatch) {
						return
					}
				}
			})
		}
		end := tx.Abort
		if round%2 == 0 {
			end = tx.Commit
		}
		if err := end(ctx); err != nil {
			t.Error(err)
		}
		running.Wait()
	}
}
