package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
)

// withOrWithout is a world in which one thing may be missing: the db, the collection, the row, the syncgroup or the blob.
func withOrWithout(t *testing.T, missing string) *world {
	t.Helper()
	w := newWorld(t)
	if missing == "db" {
		return w
	}
	if _, err := w.client().Database("db").Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if missing == "collection" {
		return w
	}
	c := w.collection("db", "c")
	if missing == "row" {
		return w
	}
	if _, err := c.Put(t.Context(), "k", 1); err != nil {
		t.Fatal(err)
	}
	return w
}

// sees gives the friend these tags wherever there is something to have tags on, and has everything there again that calls may
// have changed, but for what is missing.
func (w *world) sees(missing string, n need) {
	w.t.Helper()
	levels := strings.Split(string(n), "/")
	lists := make([]perm.List, len(levels))
	for i, tags := range [][]perm.Tag{perm.ServiceTags, perm.DatabaseTags, perm.CollectionTags, perm.SyncgroupTags} {
		lists[i] = perm.For(owner, tags)
		for _, tag := range tagsIn(levels[i]) {
			lists[i][tag] = perm.Access{In: append(lists[i][tag].In, perm.Pattern(friend))}
		}
	}
	for i, on := range []*nodev1.SetPermissionsRequest{{}, {Database: "db"}, {Database: "db", Collection: "c"}} {
		on.Permissions = lists[i].Marshal()
		if err := must(w.raw.SetPermissions(w.t.Context(), on)); err != nil && !strings.HasPrefix(reasonOf(err), "NotFound ") {
			w.t.Fatal(err)
		}
	}
	w.fakes.mu.Lock()
	w.fakes.specs, w.fakes.blob = map[id.Name]NewSyncgroup{}, nil
	if missing != "syncgroup" {
		w.fakes.specs[id.Name{Owner: owner, Local: "sg"}] = NewSyncgroup{Permissions: lists[3]}
	}
	if missing != "blob" {
		w.fakes.blob = []byte("data")
	}
	w.fakes.mu.Unlock()
}

// answersWithout makes the calls for the friend, each as if it were the first.
func (w *world) answersWithout(missing string, n need, calls []deed) map[string]string {
	w.t.Helper()
	got := map[string]string{}
	w.sees(missing, n)
	for _, d := range calls {
		err := d.call(as(w.t.Context(), friend), w.raw)
		got[d.what] = fmt.Sprint(reasonOf(err), " ", err)
		if err == nil {
			w.sees(missing, n)
		}
	}
	return got
}

// reference: store-034
// Whatever tags somebody has: of a thing that these do not let it know of, a database, a collection, a row, a syncgroup or a
// blob, no call, in a batch or outside, answers otherwise when it is there than when it is not.
func TestNoAnswerTellsWhatIsThere(t *testing.T) {
	for _, x := range []struct {
		thing string
		// tags are of those who may not know of it.
		tags []need
	}{
		{"db", []need{"///"}},
		{"collection", []need{"///", "ARW///", "/X//", "/X//AR"}},
		{"row", []need{"///", "ARW///", "/X//", "/X/A/", "/R//", "/ARWX//AR"}},
		{"syncgroup", []need{"///", "ARW///", "/X//", "/X/ARW/"}},
		{"blob", []need{"///", "ARW///", "/X//", "/W//", "/AWX/ARW/AR"}},
	} {
		for _, n := range x.tags {
			t.Run(x.thing+" "+string(n), func(t *testing.T) {
				var calls []deed
				for _, a := range accesses {
					calls = append(calls, deed{what: a.method, call: a.call})
				}
				// What destroys comes last, and whole databases are not.
				calls = slices.Concat(deeds, calls[:len(calls)-1])
				with := withOrWithout(t, "").answersWithout("", n, calls)
				without := withOrWithout(t, x.thing).answersWithout(x.thing, n, calls)
				if diff := cmp.Diff(with, without); diff != "" {
					t.Errorf("-while it is there +while it is not:\n%s", diff)
				}
			})
		}
	}
}

// reference: store-034
// A batch that there is not is told of only to who may know the database, and before anything that is asked of a collection;
// a batch of somebody else is none.
func TestBatchesThatAreNot(t *testing.T) {
	const unknown = "NotFound UNKNOWN_BATCH"
	w := newWorld(t)
	w.collection("db", "c")
	w.grant("", perm.Resolve, "")
	theirs, err := begin(t.Context(), w.raw)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(ctx context.Context, db, collection, batch string) map[string]string {
		db, collection = "home.local/owner:"+db, "home.local/owner:"+collection
		got := map[string]string{}
		for what, err := range map[string]error{
			"get":     must(w.raw.Get(ctx, &nodev1.GetRequest{Database: db, Collection: collection, Key: "k", Batch: batch})),
			"scan":    drain(w.raw.Scan(ctx, &nodev1.ScanRequest{Database: db, Collection: collection, Batch: batch})),
			"destroy": must(w.raw.DestroyCollection(ctx, &nodev1.DestroyCollectionRequest{Database: db, Collection: collection, Batch: batch})),
			"list":    must(w.raw.GetPermissions(ctx, &nodev1.GetPermissionsRequest{Database: db, Collection: collection, Batch: batch})),
		} {
			got[what] = reasonOf(err)
		}
		return got
	}
	for _, batch := range []string{"none", theirs} {
		for _, x := range []struct {
			what           string
			who            id.Principal
			db, coll, want string
		}{
			{"a stranger", "elsewhere.local/x", "db", "c", hidden},
			{"a stranger, of nothing", "elsewhere.local/x", "none", "c", hidden},
			{"who may know of the database alone", friend, "db", "c", unknown},
			{"who may know of the database alone, of nothing in it", friend, "db", "none", unknown},
			{"who may know of the database alone, of another", friend, "none", "c", hidden},
		} {
			for what, got := range ask(as(t.Context(), x.who), x.db, x.coll, batch) {
				if got != x.want {
					t.Errorf("%s by %s: %s, want %s", what, x.what, got, x.want)
				}
			}
		}
		for _, who := range []id.Principal{friend, "elsewhere.local/x"} {
			ctx := as(t.Context(), who)
			for what, err := range map[string]error{
				"write":  must(w.raw.WriteBatch(ctx, &nodev1.WriteBatchRequest{Batch: batch, Ops: []*nodev1.Op{put("k", "1")}})),
				"commit": must(w.raw.CommitBatch(ctx, &nodev1.CommitBatchRequest{Batch: batch})),
			} {
				if got := reasonOf(err); got != unknown {
					t.Errorf("%s by %s: %s, want %s", what, who, got, unknown)
				}
			}
		}
	}
	for what, got := range ask(t.Context(), "none", "c", "none") {
		if got != hidden {
			t.Errorf("%s by the owner in a database that is not: %s", what, got)
		}
	}
	if err := must(w.raw.CommitBatch(t.Context(), &nodev1.CommitBatchRequest{Batch: theirs})); err != nil {
		t.Errorf("the batch that others asked for: %v", err)
	}
}
