package api

import (
	"fmt"
	"testing"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// reference: store-303
// A large initial state, here of a hundred thousand rows, comes whole and in order, as it was when it began: what is written
// and deleted while the watcher has not read it comes after it.
func TestLargeInitialState(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.collection("db", "c")
	db, err := w.rows.Database(dbName("db"))
	if err != nil {
		t.Fatal(err)
	}
	const n = rows.MaxBatchOps
	key := func(i int) string { return fmt.Sprintf("row%07d", i) }
	ops := make([]rows.Op, n)
	for i := range ops {
		ops[i] = rows.Op{Kind: rows.OpPut, Collection: id.Collection{Name: dbName("c")}, Key: key(i), Value: []byte("1")}
	}
	if _, err := db.Commit(ops, nil); err != nil {
		t.Fatal(err)
	}
	stream, err := w.raw.Watch(ctx, &nodev1.WatchRequest{Database: "db", Collection: "c", Initial: true})
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	// next reads to the end of a batch and says what it has beside rows of the initial state, which it counts.
	next := func() (other []string) {
		t.Helper()
		for {
			m, err := stream.Recv()
			if err != nil {
				t.Fatal(err)
			}
			for _, ch := range m.GetChanges() {
				switch got := ch.GetRow().GetKey(); {
				case ch.GetKind() == nodev1.ChangeKind_CHANGE_KIND_PUT && seen < n && got == key(seen):
					seen++
				case ch.GetRow() != nil:
					other = append(other, fmt.Sprint(ch.GetKind(), " ", got))
				}
			}
			if !m.GetContinued() {
				return other
			}
		}
	}
	next() // the marker of the beginning
	for seen == 0 {
		m, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		for _, ch := range m.GetChanges() {
			if ch.GetRow() != nil && ch.GetRow().GetKey() == key(seen) {
				seen++
			}
		}
	}
	if _, err := c.Delete(ctx, key(n-1)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Put(ctx, "a row before all", 1); err != nil {
		t.Fatal(err)
	}
	if other := next(); seen != n || len(other) > 0 {
		t.Errorf("the initial state has %d rows of %d, and %q", seen, n, other)
	}
	want := "[CHANGE_KIND_DELETE " + key(n-1) + "] [CHANGE_KIND_PUT a row before all]"
	if got := fmt.Sprint(next(), " ", next()); got != want {
		t.Errorf("then come %s, want %s", got, want)
	}
}
