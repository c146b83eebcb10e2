package api

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/perm"
)

const dropbox = "home.local/owner:c"

// newDropbox makes a collection with the row "there" that the principal writer may write and not read.
func newDropbox(t *testing.T) *web {
	t.Helper()
	v := newWeb(t)
	c := v.collection("db", "c")
	if _, err := c.Put(t.Context(), "there", 1); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*nodev1.SetPermissionsRequest{
		{Database: "db", Collection: "c", Permissions: shared(perm.CollectionTags).Marshal()},
		{Database: "db", Permissions: shared(perm.DatabaseTags).Marshal()},
	} {
		if _, err := v.world.raw.SetPermissions(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

func deletion(key string) *nodev1.Op {
	return &nodev1.Op{Op: &nodev1.Op_Delete{Delete: &nodev1.Delete{Collection: dropbox, Key: key}}}
}

// TestWriteAloneLearnsNothing compares what who may write and not read hears of what is there with what it hears of what is not.
func TestWriteAloneLearnsNothing(t *testing.T) {
	v := newDropbox(t)
	writer := as(t.Context(), "friends.local/writer")
	commit := func(ops ...*nodev1.Op) *nodev1.CommitResponse {
		resp, err := v.world.raw.Commit(writer, &nodev1.CommitRequest{Database: "home.local/owner:db", Ops: ops})
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	for key, ops := range map[string][]*nodev1.Op{
		"there":  {deletion("there")},
		"absent": {deletion("absent")},
		"batch":  {deletion("there"), deletion("absent"), put("mine", "1")},
	} {
		resp := commit(ops...)
		if strings.Join(resp.GetVersions(), "") != "" || len(resp.GetVersions()) != len(ops) || !resp.GetWithheld() {
			t.Errorf("commit of %s: %v", key, resp)
		}
	}
	outcomes, err := commitEach(writer, v.world.raw, "home.local/owner:db", []*nodev1.Op{put("a", "1")}, []*nodev1.Op{deletion("a"), deletion("b")})
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range outcomes {
		if o.GetCode() != 0 || strings.Join(o.GetVersions(), "") != "" || len(o.GetVersions()) != i+1 {
			t.Errorf("outcome %d: %v", i, o)
		}
	}
	commit(put("range/1", "1"), put("range/2", "1"))
	for range 2 { // rows, then none
		resp, err := v.world.raw.DeleteRange(writer, &nodev1.DeleteRangeRequest{Database: "home.local/owner:db", Collection: dropbox, Prefix: "range/"})
		if err != nil || resp.GetDeleted() != 0 || !resp.GetWithheld() {
			t.Errorf("delete of a range: %v, %v", resp, err)
		}
	}
	if found, err := v.client().Database("db").Collection("c").Has(t.Context(), "range/1"); err != nil || found {
		t.Errorf("the range is there: %v, %v", found, err)
	}
}

// TestWriteAloneHasNoConditions: what a condition says of a row is for who may read it.
func TestWriteAloneHasNoConditions(t *testing.T) {
	v := newDropbox(t)
	writer := as(t.Context(), "friends.local/writer")
	ask := func(call func(ctx context.Context, key string) error) {
		t.Helper()
		there, absent := call(writer, "there"), call(writer, "absent")
		if reasonOf(there) != refused || reasonOf(absent) != refused {
			t.Errorf("%v and %v, want both %s", there, absent, refused)
		}
	}
	ask(func(ctx context.Context, key string) error {
		check := &nodev1.Op{Op: &nodev1.Op_Check{Check: &nodev1.Check{Collection: dropbox, Key: key, Expected: &nodev1.Check_Absent{Absent: true}}}}
		return must(v.world.raw.Commit(ctx, &nodev1.CommitRequest{Database: "home.local/owner:db", Ops: []*nodev1.Op{check, put("x", "1")}}))
	})
	ask(func(ctx context.Context, key string) error {
		return must(v.world.raw.ResolveConflicts(ctx, &nodev1.ResolveConflictsRequest{Database: "home.local/owner:db", Resolutions: []*nodev1.Resolution{
			{Collection: dropbox, Key: key, Result: &nodev1.Resolution_Delete{Delete: true}},
		}}))
	})
}

// TestHTTPWriteAlone is the same over HTTP.
func TestHTTPWriteAlone(t *testing.T) {
	v := newDropbox(t)
	const rowsPath = "/v1/db/home.local%2Fowner:db/collections/home.local%2Fowner:c/rows"
	ask := func(method, path, body string, header ...string) reply {
		return v.do(method, rowsPath+path, body, append(header, callerHeader, "friends.local/writer")...)
	}
	there, absent := ask(http.MethodDelete, "/there", ""), ask(http.MethodDelete, "/absent", "")
	if there.status != 200 || there.body != `{"version":""}` {
		t.Errorf("delete: %d %s", there.status, there.body)
	}
	if diff := cmp.Diff(there.body, absent.body); diff != "" || there.status != absent.status {
		t.Errorf("it tells what was there: %s", diff)
	}
	if r := ask(http.MethodPut, "/there", "1"); r.status != 200 || r.header.Get("ETag") != "" {
		t.Errorf("put: %d, ETag %s", r.status, r.header.Get("ETag"))
	}
	for range 2 {
		if r := ask(http.MethodDelete, "?prefix=", ""); r.status != 200 || r.body != `{"deleted":"0","withheld":true}` {
			t.Errorf("range: %d %s", r.status, r.body)
		}
	}
	if r := ask(http.MethodPut, "/there", "1", "If-None-Match", "*"); r.status != http.StatusForbidden {
		t.Errorf("put of what is absent: %d %s", r.status, r.body)
	}
}
