package api

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// Whether a caller with Read on the database has a blob is up to the lists of the collections whose rows refer to it, at each call anew.
func TestBlobsFollowTheListsOfTheirRows(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.collection("db", "c")
	if _, err := c.Put(ctx, "k", 1); err != nil {
		t.Fatal(err)
	}
	w.fakes.blob = []byte("data")
	w.fakes.within = id.Collection{Name: id.Name{Owner: "home.local/owner", Local: "c"}}
	theirs := as(ctx, friend)
	calls := func() map[string]codes.Code {
		const db = "home.local/owner:db"
		listed, err := w.raw.ListBlobs(theirs, &nodev1.ListBlobsRequest{Database: db})
		found := codes.NotFound
		if err == nil {
			if _, err := listed.Recv(); err == nil {
				found = codes.OK
			}
		}
		return map[string]codes.Code{
			"stat":  status.Code(must(w.raw.StatBlob(theirs, &nodev1.StatBlobRequest{Database: db, Ref: fakeRef}))),
			"get":   status.Code(drain(w.raw.GetBlob(theirs, &nodev1.GetBlobRequest{Database: db, Ref: fakeRef}))),
			"fetch": status.Code(drain(w.raw.FetchBlob(theirs, &nodev1.FetchBlobRequest{Database: db, Ref: fakeRef}))),
			"list":  found,
		}
	}
	for _, tags := range []struct {
		collection perm.Tag
		want       codes.Code
	}{{perm.Read, codes.OK}, {perm.Write, codes.NotFound}, {perm.Admin, codes.NotFound}, {perm.Read, codes.OK}} {
		w.grant("", perm.Read, tags.collection)
		want := map[string]codes.Code{"stat": tags.want, "get": tags.want, "fetch": tags.want, "list": tags.want}
		if diff := cmp.Diff(want, calls()); diff != "" {
			t.Errorf("with %s on the collection (-want +got):\n%s", tags.collection, diff)
		}
	}
}
