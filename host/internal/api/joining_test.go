package api

import (
	"context"
	"fmt"
	"testing"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/perm"
)

// create makes a syncgroup over collections.
func create(w *world, ctx context.Context, name, permissions string, collections ...string) string {
	req := &nodev1.CreateSyncgroupRequest{Database: "home.local/owner:db", Syncgroup: name, Permissions: []byte(permissions)}
	for _, c := range collections {
		req.Collections = append(req.Collections, &nodev1.SyncgroupCollection{Collection: c})
	}
	_, err := w.raw.CreateSyncgroup(ctx, req)
	return trimmed(err)
}

// reference: sync-147 a syncgroup needs a collection, which exists and may be read by who creates it, and a name that is
// free; several may share one collection.
//
// reference: store-107 a syncgroup is over at least one collection, which exists, may have rows and is readable for who creates it;
// one name is given once, and one collection may have several. Who has nothing on the database, and whom its list denies what it
// gives to everybody, neither creates nor lists.
func TestCreateSyncgroup(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.collection("db", "c")
	if _, err := c.Put(ctx, "k", 1); err != nil {
		t.Fatal(err)
	}
	hidden := perm.For("friends.local/other", perm.CollectionTags)
	_, err := w.raw.CreateCollection(ctx, &nodev1.CreateCollectionRequest{Database: "db", Collection: "closed", Permissions: hidden.Marshal()})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		what, name, permissions string
		collections             []string
		want                    string
	}{
		{"no collections", "sg", "", nil, "InvalidArgument INVALID"},
		{"over a collection with rows", "sg", "", []string{"c"}, ok},
		{"the same again", "sg", "", []string{"c"}, "AlreadyExists EXISTS"},
		{"another over the same collection", "peer", "", []string{"c"}, ok},
		{"over nothing", "none", "", []string{"missing"}, noColl},
		{"over what may not be read", "none", "", []string{"closed"}, refused},
		{"shutting itself out", "none", `{"Admin":{"in":["home.local/owner"]},"Read":{"in":["friends.local"]}}`, []string{"c"}, "InvalidArgument INVALID"},
		{"for nobody", "none", `{"Read":{"in":["home.local/owner"]}}`, []string{"c"}, "InvalidArgument INVALID_PERMISSIONS"},
	} {
		if got := create(w, ctx, x.name, x.permissions, x.collections...); got != x.want {
			t.Errorf("%s: %s, want %s", x.what, got, x.want)
		}
	}
	stranger := as(ctx, friend)
	if got := create(w, stranger, "friends.local/anna:sg", "", "c"); got != hiddenDatabase {
		t.Errorf("create by a stranger: %s", got)
	}
	if got := trimmed(drain(w.raw.ListSyncgroups(stranger, &nodev1.ListSyncgroupsRequest{Database: "home.local/owner:db"}))); got != hiddenDatabase {
		t.Errorf("list by a stranger: %s", got)
	}
	if err := must(w.raw.SetPermissions(ctx, &nodev1.SetPermissionsRequest{Database: "db", Collection: "c", Permissions: everybody(perm.CollectionTags).Marshal()})); err != nil {
		t.Fatal(err)
	}
	for denied, want := range map[perm.Tag][2]string{
		"": {ok, ok}, perm.Write: {refused, ok}, perm.Read: {ok, refused}, perm.Admin: {ok, ok},
	} {
		list := everybody(perm.DatabaseTags)
		if denied != "" {
			list[denied] = perm.Access{In: list[denied].In, NotIn: []perm.Pattern{perm.Pattern(friend)}}
		}
		if err := must(w.raw.SetPermissions(ctx, &nodev1.SetPermissionsRequest{Database: "db", Permissions: list.Marshal()})); err != nil {
			t.Fatal(err)
		}
		created := create(w, stranger, "friends.local/anna:without"+string(denied), "", "home.local/owner:c")
		listed := trimmed(drain(w.raw.ListSyncgroups(stranger, &nodev1.ListSyncgroupsRequest{Database: "home.local/owner:db"})))
		if got := [2]string{created, listed}; got != want {
			t.Errorf("create and list by who is denied %q: %q, want %q", denied, got, want)
		}
	}
}

// everybody is a list that gives these tags to all.
func everybody(tags []perm.Tag) perm.List {
	list := perm.List{}
	for _, tag := range tags {
		list[tag] = perm.Access{In: []perm.Pattern{perm.Everyone}}
	}
	return list
}

const hiddenDatabase = "NotFound NO_DATABASE"

// reference: store-108 to join again is no error; who has no right on the database, and then none on the syncgroup, is
// refused.
//
// reference: sync-148 whoever created a syncgroup may join it again; another client of the same daemon is refused without
// Write on the database, then without Read on the syncgroup, and then let in.
func TestJoinWhatIsHere(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.collection("db", "c")
	join := func(ctx context.Context) string {
		_, err := w.raw.JoinSyncgroup(ctx, &nodev1.JoinSyncgroupRequest{Database: "home.local/owner:db", Syncgroup: "home.local/owner:sg"})
		return trimmed(err)
	}
	open := func(read string) {
		t.Helper()
		w.fakes.mu.Lock()
		w.fakes.specs = nil
		w.fakes.mu.Unlock()
		if got := create(w, ctx, "sg", fmt.Sprintf(`{"Admin":{"in":["home.local/owner"]},"Read":{"in":["home.local/owner",%q]}}`, read), "c"); got != ok {
			t.Fatal(got)
		}
	}
	open("nobody.local")
	if got := join(ctx); got != ok {
		t.Errorf("by the creator: %s", got)
	}
	w.grantTags(nil, []perm.Tag{perm.Read}, nil)
	if got := join(as(ctx, friend)); got != refused {
		t.Errorf("without Write on the database: %s", got)
	}
	w.grantTags(nil, []perm.Tag{perm.Read, perm.Write}, nil)
	if got := join(as(ctx, friend)); got != refused {
		t.Errorf("without Read on the syncgroup: %s", got)
	}
	open(string(friend))
	if got := join(as(ctx, friend)); got != ok {
		t.Errorf("with both: %s", got)
	}
}
