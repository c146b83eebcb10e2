package api

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
	"github.com/syncbase/syncbase/sdk/client"

	"github.com/syncbase/syncbase/host/internal/perm"
)

// reference: store-001 handles tell the names that they were made with, and the full names that lists give open the same
// things.
//
// reference: store-002 a name without an owner is the caller's own, inside a batch as outside.
func TestNamesOfHandles(t *testing.T) {
	w := newTxWorld(t)
	ctx := t.Context()
	w.put("k", 1)
	if w.db.Name() != "db" || w.c.Name() != "c" {
		t.Errorf("the handles are called %s and %s", w.db.Name(), w.c.Name())
	}
	app := w.client()
	for name, err := range app.Databases(ctx) {
		if err != nil || name != "home.local/owner:db" {
			t.Fatalf("listed %s, %v", name, err)
		}
		for coll, err := range app.Database(name).Collections(ctx) {
			if err != nil || coll != "home.local/owner:c" {
				t.Fatalf("listed %s, %v", coll, err)
			}
			if row, err := app.Database(name).Collection(coll).Get(ctx, "k"); err != nil || row.Key != "k" {
				t.Errorf("by its full name: %+v, %v", row, err)
			}
			tx := w.begin(client.TxOptions{})
			if row, err := tx.Get(ctx, w.db.Collection(coll), "k"); err != nil || row.Key != "k" {
				t.Errorf("in a batch: %+v, %v", row, err)
			}
			if err := tx.Abort(ctx); err != nil {
				t.Error(err)
			}
		}
	}
	if _, err := w.raw.Get(as(ctx, friend), &nodev1.GetRequest{Database: "db", Collection: "c", Key: "k"}); reasonOf(err) != "NotFound NO_DATABASE" {
		t.Errorf("the name of somebody else's own database: %v", err)
	}
}

// reference: store-073 a scan that was left or had come to its end can be made again, what it gave stays as it was, and one whose
// context ends, before it begins or in its midst, gives nothing more but that.
func TestScanEnds(t *testing.T) {
	w := newTxWorld(t)
	for _, key := range []string{"a", "b", "c"} {
		w.put(key, key)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	scan := w.c.Scan(ctx, client.Range{})
	var first client.Row
	for first = range scan {
		break
	}
	want := []string{`a="a"`, `b="b"`, `c="c"`}
	for range 2 {
		if diff := cmp.Diff(want, scanned(t, scan)); diff != "" {
			t.Errorf("-wanted +scanned:\n%s", diff)
		}
	}
	for _, left := range []int{1, 0} { // at first its context ends when it has given a row
		rows, last := 0, error(nil)
		for _, err := range scan {
			if last = err; err == nil {
				rows++
			}
			cancel()
		}
		if rows != left || !errors.Is(last, context.Canceled) {
			t.Errorf("after its context has ended: %d rows, %v", rows, last)
		}
	}
	if first.Key != "a" || string(first.Value.Bytes) != `"a"` {
		t.Errorf("the first row has become %+v", first)
	}
}

// reference: store-074 a read-only batch shows the past, whatever is written, made or given away, and once it was aborted nothing:
// whatever is asked of it then is refused as of a batch that has ended.
func TestSnapshotEnds(t *testing.T) {
	w := newTxWorld(t)
	ctx := t.Context()
	w.put("a", 1)
	tx := w.begin(client.TxOptions{ReadOnly: true})
	w.put("a", 2)
	w.put("b", 2)
	w.collection("db", "later")
	if _, err := w.c.SetPermissions(ctx, listFor(perm.Read), ""); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a=1"}, scanned(t, tx.Scan(ctx, w.c, client.Range{}))); diff != "" {
		t.Errorf("-wanted +scanned:\n%s", diff)
	}
	if _, err := tx.Get(ctx, w.c, "b"); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("get of a later row: %v", err)
	}
	if diff := cmp.Diff([]string{ownersC}, names(t, tx.Collections(ctx))); diff != "" {
		t.Errorf("-wanted +listed:\n%s", diff)
	}
	if list, _, err := tx.Permissions(ctx, w.c); err != nil || len(list["Read"].In) != 1 {
		t.Errorf("list: %+v, %v", list, err)
	}
	if row, err := tx.Get(ctx, w.c, "a"); err != nil || string(row.Value.Bytes) != "1" {
		t.Errorf("get: %+v, %v", row, err)
	}
	if err := tx.Abort(ctx); err != nil {
		t.Fatal(err)
	}
	_, _, list := tx.Permissions(ctx, w.c)
	for op, err := range map[string]error{
		"get": must(tx.Get(ctx, w.c, "a")), "scan": firstError(tx.Scan(ctx, w.c, client.Range{})),
		"collections": firstError(tx.Collections(ctx)), "list": list,
	} {
		if !errors.Is(err, client.ErrUnknownBatch) {
			t.Errorf("%s after abort: %v", op, err)
		}
	}
}

// reference: store-075 before a client is closed what was put is got and scanned; once it is, all its calls fail and say so, those of
// batches and watches too, and closing it again as well.
func TestClosedClient(t *testing.T) {
	w := newTxWorld(t)
	ctx := t.Context()
	w.put("a", 1)
	app := w.client()
	db := app.Database("db")
	c := db.Collection("c")
	if diff := cmp.Diff([]string{"a=1"}, scanned(t, c.Scan(ctx, client.Range{}))); diff != "" || must(c.Get(ctx, "a")) != nil {
		t.Errorf("before: %s", diff)
	}
	tx, err := db.Begin(ctx, client.TxOptions{})
	if err := errors.Join(err, app.Close()); err != nil {
		t.Fatal(err)
	}
	_, _, list := c.Permissions(ctx)
	for op, err := range map[string]error{
		"get": must(c.Get(ctx, "a")), "put": must(c.Put(ctx, "a", 2)), "scan": firstError(c.Scan(ctx, client.Range{})),
		"delete": must(c.Delete(ctx, "a")), "delete range": must(c.DeleteRange(ctx, client.Range{})), "list": list,
		"exists": must(c.Exists(ctx)), "create": must(db.Collection("d").Create(ctx, nil)), "destroy": c.Destroy(ctx),
		"databases": firstError(app.Databases(ctx)), "collections": firstError(db.Collections(ctx)),
		"watch": firstError(db.Watch(ctx, client.WatchOptions{})), "begin": must(db.Begin(ctx, client.TxOptions{})),
		"get in a batch": must(tx.Get(ctx, c, "a")), "scan in a batch": firstError(tx.Scan(ctx, c, client.Range{})),
		"commit": tx.Commit(ctx),
	} {
		if !errors.Is(err, client.ErrClosed) || errors.Is(err, context.Canceled) || errors.Is(err, client.ErrUnavailable) {
			t.Errorf("%s: %v", op, err)
		}
	}
	if err := app.Close(); !errors.Is(err, client.ErrClosed) {
		t.Errorf("it was closed twice: %v", err)
	}
}

// reference: store-076 a daemon that ends takes all its batches and streams with it, each with its own reason.
func TestEndOfManyStreams(t *testing.T) {
	w := newTxWorld(t)
	ctx := t.Context()
	w.put("a", 1)
	var open []*client.Tx
	for i := range 20 {
		open = append(open, w.begin(client.TxOptions{ReadOnly: i%2 == 0}))
	}
	var streams []nodev1.NodeService_WatchClient
	for range 210 {
		s, err := w.raw.Watch(ctx, &nodev1.WatchRequest{Database: "db"})
		if err == nil {
			_, err = s.Recv()
		}
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, s)
	}
	w.server.Drain()
	for i, s := range streams {
		if _, err := s.Recv(); reasonOf(err) != "Unavailable UNAVAILABLE" {
			t.Errorf("stream %d ended with %v", i, err)
		}
	}
	for i, tx := range open {
		if _, err := tx.Get(ctx, w.c, "a"); !errors.Is(err, client.ErrUnknownBatch) {
			t.Errorf("batch %d: %v", i, err)
		}
	}
}

// reference: sync-063 a group is everything that hangs together by the batches of either side, with the rows that were only
// written along; a row without a batch is alone, and rows that both sides wrote together are one group.
//
// reference: sync-064 the groups have nothing in common, and together they are everything.
func TestGroupsAreClosures(t *testing.T) {
	q := newQuarrel(t, `{"resolver":"app"}`)
	q.here("b=1", "x=1", "z=1")
	q.here("c=1")
	q.here("y=1")
	q.there("x=2", "y=2")
	q.there("b=2", "c=2")
	q.here("alone=1")
	q.there("alone=2")
	q.here("p=1", "q=1")
	q.there("p=2", "q=2")
	asked := q.serve(3, func(g client.ConflictGroup) ([]client.Resolution, error) { return sum(g), nil })
	want := []string{"alone 1/2", "b 1/2, c 1/2, x 1/2, y 1/2, z 1", "p 1/2, q 1/2"}
	if diff := cmp.Diff(want, slices.Sorted(slices.Values(asked))); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

// reference: sync-066 single rows are resolved to this side, to the other, to a new value, or to whichever side is a delete.
func TestAnswersForSingleRows(t *testing.T) {
	q := newQuarrel(t, `{"resolver":"app"}`)
	for _, key := range []string{"delete", "keep", "local", "new", "remote"} {
		q.here(key + "=1")
		if key == "delete" || key == "keep" {
			if _, err := q.c.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
		q.there(key + "=2")
	}
	q.serve(5, func(g client.ConflictGroup) ([]client.Resolution, error) {
		c := &g.Conflicts[0]
		switch c.Key {
		case "delete", "local":
			return []client.Resolution{c.TakeLocal()}, nil
		case "new":
			return []client.Resolution{c.Merge(3)}, nil
		}
		return []client.Resolution{c.TakeRemote()}, nil
	})
	q.want("keep=2", "local=1", "new=3", "remote=2")
}

// reference: sync-084 conflicts go by what the rules say: to the application, to nobody for now, or to the last writer.
func TestConflictsByResolver(t *testing.T) {
	q := newQuarrel(t, `{"collection":"c","prefix":"app/","resolver":"app"},{"collection":"c","prefix":"defer/","resolver":"defer"}`)
	for _, key := range []string{"app/k", "defer/k", "last/k"} {
		q.here(key + "=1")
		q.there(key + "=2")
	}
	if diff := cmp.Diff([]string{"app/k 1/2", "defer/k 1/2"}, q.conflicts()); diff != "" {
		t.Errorf("open (-want +got):\n%s", diff)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var asked []string
	err := q.db.ResolveConflicts(ctx, func(_ context.Context, g client.ConflictGroup) ([]client.Resolution, error) {
		asked = append(asked, conflictText(&g.Conflicts[0]))
		go func() {
			for q.open() > 1 {
				_, more := q.store.More()
				if q.open() > 1 {
					<-more
				}
			}
			cancel()
		}()
		return sum(g), nil
	}, client.ResolverOptions{})
	if diff := cmp.Diff([]string{"app/k 1/2"}, asked); diff != "" || !errors.Is(err, context.Canceled) {
		t.Errorf("asked (-want +got):\n%s%v", diff, err)
	}
	q.want("app/k=3", "defer/k=1", "last/k=1")
}

// reference: sync-068 the local side of a row that only belongs to the group keeps it as it is: it gets no new version.
func TestRowOfTheGroupIsKept(t *testing.T) {
	q := newQuarrel(t, `{"resolver":"app"}`)
	q.here("a=1", "drawn=1")
	q.there("a=2")
	before, err := q.c.Get(t.Context(), "drawn")
	if err != nil {
		t.Fatal(err)
	}
	q.serve(1, func(g client.ConflictGroup) ([]client.Resolution, error) {
		return append(sum(g), g.Rows[0].TakeLocal()), nil
	})
	q.want("a=3", "drawn=1")
	if after, err := q.c.Get(t.Context(), "drawn"); err != nil || after.Version != before.Version {
		t.Errorf("the version went from %s to %s, %v", before.Version, after.Version, err)
	}
}
