package api

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
	"github.com/syncbase/syncbase/sdk/client"

	"github.com/syncbase/syncbase/host/internal/perm"
)

// watching collects what a watch yields, in a goroutine of its own.
type watching struct {
	batches chan client.Batch
	// ended gets the error with which the watch ended.
	ended  chan error
	cancel context.CancelFunc
}

func watch(t testing.TB, db *client.Database, opts client.WatchOptions) *watching {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watching{batches: make(chan client.Batch), ended: make(chan error, 1), cancel: cancel}
	go func() {
		for b, err := range db.Watch(ctx, opts) {
			if err != nil {
				w.ended <- err
				return
			}
			select {
			case w.batches <- b:
			case <-ctx.Done():
			}
		}
		w.ended <- nil
	}()
	t.Cleanup(w.stop)
	return w
}

// stop ends the watch and waits for it; it may be called again.
func (w *watching) stop() {
	w.cancel()
	err := <-w.ended
	w.ended <- err
}

func (w *watching) next(t testing.TB) client.Batch {
	t.Helper()
	select {
	case b := <-w.batches:
		return b
	case err := <-w.ended:
		w.ended <- err
		t.Fatalf("the watch ended: %v", err)
	}
	panic("unreachable")
}

// text tells of a batch in short: +key=value, -key, *collection and, when it was destroyed, !collection.
func text(b client.Batch) string {
	var parts []string
	for _, ch := range b.Changes {
		_, local, _ := strings.Cut(ch.Collection, ":")
		switch ch.Kind {
		case client.CollectionChanged:
			parts = append(parts, "*"+local)
		case client.CollectionDestroyed:
			parts = append(parts, "!"+local)
		case client.Deleted:
			parts = append(parts, "-"+ch.Row.Key)
		default:
			parts = append(parts, "+"+ch.Row.Key+"="+string(ch.Row.Value.Bytes))
		}
	}
	return strings.Join(parts, " ")
}

// reference: store-303
// Restarts at any time cost a watch nothing: it has each batch once, in order.
// reference: store-66
// A watch breaks when the daemon is restarted, and goes on from its marker with exactly what is newer.
//
// TestWatchAcrossReconnections commits at random while the server restarts at random, and wants the watch to have seen
// every batch once, in order.
func TestWatchAcrossReconnections(t *testing.T) {
	w := newWorld(t)
	c := w.collection("db", "c")
	db := w.client().Database("db")
	there := map[string]bool{}
	rapid.Check(t, func(rt *rapid.T) {
		seen := watch(t, db, client.WatchOptions{Collection: "c"})
		defer seen.stop()
		if b := seen.next(t); len(b.Changes) != 0 || b.Resume == "" {
			rt.Fatalf("the first batch is %+v, want no changes and a marker", b)
		}
		var want []string
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			if rapid.IntRange(0, 4).Draw(rt, "restart") == 0 {
				w.restart()
			}
			if commit := randomCommit(t.Context(), rt, c, db, there); commit != "" {
				want = append(want, commit)
			}
		}
		var got []string
		for range want {
			got = append(got, text(seen.next(t)))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("-wanted +seen:\n%s", diff)
		}
	})
}

// randomCommit writes some rows and tells how the batch looks to a watcher; there are the keys of the rows that exist.
func randomCommit(ctx context.Context, rt *rapid.T, c *client.Collection, db *client.Database, there map[string]bool) string {
	var ops []client.Op
	var parts []string
	for _, key := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "d", "e"}), 1, 3, rapid.ID).Draw(rt, "keys") {
		if rapid.Bool().Draw(rt, "delete") {
			if there[key] {
				parts = append(parts, "-"+key)
			}
			there[key] = false
			ops = append(ops, c.DeleteOp(key))
			continue
		}
		value := fmt.Sprint(rapid.IntRange(0, 99).Draw(rt, "value"))
		op, err := c.PutOp(key, client.Value{Bytes: []byte(value)})
		if err != nil {
			rt.Fatal(err)
		}
		there[key] = true
		ops, parts = append(ops, op), append(parts, "+"+key+"="+value)
	}
	// The connection may be one that a restart broke; the commit has then not been made.
	for {
		_, err := db.Commit(ctx, ops...)
		if err == nil {
			return strings.Join(parts, " ")
		}
		if !errors.Is(err, client.ErrUnavailable) {
			rt.Fatal(err)
		}
	}
}

// TestWatchInitial follows a database from its initial state, while it changes, and wants to end with what is there.
func TestWatchInitial(t *testing.T) {
	w := newWorld(t)
	c := w.collection("db", "c")
	ctx := t.Context()
	rng := rand.New(rand.NewPCG(1, 2))
	large := strings.Repeat("x", 5000)
	write := func(n int) {
		for range n {
			key := fmt.Sprintf("k%03d", rng.IntN(200))
			if rng.IntN(4) == 0 {
				if _, err := c.Delete(ctx, key); err != nil {
					t.Fatal(err)
				}
			} else if _, err := c.Put(ctx, key, fmt.Sprint(rng.IntN(1000), large)); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(300)
	seen := watch(t, w.client().Database("db"), client.WatchOptions{Initial: true})
	state := map[string]string{}
	parts := 0
	apply := func(b client.Batch) {
		for _, ch := range b.Changes {
			if ch.Kind == client.Put {
				state[ch.Row.Key] = string(ch.Row.Value.Bytes)
			} else {
				delete(state, ch.Row.Key)
			}
		}
	}
	if b := seen.next(t); !b.Reset || !b.Initial {
		t.Fatalf("the first batch is %+v, want the beginning of the initial state", b)
	}
	write(50)
	for b := seen.next(t); ; b = seen.next(t) {
		apply(b)
		if !b.Initial {
			t.Fatalf("the initial state ended without a marker")
		}
		if b.Resume != "" {
			break
		}
		parts++
	}
	if parts < 2 {
		t.Errorf("the initial state came in %d parts, want several", parts)
	}
	write(50)
	end, err := c.Put(ctx, "zz-end", "end")
	if err != nil {
		t.Fatal(err)
	}
	for b := seen.next(t); ; b = seen.next(t) {
		apply(b)
		if n := len(b.Changes); n > 0 && b.Changes[n-1].Row.Version == end {
			break
		}
	}
	want := map[string]string{}
	for row, err := range c.Scan(ctx, client.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		want[row.Key] = string(row.Value.Bytes)
	}
	if !maps.Equal(want, state) {
		t.Errorf("-there +seen:\n%s", cmp.Diff(want, state))
	}
}

// reference: store-303
// A watch ends with the reason when the database is destroyed; one of a collection also when that is, or when the access is
// lost, which it is told first.
func TestWatchEnds(t *testing.T) {
	for _, c := range []struct {
		what string
		end  func(context.Context, *world) error
		want error
		// reason of the error, where the sentinel says too little.
		reason string
	}{
		{"the database is destroyed", func(ctx context.Context, w *world) error {
			return must(w.raw.DestroyDatabase(ctx, &nodev1.DestroyDatabaseRequest{Database: "db"}))
		}, client.ErrPrecondition, "DATABASE_DESTROYED"},
		{"the access is lost", func(ctx context.Context, w *world) error {
			return must(w.raw.SetPermissions(ctx, &nodev1.SetPermissionsRequest{
				Database: "db", Collection: "c", Permissions: perm.For(friend, perm.CollectionTags).Marshal(),
			}))
		}, client.ErrNoAccess, "NO_ACCESS"},
		{"the collection is destroyed", func(ctx context.Context, w *world) error {
			return must(w.raw.DestroyCollection(ctx, &nodev1.DestroyCollectionRequest{Database: "db", Collection: "c"}))
		}, client.ErrNotFound, "NO_COLLECTION"},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := newWorld(t)
			w.collection("db", "c")
			seen := watch(t, w.client().Database("db"), client.WatchOptions{Collection: "c"})
			seen.next(t)
			if err := c.end(t.Context(), w); err != nil {
				t.Fatal(err)
			}
			if c.reason != "DATABASE_DESTROYED" {
				if b := seen.next(t); len(b.Changes) != 1 || b.Changes[0].Collection != "home.local/owner:c" || len(b.Changes[0].Tags) > 0 {
					t.Errorf("the watcher was told %+v", b.Changes)
				}
			}
			err := <-seen.ended
			seen.ended <- err
			var said *client.Error
			if !errors.Is(err, c.want) || !errors.As(err, &said) || said.Reason != c.reason {
				t.Errorf("ended with %v, want %v with the reason %s", err, c.want, c.reason)
			}
		})
	}
}

// TestDestroyedCollectionIsSeen wants a watcher of the whole database to hear of the end of the collection.
func TestDestroyedCollectionIsSeen(t *testing.T) {
	w := newWorld(t)
	c := w.collection("db", "c")
	ctx := t.Context()
	if _, err := c.Put(ctx, "k", 1); err != nil {
		t.Fatal(err)
	}
	seen := watch(t, w.client().Database("db"), client.WatchOptions{})
	seen.next(t)
	if err := c.Destroy(ctx); err != nil {
		t.Fatal(err)
	}
	if got := text(seen.next(t)); got != "!c" {
		t.Errorf("seen %q, want !c", got)
	}
}

// reference: store-303
// A marker of another database, one of a future and one that cannot be read are each refused for what they are.
func TestWatchRefusesMarkers(t *testing.T) {
	w := newWorld(t)
	w.collection("db", "c")
	w.collection("other", "c")
	other := watch(t, w.client().Database("other"), client.WatchOptions{}).next(t)
	db, err := w.rows.Database(dbName("db"))
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct{ marker, want string }{
		"garbage":       {"xyz", "InvalidArgument MALFORMED_MARKER"},
		"another's":     {other.Resume, "FailedPrecondition FOREIGN_MARKER"},
		"of the future": {markerAt(db, 1<<40).String(), "FailedPrecondition MARKER_AHEAD"},
	} {
		stream, err := w.raw.Watch(t.Context(), &nodev1.WatchRequest{Database: "db", Resume: c.marker})
		if err == nil {
			_, err = stream.Recv()
		}
		if got := reasonOf(err); got != c.want {
			t.Errorf("a marker that is %s: %s, want %s", what, got, c.want)
		}
	}
}

// TestWatchSplitsBatches wants a batch larger than a message to arrive whole.
func TestWatchSplitsBatches(t *testing.T) {
	w := newWorld(t)
	c := w.collection("db", "c")
	db := w.client().Database("db")
	seen := watch(t, db, client.WatchOptions{Prefix: "k"})
	seen.next(t)
	var ops []client.Op
	for i := range 100 {
		op, err := c.PutOp(fmt.Sprintf("k%02d", i), strings.Repeat("v", 5000))
		if err != nil {
			t.Fatal(err)
		}
		ops = append(ops, op)
	}
	beside, err := c.PutOp("beside", 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Commit(t.Context(), append(ops, beside)...); err != nil {
		t.Fatal(err)
	}
	if b := seen.next(t); len(b.Changes) != 100 || b.Resume == "" {
		t.Errorf("%d changes, marker %q; want 100 and a marker", len(b.Changes), b.Resume)
	}
}

// reference: store-303
// A watcher that does not read holds up no commit, and gets every change in order when it reads.
//
// TestSlowWatcher wants commits to go on while a watcher does not read, and the watcher to get all of it in the end.
func TestSlowWatcher(t *testing.T) {
	w := newWorld(t)
	c := w.collection("db", "c")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := w.raw.Watch(ctx, &nodev1.WatchRequest{Database: "db"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	const n = 300
	large := strings.Repeat("v", 100_000)
	for i := range n {
		if _, err := c.Put(ctx, fmt.Sprintf("k%03d", i), large); err != nil {
			t.Fatal(err)
		}
	}
	seen := 0
	for seen < n {
		m, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		for _, ch := range m.GetChanges() {
			if want := fmt.Sprintf("k%03d", seen); ch.GetRow().GetKey() != want {
				t.Fatalf("seen %s, want %s", ch.GetRow().GetKey(), want)
			}
			seen++
		}
	}
}
