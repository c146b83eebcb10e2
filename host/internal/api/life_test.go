package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
	"github.com/syncbase/syncbase/sdk/client"

	"github.com/syncbase/syncbase/host/internal/perm"
)

// validNames can be names of databases and collections, and keys of rows.
var validNames = []string{
	"a", ":B", "a/b", "/", "*", ",", "a,b", " ", "@@", "!\"#$%&'()+-.;<=>?[\\]^_`{|}~", "한국어", "a:b", ":",
	strings.Repeat("x", 1024), strings.Repeat("🔑", 256),
}

// invalidNames cannot be either.
var invalidNames = []string{"", "a\x00", "\n", "\x1f", "\x7f", "\u0080", "\u009f", "a\xfc", "\xfd", "\xfe", "\xff", "\xfa"}

// local writes a name so that it is the caller's own, whatever is in it.
func local(name string) string { return ":" + name }

// reference: store-18
// Nothing can be made below what is not there; without a list the creator has everything; what is there cannot be made
// again; a list that is given is kept as it is; Exists tells the truth throughout.
func TestCreate(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	db := w.client().Database("db")
	c := db.Collection("c")
	exists := func(want bool, of interface {
		Exists(ctx context.Context) (bool, error)
	}) {
		t.Helper()
		if got, err := of.Exists(ctx); got != want || err != nil {
			t.Errorf("exists: %v, %v; want %v", got, err, want)
		}
	}
	exists(false, db)
	exists(false, c)
	if _, err := c.Create(ctx, nil); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("collection in no database: %v", err)
	}
	if _, err := c.Put(ctx, "k", 1); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("row in no collection: %v", err)
	}
	if _, err := db.Create(ctx, nil); err != nil {
		t.Fatal(err)
	}
	exists(true, db)
	exists(false, c)
	list, _, err := db.Permissions(ctx)
	if diff := cmp.Diff(everything("Admin", "Read", "Resolve", "Write"), list); diff != "" || err != nil {
		t.Errorf("-wanted +list of the database, %v:\n%s", err, diff)
	}
	if _, err := db.Collection("open").Create(ctx, nil); err != nil {
		t.Fatal(err)
	}
	list, _, err = db.Collection("open").Permissions(ctx)
	if diff := cmp.Diff(everything("Admin", "Read", "Write"), list); diff != "" || err != nil {
		t.Errorf("-wanted +list of a collection made without one, %v:\n%s", err, diff)
	}
	onlyAdmin := everything("Admin")
	if _, err := c.Create(ctx, onlyAdmin); err != nil {
		t.Fatal(err)
	}
	exists(true, c)
	list, _, err = c.Permissions(ctx)
	if diff := cmp.Diff(onlyAdmin, list); diff != "" || err != nil {
		t.Errorf("-wanted +list of the collection, %v:\n%s", err, diff)
	}
	for what, err := range map[string]error{"database": must(db.Create(ctx, nil)), "collection": must(c.Create(ctx, nil))} {
		if !errors.Is(err, client.ErrExists) {
			t.Errorf("%s made again: %v", what, err)
		}
	}
	barred := everything("Admin", "Read", "Write")
	barred["Write"] = client.Access{In: []string{"..."}, NotIn: []string{string(owner)}}
	if _, err := db.SetPermissions(ctx, barred, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Collection("d").Create(ctx, nil); !errors.Is(err, client.ErrNoAccess) {
		t.Errorf("collection by who is excluded from writing: %v", err)
	}
	exists(false, db.Collection("d"))
}

// everything gives the owner the tags.
func everything(tags ...string) client.Permissions {
	list := client.Permissions{}
	for _, tag := range tags {
		list[tag] = client.Access{In: []string{string(owner)}}
	}
	return list
}

// putInto puts 1 into a collection.
func putInto(collection, key string) *nodev1.Op {
	return &nodev1.Op{Op: &nodev1.Op_Put{Put: &nodev1.Put{Collection: collection, Key: key, Value: []byte("1")}}}
}

// reference: store-19
// Every valid name can be that of a database, a collection and a row; no invalid or empty one can.
// reference: store-22
// Lists are what was made, in the order of owner and name, also for who has no tag on the items.
func TestNamesAndLists(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.collection("db", "base")
	db := w.client().Database("db")
	theirs := everything("Admin")
	theirs["Admin"] = client.Access{In: []string{string(friend)}}
	databases, collections := []string{"home.local/owner:db"}, []string{"home.local/owner:base"}
	for _, name := range validNames {
		if _, err := w.client().Database(local(name)).Create(ctx, theirs); err != nil {
			t.Errorf("database %.20q: %v", name, err)
		}
		if _, err := db.Collection(local(name)).Create(ctx, theirs); err != nil {
			t.Errorf("collection %.20q: %v", name, err)
		}
		if _, err := db.Collection("base").Put(ctx, name, 1); err != nil {
			t.Errorf("row %.20q: %v", name, err)
		}
		databases = append(databases, "home.local/owner:"+name)
		collections = append(collections, "home.local/owner:"+name)
		slices.Sort(databases)
		slices.Sort(collections)
		if diff := cmp.Diff(databases, names(t, w.client().Databases(ctx))); diff != "" {
			t.Fatalf("-wanted +databases:\n%s", diff)
		}
		if diff := cmp.Diff(collections, names(t, db.Collections(ctx))); diff != "" {
			t.Fatalf("-wanted +collections:\n%s", diff)
		}
	}
	for _, name := range invalidNames {
		for what, err := range map[string]error{
			"database":   must(w.rows.Create(dbName(name), perm.For(owner, perm.DatabaseTags))),
			"collection": must(w.raw.CreateCollection(ctx, &nodev1.CreateCollectionRequest{Database: "db", Collection: strings.ToValidUTF8(local(name), "\x00")})),
			"row":        must(w.raw.Commit(ctx, &nodev1.CommitRequest{Database: "db", Ops: []*nodev1.Op{putInto("base", strings.ToValidUTF8(name, "\x00"))}})),
		} {
			if got := reasonOf(err); what != "database" && !strings.HasPrefix(got, "InvalidArgument INVALID") || err == nil {
				t.Errorf("%s %q: %v", what, name, err)
			}
		}
	}
	if _, err := w.client().Database(local(strings.Repeat("🔑", 256)+"x")).Create(ctx, nil); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("a name one byte too long: %v", err)
	}
}

// names reads a list.
func names(t testing.TB, seq func(func(string, error) bool)) []string {
	t.Helper()
	var list []string
	for name, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, name)
	}
	return list
}

// reference: store-20
// What was destroyed is gone with everything below it, can be destroyed again and made again, and is then empty. Admin on
// it suffices, whatever is said below it, and so does Admin on what it is in; without either nothing happens.
// reference: store-21
// A collection that was made again is empty and can be written.
func TestDestroy(t *testing.T) {
	for _, x := range []struct {
		what string
		// service, database and collection are what the friend has there.
		service, database, collection perm.Tag
		// db and coll are what the friend gets of destroying them.
		db, coll string
	}{
		{"Admin on the service", perm.Admin, "", "", ok, refused},
		{"Admin on the database", "", perm.Admin, "", ok, ok},
		{"Admin on the collection", "", perm.Resolve, perm.Admin, refused, ok},
		{"Write everywhere", perm.Write, perm.Write, perm.Write, refused, refused},
		{"a tag on the database", "", perm.Resolve, "", refused, noColl},
		{"nothing", "", "", "", hidden, hidden},
	} {
		t.Run(x.what, func(t *testing.T) {
			w := newWorld(t)
			ctx := t.Context()
			c := w.collection("db", "c")
			if _, err := c.Put(ctx, "k", 1); err != nil {
				t.Fatal(err)
			}
			w.grant(x.service, x.database, x.collection)
			theirs := as(ctx, friend)
			destroyColl := func() string {
				return trimmed(must(w.raw.DestroyCollection(theirs, &nodev1.DestroyCollectionRequest{Database: "home.local/owner:db", Collection: "home.local/owner:c"})))
			}
			destroyDB := func() string {
				return trimmed(must(w.raw.DestroyDatabase(theirs, &nodev1.DestroyDatabaseRequest{Database: "home.local/owner:db"})))
			}
			if got := destroyColl(); got != x.coll {
				t.Errorf("collection: %s, want %s", got, x.coll)
			}
			if there, err := c.Exists(ctx); there == (x.coll == ok) || err != nil {
				t.Errorf("the collection exists: %v, %v", there, err)
			}
			if x.coll == ok {
				again := ok
				if x.database == perm.Resolve {
					again = noColl // it may not know of a collection that is not there
				}
				if got := destroyColl(); got != again {
					t.Errorf("collection again: %s, want %s", got, again)
				}
			}
			if got := destroyDB(); got != x.db {
				t.Errorf("database: %s, want %s", got, x.db)
			}
			db := w.client().Database("db")
			if there, err := db.Exists(ctx); there == (x.db == ok) || err != nil {
				t.Errorf("the database exists: %v, %v", there, err)
			}
			if x.db != ok {
				return
			}
			if err := errors.Join(db.Destroy(ctx), must(db.Create(ctx, nil))); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Put(ctx, "k", 1); !errors.Is(err, client.ErrNotFound) {
				t.Errorf("a row in the new database: %v", err)
			}
			if _, err := c.Create(ctx, nil); err != nil {
				t.Fatal(err)
			}
			if got := scanned(t, c.Scan(ctx, client.Range{})); len(got) != 0 {
				t.Errorf("the new collection holds %v", got)
			}
			if _, err := c.Put(ctx, "k", 2); err != nil {
				t.Error(err)
			}
		})
	}
}

// grant gives the friend a tag on the service, on the database "db" and on its collection "c"; empty is none.
func (w *world) grant(service, database, collection perm.Tag) {
	w.t.Helper()
	w.grantTags(tagsOf(service), tagsOf(database), tagsOf(collection))
}

func tagsOf(tag perm.Tag) []perm.Tag {
	if tag == "" {
		return nil
	}
	return []perm.Tag{tag}
}

// grantTags sets the lists so that the owner has everything, and the friend those tags.
func (w *world) grantTags(service, database, collection []perm.Tag) {
	w.t.Helper()
	for _, level := range []struct {
		db, coll string
		tags     []perm.Tag
		friend   []perm.Tag
	}{
		{"", "", perm.ServiceTags, service}, {"db", "", perm.DatabaseTags, database}, {"db", "c", perm.CollectionTags, collection},
	} {
		list := perm.For(owner, level.tags)
		for _, tag := range level.friend {
			list[tag] = perm.Access{In: append(list[tag].In, perm.Pattern(friend))}
		}
		_, err := w.raw.SetPermissions(w.t.Context(), &nodev1.SetPermissionsRequest{Database: level.db, Collection: level.coll, Permissions: list.Marshal()})
		if err != nil {
			w.t.Fatal(fmt.Errorf("list of %q %q: %w", level.db, level.coll, err))
		}
	}
}

// reference: store-24
// There is no batch on a database that is not there.
func TestBatchOnNothing(t *testing.T) {
	w := newWorld(t)
	if _, err := w.client().Database("none").Begin(t.Context(), client.TxOptions{}); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("begin: %v", err)
	}
}
