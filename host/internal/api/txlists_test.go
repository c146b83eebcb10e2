package api

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
	"github.com/syncbase/syncbase/sdk/client"

	"github.com/syncbase/syncbase/host/internal/perm"
)

// reference: store-023
// A batch sees the collections of its snapshot with those that it makes and without those that it destroys, and nobody else
// does; it fails when another makes one in the meantime.
func TestCollectionsInBatch(t *testing.T) {
	w := newTxWorld(t)
	ctx := t.Context()
	w.put("k", 1)
	tx, err := w.db.Begin(ctx, client.TxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d := w.db.Collection("d")
	if err := errors.Join(tx.CreateCollection(ctx, d, nil), tx.Put(ctx, d, "x", 1), tx.DestroyCollection(ctx, w.c)); err != nil {
		t.Fatal(err)
	}
	if err := tx.CreateCollection(ctx, d, nil); !errors.Is(err, client.ErrExists) {
		t.Errorf("making it twice: %v", err)
	}
	if _, err := tx.Get(ctx, w.c, "k"); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("reading what the batch destroyed: %v", err)
	}
	if err := errors.Join(tx.CreateCollection(ctx, w.c, nil), tx.Put(ctx, w.c, "new", 2)); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Get(ctx, w.c, "k"); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("a row of the former life: %v", err)
	}
	if diff := cmp.Diff([]string{"home.local/owner:c", "home.local/owner:d"}, names(t, tx.Collections(ctx))); diff != "" {
		t.Errorf("inside (-want +got):\n%s", diff)
	}
	if there, err := d.Exists(ctx); there || err != nil {
		t.Errorf("outside the new one exists: %v, %v", there, err)
	}
	if _, err := w.c.Get(ctx, "k"); err != nil {
		t.Errorf("outside the old row: %v", err)
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := w.c.Get(ctx, "k"); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("after commit the old row: %v", err)
	}
	if _, err := d.Get(ctx, "x"); err != nil {
		t.Error(err)
	}

	tx, err = w.db.Begin(ctx, client.TxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	names(t, tx.Collections(ctx))
	if err := tx.CreateCollection(ctx, w.db.Collection("mine"), nil); err != nil {
		t.Fatal(err)
	}
	w.collection("db", "theirs")
	if err := tx.Commit(ctx); !errors.Is(err, client.ErrConflict) {
		t.Errorf("commit after another was made: %v", err)
	}
	if there, err := w.db.Collection("mine").Exists(ctx); there || err != nil {
		t.Errorf("of the refused batch there is a collection: %v, %v", there, err)
	}
}

// Two batches that make the same collection: one of them fails, whether it looked or not.
func TestSameCollectionInTwoBatches(t *testing.T) {
	w := newTxWorld(t)
	ctx := t.Context()
	var list []*client.Tx
	for range 2 {
		tx, err := w.db.Begin(ctx, client.TxOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := tx.CreateCollection(ctx, w.db.Collection("d"), nil); err != nil {
			t.Fatal(err)
		}
		list = append(list, tx)
	}
	if err := list[0].Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if err := list[1].Commit(ctx); !errors.Is(err, client.ErrConflict) {
		t.Errorf("the second commit: %v", err)
	}
}

// friendly is the friend, who may make collections and administers c, which it may read but not write.
func friendly(t *testing.T) (*txWorld, context.Context) {
	w := newTxWorld(t)
	ctx := t.Context()
	w.grantTags(nil, []perm.Tag{perm.Resolve, perm.Write}, []perm.Tag{perm.Admin, perm.Read})
	return w, as(ctx, friend)
}

func (w *txWorld) rawBatch(ctx context.Context) string {
	w.t.Helper()
	resp, err := w.raw.BeginBatch(ctx, &nodev1.BeginBatchRequest{Database: "home.local/owner:db"})
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.GetBatch()
}

func (w *txWorld) rawPut(ctx context.Context, batch, collection, key string) error {
	return must(w.raw.WriteBatch(ctx, &nodev1.WriteBatchRequest{Batch: batch, Ops: []*nodev1.Op{
		{Op: &nodev1.Op_Put{Put: &nodev1.Put{Collection: collection, Key: key, Value: []byte("1")}}},
	}}))
}

func friendList(tags ...perm.Tag) []byte {
	list := perm.List{}
	for _, tag := range append(tags, perm.Admin) {
		list[tag] = perm.Access{In: []perm.Pattern{perm.Pattern(friend), perm.Pattern(owner)}}
	}
	return list.Marshal()
}

// reference: store-035
// Who lends itself the right to write for the time of a batch is refused with the whole of it; who keeps the right is not.
func TestLentRightIsRefused(t *testing.T) {
	w, ctx := friendly(t)
	const db, c = "home.local/owner:db", "home.local/owner:c"
	set := func(batch string, tags ...perm.Tag) {
		t.Helper()
		if err := must(w.raw.SetPermissions(ctx, &nodev1.SetPermissionsRequest{
			Database: db, Collection: c, Batch: batch, Permissions: friendList(tags...),
		})); err != nil {
			t.Fatal(err)
		}
	}
	batch := w.rawBatch(ctx)
	if got := reasonOf(w.rawPut(ctx, batch, c, "k")); got != "PermissionDenied NO_ACCESS" {
		t.Errorf("put without the right: %s", got)
	}
	set(batch, perm.Read, perm.Write)
	if err := w.rawPut(ctx, batch, c, "k"); err != nil {
		t.Fatal(err)
	}
	set(batch, perm.Read)
	if got := reasonOf(must(w.raw.CommitBatch(ctx, &nodev1.CommitBatchRequest{Batch: batch}))); got != "PermissionDenied NO_ACCESS" {
		t.Errorf("commit: %s", got)
	}
	if _, err := w.c.Get(t.Context(), "k"); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("the row of the refused batch: %v", err)
	}
	batch = w.rawBatch(ctx)
	set(batch, perm.Read, perm.Write)
	if err := w.rawPut(ctx, batch, c, "k"); err != nil {
		t.Fatal(err)
	}
	if err := must(w.raw.CommitBatch(ctx, &nodev1.CommitBatchRequest{Batch: batch})); err != nil {
		t.Errorf("a batch after which the right is there: %v", err)
	}
}

// reference: store-036
// In a collection that the batch makes, its maker writes whatever list the batch leaves it with.
func TestMakerWritesInItsBatch(t *testing.T) {
	w, ctx := friendly(t)
	const db = "home.local/owner:db"
	c := string(friend) + ":theirs"
	batch := w.rawBatch(ctx)
	if err := must(w.raw.CreateCollection(ctx, &nodev1.CreateCollectionRequest{
		Database: db, Collection: c, Batch: batch, Permissions: friendList(perm.Read),
	})); err != nil {
		t.Fatal(err)
	}
	if err := w.rawPut(ctx, batch, c, "k"); err != nil {
		t.Fatal(err)
	}
	if err := must(w.raw.CommitBatch(ctx, &nodev1.CommitBatchRequest{Batch: batch})); err != nil {
		t.Fatal(err)
	}
	if err := must(w.raw.Get(ctx, &nodev1.GetRequest{Database: db, Collection: c, Key: "k"})); err != nil {
		t.Error(err)
	}
}

// reference: store-309
// Of two administrators who replace the list of a collection after reading the same version, the second is told, outside
// of a batch by the version and in one by the conflict.
func TestTwoAdministrators(t *testing.T) {
	w := newTxWorld(t)
	ctx := t.Context()
	_, version, err := w.c.Permissions(ctx)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := w.db.Begin(ctx, client.TxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, inside, err := tx.Permissions(ctx, w.c); err != nil || inside != version {
		t.Errorf("in a batch the list has version %q, %v; want %q", inside, err, version)
	}
	if err := tx.SetPermissions(ctx, w.c, listFor(perm.Write)); err != nil {
		t.Fatal(err)
	}
	if list, inside, err := tx.Permissions(ctx, w.c); err != nil || inside != "" || len(list["Write"].In) != 2 {
		t.Errorf("after replacing it: %v, %q, %v", list, inside, err)
	}
	if _, err := w.c.SetPermissions(ctx, listFor(perm.Read), version); err != nil {
		t.Fatal(err)
	}
	if _, err := w.c.SetPermissions(ctx, listFor(perm.Admin), version); !errors.Is(err, client.ErrConflict) {
		t.Errorf("replacing what has changed: %v", err)
	}
	if err := tx.Commit(ctx); !errors.Is(err, client.ErrConflict) {
		t.Errorf("committing a list over another: %v", err)
	}
}
