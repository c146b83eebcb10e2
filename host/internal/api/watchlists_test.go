package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
	"github.com/syncbase/syncbase/sdk/client"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
)

// list gives the owner everything and the friend these tags.
func listFor(tags ...perm.Tag) client.Permissions {
	list := client.Permissions{}
	for _, tag := range perm.CollectionTags {
		access := client.Access{In: []string{string(owner)}}
		if slices.Contains(tags, tag) {
			access.In = append(access.In, string(friend))
		}
		list[string(tag)] = access
	}
	return list
}

// reference: store-061
// An access list that a batch replaces governs all of that batch for each watcher: one loses every row of it but hears
// that its access ended, the other sees also the rows that were written before the change.
func TestListGovernsItsBatch(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c, d := w.collection("db", "c"), w.collection("db", "d")
	w.grant("", "Resolve", "Read") // of c
	stream, err := w.raw.Watch(as(ctx, friend), &nodev1.WatchRequest{Database: "home.local/owner:db"})
	if err != nil {
		t.Fatal(err)
	}
	recv := func() (parts []string) {
		t.Helper()
		m, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		for _, ch := range m.GetChanges() {
			_, local, _ := strings.Cut(ch.GetCollection(), ":")
			parts = append(parts, fmt.Sprintf("%s %s%v", local, ch.GetRow().GetKey(), ch.GetAccess().GetTags()))
		}
		return parts
	}
	recv()
	if _, err := c.Put(ctx, "seen", 1); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"c seen[]"}, recv()); diff != "" {
		t.Errorf("-wanted +seen:\n%s", diff)
	}
	err = w.client().Database("db").RunInBatch(ctx, client.RunOptions{}, func(tx *client.Tx) error {
		return errors.Join(
			tx.Put(ctx, c, "c-before", 1), tx.Put(ctx, d, "d-before", 1),
			tx.SetPermissions(ctx, c, listFor()), tx.SetPermissions(ctx, d, listFor(perm.Read)),
			tx.Put(ctx, c, "c-after", 1), tx.Put(ctx, d, "d-after", 1),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"c []", "d [Read]", "d d-after[]", "d d-before[]"}, recv()); diff != "" {
		t.Errorf("-wanted +seen:\n%s", diff)
	}
}

// reference: store-067
// Puts, deletes, deletes of ranges and changes of the access list are seen in the order in which they were made.
func TestListsInOrder(t *testing.T) {
	w := newTxWorld(t)
	ctx := t.Context()
	seen := watch(t, w.db, client.WatchOptions{Collection: "c"})
	seen.next(t)
	var want []string
	for i := range 5 {
		for _, key := range []string{"a", "b", "x"} {
			w.put(key, i)
			want = append(want, fmt.Sprintf("+%s=%d", key, i))
		}
		if _, err := w.c.Delete(ctx, "x"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.c.DeleteRange(ctx, client.Range{}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.c.SetPermissions(ctx, listFor(perm.Read), ""); err != nil {
			t.Fatal(err)
		}
		want = append(want, "-x", "-a -b", "*c")
	}
	if diff := cmp.Diff(want, texts(seen.take(t, len(want)))); diff != "" {
		t.Errorf("-wanted +seen:\n%s", diff)
	}
}

// A watch of several patterns sees each row once, also when two match it, the initial state in the order of names, and a
// collection before its rows, also one made in the same batch. Deleting what was never there is nothing that happened: it
// makes no change and is not seen.
// reference: store-070
// A row has to match a pattern of which the collection matches too; what one of several selects is seen.
// reference: store-065 of several patterns, one with a literal percent sign, which matches nothing else, each row that matches comes
// once, however many match it, collections in the order of their names and one made in a batch before its rows. A delete of what was
// never there is no change of what a watcher has, and none comes.
func TestWatchPatterns(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	db := w.client().Database("db")
	// Made in another order than that of their names.
	last, like := w.collection("db", "ba"), w.collection("db", "bx")
	b, ab, a := w.collection("db", "b%"), w.collection("db", "ab"), w.collection("db", "a")
	put := func(c *client.Collection, key string) {
		t.Helper()
		if _, err := c.Put(ctx, key, 1); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []*client.Collection{last, like, a, b, ab} {
		put(c, "k1")
		put(c, "k2")
		put(c, "other")
	}
	seen := watch(t, db, client.WatchOptions{Initial: true, Patterns: []client.WatchPattern{
		{Collection: "%:a", Key: "k%"}, {Collection: "a", Key: "%1"}, {Collection: client.Literal("b%"), Key: "oth_r"},
		{Collection: "%:ba", Key: "%1"}, {Collection: "ba", Key: "k_"}, // k1 by both
		{Collection: "home.local/owner:new%", Key: "%"},
	}})
	var got []string
	for b := seen.next(t); ; b = seen.next(t) {
		got = append(got, strings.Fields(text(b))...)
		if b.Resume != "" && !b.Reset {
			break
		}
	}
	if diff := cmp.Diff([]string{"*a", "+k1=1", "+k2=1", "*b%", "+other=1", "*ba", "+k1=1", "+k2=1"}, got); diff != "" {
		t.Errorf("initial state: -wanted +seen:\n%s", diff)
	}
	if _, err := a.Delete(ctx, "k-never"); err != nil {
		t.Fatal(err)
	}
	put(ab, "k1")
	put(a, "k3")
	put(a, "other")
	put(b, "k1")
	put(b, "other")
	put(like, "other") // which the percent sign would match if it stood for anything
	put(last, "k1")
	err := db.RunInBatch(ctx, client.RunOptions{}, func(tx *client.Tx) error {
		c := db.Collection("new1")
		return errors.Join(tx.CreateCollection(ctx, c, nil), tx.Put(ctx, c, "z", 1), tx.Put(ctx, a, "k4", 1))
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"+k3=1", "+other=1", "+k1=1", "+k4=1 *new1 +z=1"}, texts(seen.take(t, 4))); diff != "" {
		t.Errorf("-wanted +seen:\n%s", diff)
	}
	only := watch(t, db, client.WatchOptions{Patterns: []client.WatchPattern{{Collection: "a"}}})
	only.next(t)
	put(a, "k5")
	if _, err := a.SetPermissions(ctx, listFor(perm.Read), ""); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"*a"}, texts(only.take(t, 1))); diff != "" {
		t.Errorf("of a pattern without a key: -wanted +seen:\n%s", diff)
	}
}

// reference: store-069
// A pattern is refused whose owner, name or key ends in an escape or escapes what needs none, alone or after a good one; one
// with an empty owner or name; and too many. No pattern at all is no fault: it is everything.
func TestWatchPatternsRefused(t *testing.T) {
	w := newWorld(t)
	w.collection("db", "c")
	many := make([]*nodev1.WatchPattern, 101)
	for i := range many {
		many[i] = &nodev1.WatchPattern{Collection: "c", Key: "%"}
	}
	for what, req := range map[string]*nodev1.WatchRequest{
		"no name":               {Patterns: []*nodev1.WatchPattern{{Collection: "home.local/owner:"}}},
		"no owner":              {Patterns: []*nodev1.WatchPattern{{Collection: ":c"}}},
		"nothing":               {Patterns: []*nodev1.WatchPattern{{}}},
		"nothing but a key":     {Patterns: []*nodev1.WatchPattern{{Key: "%"}}},
		"nothing after a good":  {Patterns: []*nodev1.WatchPattern{{Collection: "c", Key: "%"}, {}}},
		"no name after a good":  {Patterns: []*nodev1.WatchPattern{{Collection: "c", Key: "%"}, {Collection: "%:", Key: "%"}}},
		"dangling in key":       {Patterns: []*nodev1.WatchPattern{{Collection: "c", Key: `a\`}}},
		"dangling in name":      {Patterns: []*nodev1.WatchPattern{{Collection: `%:c\`, Key: "%"}}},
		"dangling in owner":     {Patterns: []*nodev1.WatchPattern{{Collection: `home\:c`, Key: "%"}}},
		"misplaced in key":      {Patterns: []*nodev1.WatchPattern{{Collection: "c", Key: `\ab`}}},
		"misplaced in name":     {Patterns: []*nodev1.WatchPattern{{Collection: `\c`, Key: "%"}}},
		"misplaced in owner":    {Patterns: []*nodev1.WatchPattern{{Collection: `h\ome:c`, Key: "%"}}},
		"bad key after a good":  {Patterns: []*nodev1.WatchPattern{{Collection: "c", Key: "%"}, {Collection: "c", Key: `\a`}}},
		"bad name after a good": {Patterns: []*nodev1.WatchPattern{{Collection: "c", Key: "%"}, {Collection: `c\`, Key: "%"}}},
		"too many":              {Patterns: many},
		"beside a collection":   {Collection: "c", Patterns: []*nodev1.WatchPattern{{Collection: "c"}}},
		"beside a prefix":       {Prefix: "a", Patterns: []*nodev1.WatchPattern{{Collection: "c"}}},
		"too long":              {Patterns: []*nodev1.WatchPattern{{Collection: "c", Key: strings.Repeat("a", 10_000)}}},
	} {
		req.Database = "db"
		stream, err := w.raw.Watch(t.Context(), req)
		if err == nil {
			_, err = stream.Recv()
		}
		if got := reasonOf(err); got != "InvalidArgument INVALID" {
			t.Errorf("%s: %s", what, got)
		}
	}
	if err := first(t.Context(), func(ctx context.Context) (grpc.ServerStreamingClient[nodev1.WatchResponse], error) {
		return w.raw.Watch(ctx, &nodev1.WatchRequest{Database: "db", Patterns: []*nodev1.WatchPattern{}})
	}); err != nil {
		t.Errorf("no pattern: %v", err)
	}
}

// reference: store-068
// A pattern selects by owner, name and key, each with wildcards, with escapes that take one literally, and beyond ASCII; one
// without a key selects collections and none of their rows.
func TestWatchPatternSelects(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	const anna, under = "friends.local/anna", "friends.local/an_a"
	rows := map[string][]string{
		anna + ":todo": {"a%b", "a_b", "axb"}, anna + ":to_do": {"k"}, under + ":tâche": {"clé", "cle", "世界"}, under + ":todo": {"k"},
	}
	w.collection("db", "c")
	everyone := perm.For(owner, perm.DatabaseTags)
	everyone[perm.Write] = perm.Access{In: []perm.Pattern{perm.Everyone}}
	err := must(w.raw.SetPermissions(ctx, &nodev1.SetPermissionsRequest{Database: "db", Permissions: everyone.Marshal()}))
	if err != nil {
		t.Fatal(err)
	}
	list := perm.List{perm.Admin: {In: []perm.Pattern{perm.Everyone}}, perm.Read: {In: []perm.Pattern{perm.Everyone}}, perm.Write: {In: []perm.Pattern{perm.Everyone}}}
	for c, keys := range rows {
		maker, _, _ := strings.Cut(c, ":")
		theirs := as(ctx, id.Principal(maker))
		err := must(w.raw.CreateCollection(theirs, &nodev1.CreateCollectionRequest{Database: ownersDB, Collection: c, Permissions: list.Marshal()}))
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			if err := must(w.raw.Commit(ctx, &nodev1.CommitRequest{Database: "db", Ops: []*nodev1.Op{putInto(c, key)}})); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, x := range []struct {
		pattern client.WatchPattern
		want    []string
	}{
		{client.WatchPattern{Collection: "%:%"}, []string{under + ":todo", under + ":tâche", anna + ":to_do", anna + ":todo", ownersC}},
		{client.WatchPattern{Collection: "friends.local/an_a:todo", Key: "a%b"}, []string{under + ":todo", anna + ":todo", "a%b", "a_b", "axb"}},
		{client.WatchPattern{Collection: `friends.local/an\_a:%`, Key: "k%"}, []string{under + ":todo", "k", under + ":tâche"}},
		{client.WatchPattern{Collection: anna + ":todo", Key: `a\%b`}, []string{anna + ":todo", "a%b"}},
		{client.WatchPattern{Collection: anna + ":todo", Key: `a\_%`}, []string{anna + ":todo", "a_b"}},
		{client.WatchPattern{Collection: `%:to\_do`, Key: "%"}, []string{anna + ":to_do", "k"}},
		{client.WatchPattern{Collection: "%:t_che", Key: "cl_"}, []string{under + ":tâche", "cle", "clé"}},
		{client.WatchPattern{Collection: under + ":tâ%", Key: "世_"}, []string{under + ":tâche", "世界"}},
		{client.WatchPattern{Collection: "%:todo", Key: "none"}, []string{under + ":todo", anna + ":todo"}},
		{client.WatchPattern{Collection: "todo", Key: "%"}, nil},
	} {
		var got []string
		seen := watch(t, w.client().Database("db"), client.WatchOptions{Initial: true, Patterns: []client.WatchPattern{x.pattern}})
		for b := seen.next(t); ; b = seen.next(t) {
			for _, ch := range b.Changes {
				if ch.Row.Key != "" {
					got = append(got, ch.Row.Key)
				} else {
					got = append(got, ch.Collection)
				}
			}
			if b.Resume != "" && !b.Reset {
				break
			}
		}
		if diff := cmp.Diff(x.want, got); diff != "" {
			t.Errorf("%q with %q: -wanted +seen:\n%s", x.pattern.Collection, x.pattern.Key, diff)
		}
	}
}
