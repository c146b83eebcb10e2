package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
	"github.com/syncbase/syncbase/sdk/client"

	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// take reads the next so many batches that have changes, and stops the watch.
func (w *watching) take(t testing.TB, n int) []client.Batch {
	t.Helper()
	defer w.stop()
	var got []client.Batch
	for len(got) < n {
		if b := w.next(t); len(b.Changes) > 0 {
			got = append(got, b)
		}
	}
	return got
}

func texts(list []client.Batch) []string {
	var out []string
	for _, b := range list {
		out = append(out, text(b))
	}
	return out
}

// reference: store-58
// From each marker on, a watch of a prefix gives exactly what came after it, with the markers that others got; a key is
// taken literally, whatever is in it.
// reference: store-43
// What is put after a marker was taken is seen from that marker on.
func TestWatchFromMarkers(t *testing.T) {
	w := newTxWorld(t)
	ctx := t.Context()
	start := watch(t, w.db, client.WatchOptions{})
	markers := []string{start.next(t).Resume}
	steps := []string{"+abc%=1", "-abc%", "+a=2"}
	for _, step := range []error{must(w.c.Put(ctx, "abc%", 1)), must(w.c.Delete(ctx, "abc%")), must(w.c.Put(ctx, "a", 2))} {
		if step != nil {
			t.Fatal(step)
		}
		markers = append(markers, start.next(t).Resume)
	}
	start.stop()
	for i := range steps {
		seen := watch(t, w.db, client.WatchOptions{Collection: "c", Prefix: "a", Resume: markers[i]}).take(t, len(steps)-i)
		if diff := cmp.Diff(steps[i:], texts(seen)); diff != "" {
			t.Errorf("from marker %d: -wanted +seen:\n%s", i, diff)
		}
		for k, b := range seen {
			if b.Resume != markers[i+k+1] {
				t.Errorf("from marker %d: batch %d has another marker", i, k)
			}
		}
	}
	if diff := cmp.Diff(steps[:2], texts(watch(t, w.db, client.WatchOptions{Prefix: "abc%", Resume: markers[0]}).take(t, 2))); diff != "" {
		t.Errorf("with the prefix abc%%: -wanted +seen:\n%s", diff)
	}
}

// initialOf is the initial state that a caller sees of the database, as collection/key.
func (w *world) initialOf(ctx context.Context) []string {
	w.t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := w.raw.Watch(ctx, &nodev1.WatchRequest{Database: "home.local/owner:db", Initial: true})
	if err != nil {
		w.t.Fatal(err)
	}
	rows := []string{}
	for first := true; ; first = false {
		m, err := stream.Recv()
		if err != nil {
			w.t.Fatal(err)
		}
		for _, ch := range m.GetChanges() {
			_, local, _ := strings.Cut(ch.GetCollection(), ":")
			if ch.GetRow() == nil {
				local = "*" + local + strings.Join(ch.GetAccess().GetTags(), "")
				if ch.GetAccess().GetPermissions() != nil {
					local += "!"
				}
			}
			rows = append(rows, local+"/"+ch.GetRow().GetKey())
		}
		if !first && !m.GetContinued() {
			return rows
		}
	}
}

// reference: store-59
// The initial state has the collections in the order of their names, each with its rows in the order of keys; of those that
// the caller may not read the names alone, and of those that it administers the access list.
func TestInitialState(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	want := map[string][]string{}
	for _, name := range []string{"c", "z", "b"} {
		c := w.collection("db", name)
		for _, key := range []string{"2", "1", "10"} {
			if _, err := c.Put(ctx, key, 1); err != nil {
				t.Fatal(err)
			}
			want[name] = append(want[name], name+"/"+key)
		}
		slices.Sort(want[name])
	}
	w.grant("", "Read", "Read")
	all := slices.Concat([]string{"*bAdminReadWrite!/"}, want["b"], []string{"*cAdminReadWrite!/"}, want["c"], []string{"*zAdminReadWrite!/"}, want["z"])
	if diff := cmp.Diff(all, w.initialOf(ctx)); diff != "" {
		t.Errorf("-wanted +seen by the owner:\n%s", diff)
	}
	some := slices.Concat([]string{"*b/", "*cRead/"}, want["c"], []string{"*z/"})
	if diff := cmp.Diff(some, w.initialOf(as(ctx, friend))); diff != "" {
		t.Errorf("-wanted +seen by the reader of c:\n%s", diff)
	}
}

// reference: store-60
// A batch arrives as one, without what the watch does not want, and the last change that is left carries the marker; a
// batch of which nothing is left does not arrive.
func TestBatchBorders(t *testing.T) {
	w := newTxWorld(t)
	ctx := t.Context()
	other := w.collection("db", "other")
	seen := watch(t, w.db, client.WatchOptions{Collection: "c", Prefix: "k"})
	seen.next(t)
	everything := watch(t, w.db, client.WatchOptions{})
	everything.next(t)
	for _, keys := range []string{"k1 x c:k2 k3 y", "x y", "k4"} {
		var ops []client.Op
		for _, key := range strings.Fields(keys) {
			c := w.c
			if local, found := strings.CutPrefix(key, "c:"); found {
				c, key = other, local
			}
			op, err := c.PutOp(key, 1)
			if err != nil {
				t.Fatal(err)
			}
			ops = append(ops, op)
		}
		if _, err := w.db.Commit(ctx, ops...); err != nil {
			t.Fatal(err)
		}
	}
	all := everything.take(t, 3)
	got := seen.take(t, 2)
	if diff := cmp.Diff([]string{"+k1=1 +k3=1", "+k4=1"}, texts(got)); diff != "" {
		t.Errorf("-wanted +seen:\n%s", diff)
	}
	if got[0].Resume != all[0].Resume || got[1].Resume != all[2].Resume {
		t.Errorf("the markers are not those of the whole batches")
	}
	if n := len(all[0].Changes); n != 5 {
		t.Errorf("the first batch has %d changes", n)
	}
}

// reference: store-62
// Of a collection that was destroyed its end is seen, and not by who could never read it; the others go on.
// reference: store-303
// Two watchers with different rights see each its own part; one that loses its access sees no more from then on.
func TestWatchersWithDifferentRights(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c, d, e := w.collection("db", "c"), w.collection("db", "d"), w.collection("db", "e")
	both := perm.For(owner, perm.CollectionTags)
	both[perm.Read] = perm.Access{In: append(both[perm.Read].In, perm.Pattern(friend))}
	if _, err := w.raw.SetPermissions(ctx, &nodev1.SetPermissionsRequest{Database: "db", Collection: "e", Permissions: both.Marshal()}); err != nil {
		t.Fatal(err)
	}
	w.grant("", "Resolve", "Read")
	stream, err := w.raw.Watch(as(ctx, friend), &nodev1.WatchRequest{Database: "home.local/owner:db"})
	if err != nil {
		t.Fatal(err)
	}
	recv := func() string {
		t.Helper()
		m, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		var parts []string
		for _, ch := range m.GetChanges() {
			if ch.GetRow() != nil {
				parts = append(parts, ch.GetRow().GetKey())
			}
		}
		return strings.Join(parts, " ")
	}
	recv()
	mine := watch(t, w.client().Database("db"), client.WatchOptions{})
	mine.next(t)
	put := func(c *client.Collection, key string) {
		t.Helper()
		if _, err := c.Put(ctx, key, 1); err != nil {
			t.Fatal(err)
		}
	}
	put(c, "c1")
	put(d, "d1")
	put(c, "c2")
	if got := recv() + " " + recv(); got != "c1 c2" {
		t.Errorf("the reader of c sees %q", got)
	}
	if err := d.Destroy(ctx); err != nil {
		t.Fatal(err)
	}
	put(c, "c3")
	w.grant("", "Resolve", "")
	put(c, "c4")
	put(e, "e1")
	if diff := cmp.Diff([]string{"+c1=1", "+d1=1", "+c2=1", "!d", "+c3=1", "*c", "+c4=1", "+e1=1"}, texts(mine.take(t, 8))); diff != "" {
		t.Errorf("-wanted +seen by the owner:\n%s", diff)
	}
	// until reads as far as the key, and past changes of lists and what else may be seen on the way.
	until := func(key, also string) {
		t.Helper()
		for got := ""; got != key; {
			if got = recv(); got != "" && got != also && got != key {
				t.Fatalf("the reader of c sees %q", got)
			}
		}
	}
	until("e1", "c3") // c3 may have been sent before the access went; c4 may not
	w.grant("", "Resolve", "Read")
	put(c, "c5")
	until("c5", "")
}

// reference: store-63
// A watch waits for what is to come and gives each put as it comes, with the marker at which a watch opened then begins.
// reference: store-64
// Cancelling one that waits ends it.
func TestWaitingWatch(t *testing.T) {
	w := newTxWorld(t)
	seen := watch(t, w.db, client.WatchOptions{})
	seen.next(t)
	for i := range 10 {
		w.put("k", i)
		b := seen.next(t)
		if text(b) != fmt.Sprintf("+k=%d", i) {
			t.Errorf("seen %s", text(b))
		}
		fresh := watch(t, w.db, client.WatchOptions{})
		if open := fresh.next(t); open.Resume != b.Resume {
			t.Errorf("after put %d the marker is %s, that of the change %s", i, open.Resume, b.Resume)
		}
		fresh.stop()
	}
	seen.cancel()
	if err := <-seen.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("a watch that was cancelled ended with %v", err)
	} else {
		seen.ended <- err
	}
}

// reference: store-303
// A marker from before what was reclaimed is refused as too old.
// reference: store-72
// Keys with slashes in awkward places arrive as they are, in the initial state and afterwards; without a marker and
// without the initial state nothing of what is there arrives, but what is new. A marker from before what was reclaimed is
// refused as such, and a fresh one of the same database is not.
func TestAwkwardKeys(t *testing.T) {
	w := newTxWorld(t)
	keys := []string{"/z", "w/", "x//y", "%2F", "a%b", "//"}
	slices.Sort(keys)
	w.put("before", 1)
	seen := watch(t, w.db, client.WatchOptions{Collection: "c"})
	now := seen.next(t)
	if len(now.Changes) > 0 {
		t.Errorf("from now on begins with %s", text(now))
	}
	var want, got []string
	for _, key := range keys {
		w.put(key, 1)
		want = append(want, "+"+key+"=1")
	}
	if diff := cmp.Diff(want, texts(seen.take(t, len(keys)))); diff != "" {
		t.Errorf("-wanted +seen:\n%s", diff)
	}
	for _, row := range w.initialOf(t.Context()) {
		if key, found := strings.CutPrefix(row, "c/"); found && key != "before" {
			got = append(got, key)
		}
	}
	if diff := cmp.Diff(keys, got); diff != "" {
		t.Errorf("-wanted +initial:\n%s", diff)
	}
	db, err := w.rows.Database(dbName("db"))
	if err != nil {
		t.Fatal(err)
	}
	w.put("before", 2) // so that there is history, which no reader holds back
	stale, fresh := now.Resume, watch(t, w.db, client.WatchOptions{}).next(t).Resume
	for more := true; more; {
		step, err := db.Reclaim(rows.Limits{Before: time.Now().Add(time.Hour)})
		if more = step.More; err != nil {
			t.Fatal(err)
		}
	}
	if got := trimmed(drain(w.raw.Watch(t.Context(), &nodev1.WatchRequest{Database: "db", Resume: stale}))); got != "FailedPrecondition MARKER_TOO_OLD" {
		t.Errorf("a stale marker: %s", got)
	}
	seen = watch(t, w.db, client.WatchOptions{Resume: fresh})
	w.put("after", 1)
	if diff := cmp.Diff([]string{"+after=1"}, texts(seen.take(t, 1))); diff != "" {
		t.Errorf("after a fresh marker: -wanted +seen:\n%s", diff)
	}
}

// TestManyWatchers has each of many watchers see every change once.
func TestManyWatchers(t *testing.T) {
	w := newTxWorld(t)
	var all []*watching
	for range 100 {
		s := watch(t, w.db, client.WatchOptions{Collection: "c"})
		s.next(t)
		all = append(all, s)
	}
	var want []string
	for i := range 20 {
		w.put("k", i)
		want = append(want, fmt.Sprintf("+k=%d", i))
	}
	for i, s := range all {
		if diff := cmp.Diff(want, texts(s.take(t, len(want)))); diff != "" {
			t.Fatalf("watcher %d: -wanted +seen:\n%s", i, diff)
		}
	}
}
