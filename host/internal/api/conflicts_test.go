package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/wire"
	"github.com/syncbase/syncbase/sdk/client"
)

// quarrel is a database of a world with a writer elsewhere that knows nothing of what is written here.
type quarrel struct {
	*world
	app    *client.Client
	db     *client.Database
	c      *client.Collection
	store  *rows.DB
	gen    uint64
	scopes []id.Scope
}

func newQuarrel(t *testing.T, rules string) *quarrel {
	t.Helper()
	w := newWorld(t)
	q := &quarrel{world: w, c: w.collection("db", "c"), app: w.client()}
	q.db = q.app.Database("db")
	if err := q.db.SetSchema(t.Context(), client.Schema{Version: 1, Policy: []byte(`{"rules":[` + rules + `]}`)}); err != nil {
		t.Fatal(err)
	}
	var err error
	if q.store, err = w.rows.Database(id.Name{Owner: owner, Local: "db"}); err != nil {
		t.Fatal(err)
	}
	q.scopes = []id.Scope{{Collection: id.Collection{Name: id.Name{Owner: owner, Local: "c"}}}}
	if err := q.store.Track(q.scopes); err != nil {
		t.Fatal(err)
	}
	return q
}

// here writes rows in one batch on this device, and there the same rows elsewhere, without knowing of each other. Keys go
// with values as in k=1.
func (q *quarrel) here(pairs ...string) {
	q.t.Helper()
	var ops []rows.Op
	for _, p := range pairs {
		key, value, _ := strings.Cut(p, "=")
		ops = append(ops, rows.Op{Collection: q.scopes[0].Collection, Key: key, Value: []byte(value)})
	}
	if _, err := q.store.Commit(ops, nil); err != nil {
		q.t.Fatal(err)
	}
}

func (q *quarrel) there(pairs ...string) {
	q.t.Helper()
	c := wire.Commit{
		Writer: id.Writer{Device: id.Device{9}, Epoch: 1}, First: q.gen + 1, Count: uint64(len(pairs)), Time: hlc.Time(1 + q.gen),
	}
	for _, p := range pairs {
		key, value, _ := strings.Cut(p, "=")
		q.gen++
		c.Records = append(c.Records, wire.Entry{Collection: q.scopes[0].Collection, Record: wire.Record{
			Version: id.Version{Writer: c.Writer, Gen: q.gen}, Key: key, Value: []byte(value),
		}})
	}
	if _, err := q.store.Receive(rows.Step{Commits: []wire.Commit{c}, Scopes: q.scopes}); err != nil {
		q.t.Fatal(err)
	}
}

func conflictText(c *client.Conflict) string {
	s := fmt.Sprintf("%s %s", c.Key, c.Local.Value.Bytes)
	if c.Open() {
		s += fmt.Sprintf("/%s", c.Remote.Value.Bytes)
	}
	return s
}

func (q *quarrel) conflicts() (list []string) {
	q.t.Helper()
	for c, err := range q.db.Conflicts(q.t.Context()) {
		if err != nil {
			q.t.Fatal(err)
		}
		list = append(list, conflictText(&c))
	}
	return list
}

func TestConflictsAreListedAndResolved(t *testing.T) {
	q := newQuarrel(t, `{"resolver":"defer"}`)
	ctx := t.Context()
	q.here("a=1")
	q.here("b=1")
	q.here("c=1")
	q.here("d=1")
	q.there("a=2")
	q.there("b=2")
	q.there("c=2")
	q.there("d=2")
	if diff := cmp.Diff([]string{"a 1/2", "b 1/2", "c 1/2", "d 1/2"}, q.conflicts()); diff != "" {
		t.Fatal(diff)
	}
	status, err := q.app.Status(ctx)
	if err != nil || len(status.Conflicts) != 1 || status.Conflicts[0].Open != 4 {
		t.Errorf("status says %+v, %v", status.Conflicts, err)
	}
	var list []client.Conflict
	for c := range q.db.Conflicts(ctx) {
		list = append(list, c)
	}
	_, err = q.db.Resolve(ctx, list[0].TakeLocal(), list[1].TakeRemote(), list[2].Delete(), list[3].Merge(map[string]int{"n": 3}))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for r, err := range q.c.Scan(ctx, client.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r.Key+"="+string(r.Value.Bytes))
	}
	if diff := cmp.Diff([]string{"a=1", "b=2", `d={"n":3}`}, got); diff != "" || q.conflicts() != nil {
		t.Errorf("%v are left (-want +got):\n%s", q.conflicts(), diff)
	}
	if _, err := q.db.Resolve(ctx, list[0].TakeLocal()); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("a conflict that has ended: %v", err)
	}
	q.there("a=4")
	stale := list[0]
	stale.Local.Version = list[1].Local.Version
	if _, err := q.db.Resolve(ctx, stale.TakeRemote()); !errors.Is(err, client.ErrConflict) {
		t.Errorf("another conflict by now: %v", err)
	}
	for name, r := range map[string]client.Resolution{
		"no version":    list[0].Take(""),
		"nobody's":      (&client.Conflict{Collection: "c", Key: "a"}).Take("0900000000000000.1-99"),
		"no JSON":       (&client.Conflict{Collection: "c", Key: "a"}).Merge(client.Value{Bytes: []byte("{")}),
		"nothing":       {},
		"not encodable": (&client.Conflict{Collection: "c", Key: "a"}).Merge(make(chan int)),
	} {
		if _, err := q.db.Resolve(ctx, r); !errors.Is(err, client.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// reference: store-103 two conflicts that have nothing in common are answered one by one, each with a merge.
//
// reference: sync-151
// A handler of an application merges single rows, one call each.
func TestResolverIsAskedForEachConflict(t *testing.T) {
	q := newQuarrel(t, `{"collection":"c","resolver":"app"}`)
	q.here("a=1")
	q.here("b=10")
	q.there("a=2")
	q.there("b=20")
	calls := q.serve(2, func(g client.ConflictGroup) ([]client.Resolution, error) { return sum(g), nil })
	q.want("a=3", "b=30")
	if diff := cmp.Diff([]string{"a 1/2", "b 10/20"}, slices.Sorted(slices.Values(calls))); diff != "" {
		t.Error(diff)
	}
}

// sum answers every conflict by the sum of its values.
func sum(g client.ConflictGroup) (list []client.Resolution) {
	for i := range g.Conflicts {
		c := &g.Conflicts[i]
		var a, b int
		_, _ = fmt.Sscan(string(c.Local.Value.Bytes), &a)
		_, _ = fmt.Sscan(string(c.Remote.Value.Bytes), &b)
		list = append(list, c.Merge(a+b))
	}
	return list
}

// serve resolves until nothing is in conflict or, with calls above 0, for so many calls, and returns what was asked: the
// rows of each group.
func (q *quarrel) serve(calls int, handler func(client.ConflictGroup) ([]client.Resolution, error)) (asked []string) {
	q.t.Helper()
	ctx, cancel := context.WithCancel(q.t.Context())
	defer cancel()
	done := func() bool { return len(asked) >= calls && q.open() == 0 }
	watch, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		defer cancel()
		for !(q.open() == 0) {
			_, more := q.store.More()
			if q.open() == 0 {
				return
			}
			select {
			case <-more:
			case <-watch.Done():
				return
			}
		}
	}()
	err := q.db.ResolveConflicts(ctx, func(_ context.Context, g client.ConflictGroup) ([]client.Resolution, error) {
		var names []string
		for i := range g.Conflicts {
			names = append(names, conflictText(&g.Conflicts[i]))
		}
		for i := range g.Rows {
			names = append(names, conflictText(&g.Rows[i]))
		}
		asked = append(asked, strings.Join(names, ", "))
		return handler(g)
	}, client.ResolverOptions{})
	if !errors.Is(err, context.Canceled) || !done() {
		q.t.Errorf("ended with %v after %d calls, %d conflicts are open", err, len(asked), q.open())
	}
	return asked
}

func (q *quarrel) open() int {
	n, _ := q.store.OpenConflicts()
	return n
}

func (q *quarrel) want(want ...string) {
	q.t.Helper()
	var got []string
	for r, err := range q.c.Scan(q.t.Context(), client.Range{}) {
		if err != nil {
			q.t.Fatal(err)
		}
		got = append(got, r.Key+"="+string(r.Value.Bytes))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		q.t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// reference: sync-069 the resolutions of a group are one batch.
//
// reference: store-119 five rows written one by one are five calls, and five rows of one batch are one.
//
// reference: sync-171
// Single conflicts and a batch of five rows are resolved by the application.
func TestResolverGetsABatchAtOnce(t *testing.T) {
	q := newQuarrel(t, `{"resolver":"app"}`)
	for i := range 5 {
		q.here(fmt.Sprintf("single%d=1", i))
		q.there(fmt.Sprintf("single%d=2", i))
	}
	q.here("b0=1", "b1=1", "b2=1", "b3=1", "b4=1")
	q.there("b0=2", "b1=2", "b2=2", "b3=2", "b4=2")
	asked := q.serve(6, func(g client.ConflictGroup) ([]client.Resolution, error) { return sum(g), nil })
	if len(asked) != 6 || !slices.Contains(asked, "b0 1/2, b1 1/2, b2 1/2, b3 1/2, b4 1/2") {
		t.Errorf("asked for %q", asked)
	}
	batches := map[string][]string{}
	for i := range 5 {
		for _, key := range []string{"b", "single"} {
			key += fmt.Sprint(i)
			_, versions, err := q.c.History(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			batch := versions[0].Batch
			batches[batch] = append(batches[batch], key)
			for _, v := range versions[1:] {
				if v.Batch == batch {
					t.Errorf("the resolution of %s is in the batch %s of what it resolved", key, batch)
				}
			}
		}
	}
	for batch, keys := range batches {
		if want := []string{"b0", "b1", "b2", "b3", "b4"}; len(keys) > 1 && !slices.Equal(keys, want) || len(batches) != 6 {
			t.Errorf("in batch %s are the resolutions of %v; want those of %v together, and single rows alone", batch, keys, want)
		}
	}
}

// reference: store-120 one row that is the application's pulls its whole batch to the application.
//
// reference: store-115 a rule for a prefix sends the keys with it to the application, and the last writer wins the others.
//
// reference: sync-167
// The rule by prefix decides who resolves.
func TestResolverGetsTheBatchOfARow(t *testing.T) {
	q := newQuarrel(t, `{"collection":"c","prefix":"app/","resolver":"app"}`)
	q.here("app/x=1", "y=1")
	q.here("z=1")
	q.there("app/x=2", "y=2")
	q.there("z=2")
	if diff := cmp.Diff([]string{"app/x 1/2", "y 1/2"}, q.conflicts()); diff != "" {
		t.Error(diff)
	}
	q.serve(1, func(g client.ConflictGroup) ([]client.Resolution, error) { return sum(g), nil })
	q.want("app/x=3", "y=3", "z=1")
}

// reference: store-121 three batches that follow each other are one conflict and one call.
//
// reference: sync-173
// Chained batches come as a single group.
//
// reference: sync-153
// Groups that share rows through several batches are answered as one.
//
// reference: store-105 four batches that share rows are one conflict: the rows in conflict are merged, and the row that was
// only written along is there to be seen.
func TestResolverGetsChainedBatchesAtOnce(t *testing.T) {
	q := newQuarrel(t, `{"resolver":"app"}`)
	q.here("a=1", "b=1")
	q.here("b=2", "c=2")
	q.here("c=3", "list=7")
	q.there("a=10")
	q.there("b=10")
	q.there("c=10")
	asked := q.serve(1, func(g client.ConflictGroup) ([]client.Resolution, error) { return sum(g), nil })
	if diff := cmp.Diff([]string{"a 1/10, b 2/10, c 3/10, list 7"}, asked); diff != "" {
		t.Error(diff)
	}
	q.want("a=11", "b=12", "c=13", "list=7")
}

// reference: store-106 a parent is deleted on one side and gets a child on the other: the resolver deletes both.
//
// reference: store-104 a conflict over a row that one side deleted and one that it added ends as the resolver says.
//
// reference: sync-152
// Deleting against adding is decided for the group, together with rows that are not in conflict.
//
// reference: sync-154
// A list is deleted with its items.
func TestResolverDecidesAboutRowsOfTheGroup(t *testing.T) {
	q := newQuarrel(t, `{"resolver":"app"}`)
	q.here("list=1")
	if _, err := q.c.Delete(t.Context(), "list"); err != nil {
		t.Fatal(err)
	}
	q.there("list=2", "list/child=1", "list/other=1")
	asked := q.serve(1, func(g client.ConflictGroup) (list []client.Resolution, err error) {
		if c := &g.Conflicts[0]; !c.Local.Deleted || c.Remote.Deleted {
			t.Errorf("the conflict is %+v", c)
		}
		for i := range g.Conflicts {
			list = append(list, g.Conflicts[i].Delete())
		}
		for i := range g.Rows {
			list = append(list, g.Rows[i].Delete())
		}
		return list, nil
	})
	if diff := cmp.Diff([]string{"list /2, list/child 1, list/other 1"}, asked); diff != "" {
		t.Error(diff)
	}
	q.want()
}

// reference: store-102 a broken stream is made again.
//
// reference: sync-156
// The resolver goes on after the daemon was away.
//
// reference: store-101 ending the context ends the resolver, also while it waits.
//
// reference: sync-155
// Closing ends the loop.
func TestResolverOutlivesTheConnection(t *testing.T) {
	q := newQuarrel(t, `{"resolver":"app"}`)
	ctx, cancel := context.WithCancel(t.Context())
	interrupted, resolved := make(chan struct{}, 100), make(chan struct{}, 100)
	ended := make(chan error, 1)
	go func() {
		ended <- q.db.ResolveConflicts(ctx, func(_ context.Context, g client.ConflictGroup) ([]client.Resolution, error) {
			resolved <- struct{}{}
			return sum(g), nil
		}, client.ResolverOptions{Interrupted: func(error) { interrupted <- struct{}{} }})
	}()
	q.here("a=1")
	q.there("a=2")
	<-resolved
	for i := range 3 {
		q.restart()
		<-interrupted
		q.here(fmt.Sprintf("b%d=1", i))
		q.there(fmt.Sprintf("b%d=2", i))
		<-resolved
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// reference: sync-186 an answer without a row of the group, for a row that is none of it, without a value, or for a side that
// there is not, is refused with the reason; the daemon stays up, nothing changes, and the conflict is offered again.
func TestBadAnswersAreRefused(t *testing.T) {
	q := newQuarrel(t, `{"resolver":"app"}`)
	q.here("a=1", "b=1", "drawn=1")
	q.there("a=2", "b=2")
	bad := []func(g client.ConflictGroup) []client.Resolution{
		func(g client.ConflictGroup) []client.Resolution { return nil },
		func(g client.ConflictGroup) []client.Resolution { return sum(g)[:1] },
		func(g client.ConflictGroup) []client.Resolution {
			return append(sum(g), (&client.Conflict{Collection: "c", Key: "unknown"}).Merge(1))
		},
		func(g client.ConflictGroup) []client.Resolution { return append(sum(g), g.Rows[0].TakeRemote()) },
		func(g client.ConflictGroup) []client.Resolution {
			return append(sum(g)[:1], g.Conflicts[1].Merge(client.Value{}))
		},
		func(g client.ConflictGroup) []client.Resolution {
			return append(sum(g)[:1], g.Conflicts[1].Take(g.Conflicts[0].Local.Version))
		},
		func(g client.ConflictGroup) []client.Resolution { return append(sum(g), sum(g)...) },
		func(g client.ConflictGroup) []client.Resolution { return append(sum(g)[:1], client.Resolution{}) },
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n, refused := 0, 0
	err := q.db.ResolveConflicts(ctx, func(_ context.Context, g client.ConflictGroup) ([]client.Resolution, error) {
		if got := q.conflicts(); len(got) != 2 {
			t.Errorf("after %d bad answers %q are in conflict", n, got)
		}
		if n++; n > len(bad) {
			cancel()
			return nil, ctx.Err()
		}
		return bad[n-1](g), nil
	}, client.ResolverOptions{Refused: func(_ client.ConflictGroup, err error) {
		if refused++; !errors.Is(err, client.ErrInvalid) && !errors.Is(err, context.Canceled) {
			t.Errorf("answer %d: %v", n, err)
		}
	}})
	if !errors.Is(err, context.Canceled) || refused < len(bad) {
		t.Errorf("%d of %d answers were refused; %v", refused, len(bad), err)
	}
}

// A handler that fails is told of once, with its own error, and the group comes again.
func TestHandlerThatFailsIsToldOfOnce(t *testing.T) {
	q := newQuarrel(t, `{"resolver":"app"}`)
	q.here("a=1")
	q.there("a=2")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	boom, n := errors.New("boom"), 0
	var refused []error
	err := q.db.ResolveConflicts(ctx, func(context.Context, client.ConflictGroup) ([]client.Resolution, error) {
		if n++; n > 2 {
			cancel()
			return nil, ctx.Err()
		}
		return nil, boom
	}, client.ResolverOptions{Refused: func(_ client.ConflictGroup, err error) { refused = append(refused, err) }})
	if !errors.Is(err, context.Canceled) || len(refused) != 3 || !errors.Is(refused[0], boom) || !errors.Is(refused[1], boom) {
		t.Errorf("after two failures Refused was told %q; %v", refused, err)
	}
}

// reference: sync-189 a resolver that never answers keeps nobody from resolving, nor anything else from going on: the group is
// offered again, to another one.
func TestSilentResolverIsPassedBy(t *testing.T) {
	q := newQuarrel(t, `{"resolver":"app"}`)
	silent, stop := context.WithCancel(t.Context())
	asked, ended := make(chan struct{}, 10), make(chan error, 1)
	go func() {
		ended <- q.db.ResolveConflicts(silent, func(ctx context.Context, _ client.ConflictGroup) ([]client.Resolution, error) {
			asked <- struct{}{}
			<-silent.Done()
			return nil, ctx.Err()
		}, client.ResolverOptions{})
	}()
	q.here("a=1")
	q.there("a=2")
	<-asked
	q.here("other=1")
	q.there("synced=5")
	q.want("a=1", "other=1", "synced=5")
	q.serve(1, func(g client.ConflictGroup) ([]client.Resolution, error) { return sum(g), nil })
	q.want("a=3", "other=1", "synced=5")
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
