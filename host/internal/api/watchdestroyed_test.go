package api

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/syncbase/syncbase/host/internal/perm"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
	"github.com/syncbase/syncbase/sdk/client"
)

// reference: store-062 of a collection that a batch destroys no row of that batch is seen, and its end is, by its owner and by a reader
// who was shown a row of it; what else the batch writes and what it deletes afterwards is seen.
func TestCollectionDestroyedInABatch(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c, d := w.collection("db", "c"), w.collection("db", "d")
	for _, name := range []string{"c", "d"} {
		list := perm.For(owner, perm.CollectionTags)
		list[perm.Read] = perm.Access{In: append(list[perm.Read].In, perm.Pattern(friend))}
		if _, err := w.raw.SetPermissions(ctx, &nodev1.SetPermissionsRequest{Database: "db", Collection: name, Permissions: list.Marshal()}); err != nil {
			t.Fatal(err)
		}
	}
	w.grant("", "Resolve", "Read")
	for _, key := range []string{"old", "kept"} {
		if err := errors.Join(must(c.Put(ctx, key, 1)), must(d.Put(ctx, key, 1))); err != nil {
			t.Fatal(err)
		}
	}
	theirs, err := w.raw.Watch(as(ctx, friend), &nodev1.WatchRequest{Database: "home.local/owner:db"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := theirs.Recv(); err != nil {
		t.Fatal(err)
	}
	if err := must(d.Put(ctx, "shown", 1)); err != nil {
		t.Fatal(err)
	}
	if m, err := theirs.Recv(); err != nil || m.GetChanges()[0].GetRow().GetKey() != "shown" {
		t.Fatalf("the reader sees %v, %v", m, err)
	}
	mine := watch(t, w.client().Database("db"), client.WatchOptions{})
	mine.next(t)
	err = w.client().Database("db").RunInBatch(ctx, client.RunOptions{}, func(tx *client.Tx) error {
		return errors.Join(
			tx.Put(ctx, d, "unseen", 1), tx.Put(ctx, c, "seen", 1), tx.DestroyCollection(ctx, d), tx.Delete(ctx, c, "old"),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Fields(text(mine.next(t)))
	if slices.Sort(got); !slices.Equal(got, []string{"!d", "+seen=1", "-old"}) {
		t.Errorf("the owner sees %q", got)
	}
	m, err := theirs.Recv()
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	for _, ch := range m.GetChanges() {
		_, local, _ := strings.Cut(ch.GetCollection(), ":")
		seen = append(seen, local+" "+ch.GetRow().GetKey()+" "+strings.TrimPrefix(ch.GetKind().String(), "CHANGE_KIND_"))
	}
	slices.Sort(seen)
	if len(seen) != 3 || seen[0] != "c old DELETE" || seen[1] != "c seen PUT" || seen[2] != "d  DESTROYED" {
		t.Errorf("the reader sees %q", seen)
	}
}
