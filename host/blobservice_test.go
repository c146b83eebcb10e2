package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/syncbase/syncbase/host/internal/api"
	"github.com/syncbase/syncbase/host/internal/blobs"
	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// A client has the blobs to which rows refer that it may read, one of them at least, and those to which no row refers that were put through
// the database. Of others it learns nothing: to ask for one is answered as if there were none.
func TestClientsHaveTheBlobsOfRowsTheyMayRead(t *testing.T) {
	const owner = id.Principal("test.local/owner")
	store, err := kv.OpenMem()
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	h := &Host{blobs: blobs.New(store, noObjects{})}
	h.rows, err = rows.Open(store, rows.Options{Now: time.Now, NewDevice: newDevice, References: h.blobs, Random: randomNumber})
	if err != nil {
		t.Fatal(err)
	}
	collection := func(name string) id.Collection { return id.Collection{Name: id.Name{Owner: owner, Local: name}} }
	ref := func(name string) chunk.Ref { return chunk.Ref(chunk.Sum([]byte(name))) }
	var dbs []*rows.DB
	for _, name := range []string{"db", "other"} {
		db, err := h.rows.Create(id.Name{Owner: owner, Local: name}, perm.For(owner, perm.DatabaseTags))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []string{"open", "closed"} {
			if err := db.CreateCollection(collection(c), perm.For(owner, perm.CollectionTags)); err != nil {
				t.Fatal(err)
			}
		}
		dbs = append(dbs, db)
	}
	refer := func(db *rows.DB, c, name string) {
		t.Helper()
		value := fmt.Appendf(nil, `{"$blob":%q}`, ref(name))
		if _, err := db.Commit([]rows.Op{{Collection: collection(c), Key: c + " " + name, Value: value}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	refer(dbs[0], "open", "of open")
	refer(dbs[0], "closed", "of closed")
	refer(dbs[0], "closed", "of both")
	refer(dbs[0], "open", "of both")
	refer(dbs[1], "open", "of another database")
	refer(dbs[0], "closed", "put, of closed")
	refer(dbs[1], "closed", "put")
	for _, name := range []string{"put", "put, of closed"} {
		if err := h.blobs.Keep(ref(name), dbs[0].Num()); err != nil {
			t.Fatal(err)
		}
	}
	has := func(readable ...string) (list []string) {
		t.Helper()
		b, ctx := blobService{h}, context.Background()
		of := api.BlobScope{DB: dbs[0].Num(), MayRead: func(c id.Collection) bool { return slices.Contains(readable, c.Name.Local) }}
		listed := map[string]bool{}
		if err := b.List(ctx, of, func(b api.Blob) error { listed[b.Ref] = true; return nil }); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"of open", "of closed", "of both", "of another database", "put", "put, of closed", "nothing"} {
			_, err := b.Stat(ctx, of, ref(name).String())
			if err != nil && !errors.Is(err, blobs.ErrNotFound) {
				t.Fatal(err)
			}
			// Nobody misses what no row refers to, so it is not listed before it is here.
			if found := err == nil; found != listed[ref(name).String()] && name != "put" {
				t.Errorf("%s: found %v, listed %v", name, found, !found)
			}
			if err == nil {
				list = append(list, name)
			}
		}
		return list
	}
	for _, c := range []struct{ readable, want []string }{
		{nil, []string{"put"}},
		{[]string{"open"}, []string{"of open", "of both", "put"}},
		{[]string{"closed"}, []string{"of closed", "of both", "put", "put, of closed"}},
		{[]string{"open", "closed"}, []string{"of open", "of closed", "of both", "put", "put, of closed"}},
	} {
		if got := has(c.readable...); !slices.Equal(got, c.want) {
			t.Errorf("who may read %v has %q, want %q", c.readable, got, c.want)
		}
	}
}
