package api

import (
	"context"
	"testing"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// A list that leaves out the owner does not take the owner's things from it for good: in person it reads and sets their lists
// again, and may do nothing else meanwhile. Its devices and strangers may not even do that.
func TestOwnerInPersonMendsLists(t *testing.T) {
	w := newWorld(t)
	w.collection("db", "c")
	ctx := t.Context()
	locked := perm.For(friend, []perm.Tag{perm.Admin}).Marshal()
	whole := perm.For(owner, perm.CollectionTags).Marshal()
	for what, req := range map[string]*nodev1.SetPermissionsRequest{
		"database":   {Database: "db"},
		"collection": {Database: "db", Collection: "c"},
	} {
		t.Run(what, func(t *testing.T) {
			set := func(ctx context.Context, list []byte) string {
				_, err := w.raw.SetPermissions(ctx, &nodev1.SetPermissionsRequest{Database: req.Database, Collection: req.Collection, Permissions: list})
				return reasonOf(err)
			}
			get := func(ctx context.Context) string {
				_, err := w.raw.GetPermissions(ctx, &nodev1.GetPermissionsRequest{Database: req.Database, Collection: req.Collection})
				return reasonOf(err)
			}
			put := func() string {
				_, err := w.raw.Commit(ctx, &nodev1.CommitRequest{Database: "db", Ops: []*nodev1.Op{
					{Op: &nodev1.Op_Put{Put: &nodev1.Put{Collection: "c", Key: "k", Value: []byte("1")}}},
				}})
				return reasonOf(err)
			}
			if got := set(ctx, locked); got != "OK" {
				t.Fatalf("a list without the owner: %s", got)
			}
			if got := put(); got != "PermissionDenied NO_ACCESS" {
				t.Errorf("a put of the owner that has no tag: %s", got)
			}
			for who, caller := range map[string]id.Principal{"a device of the owner": laptop, "a stranger": "else.where/owner"} {
				if got := get(as(ctx, caller)); got == "OK" {
					t.Errorf("%s read the list", who)
				}
				if got := set(as(ctx, caller), whole); got == "OK" {
					t.Errorf("%s set the list", who)
				}
			}
			if got := get(ctx); got != "OK" {
				t.Errorf("the owner in person cannot read the list: %s", got)
			}
			if got := set(ctx, whole); got != "OK" {
				t.Errorf("the owner in person cannot set the list again: %s", got)
			}
			if got := put(); got != "OK" {
				t.Errorf("a put after the list was mended: %s", got)
			}
		})
	}
}

// Only collections that bear the very name of the owner are the owner's to mend, in person.
func TestOwnerMendsNothingOfOthers(t *testing.T) {
	server := &Server{opts: Options{Owner: owner}}
	of := func(p id.Principal) id.Collection { return id.Collection{Name: id.Name{Owner: p, Local: "c"}} }
	for _, c := range []struct {
		caller id.Principal
		of     id.Collection
		want   bool
	}{
		{owner, of(owner), true},
		{owner, of(laptop), false},
		{owner, of(friend), false},
		{laptop, of(owner), false},
		{friend, of(friend), false},
	} {
		if got := (&target{s: server, caller: c.caller}).mends(c.of); got != c.want {
			t.Errorf("%s mends %s: %t", c.caller, c.of, got)
		}
	}
}
