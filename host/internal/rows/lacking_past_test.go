package rows

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// mendFrom takes by name what comparing with a device shows to be lacking, and returns how many records that brought.
func (d *device) mendFrom(from *device) int {
	d.t.Helper()
	lacking, err := d.db.Lacks(notes, from.listed())
	if err != nil {
		d.t.Fatal(err)
	}
	step := Step{Scopes: whole, Repair: true}
	if err := from.db.Records(d.t.Context(), whole, notes, lacking, func(data []byte) error {
		c, err := wire.DecodeCommit(slices.Clone(data))
		step.Commits = append(step.Commits, c)
		return err
	}); err != nil {
		d.t.Fatal(err)
	}
	got, err := d.db.Receive(step)
	if err != nil {
		d.t.Fatal(err)
	}
	return got.Records
}

// pullWithoutLinks is pull from somebody who withholds what settles conflicts.
func (d *device) pullWithoutLinks(from *device) {
	d.t.Helper()
	step := d.requestScopes(from, whole)
	step.Commits = slices.DeleteFunc(step.Commits, func(c wire.Commit) bool { return c.Records[0].Record.Kind == wire.Link })
	if _, err := d.db.Receive(step); err != nil {
		d.t.Fatal(err)
	}
}

// Who was never sent the links by which conflicts were settled elsewhere, whoever wrote the winner, finds their outcome by
// comparing, once; what is open at both stays open.
func TestComparingFindsALostLink(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	b.policy(1, `{"resolver":"defer"}`)
	a.policy(1, `{"collection":"test.local/owner:notes","prefix":"open","resolver":"defer"}`)
	b.pull(a)
	for _, key := range []string{"a wins", "open"} {
		b.put(key, `"b"`)
		a.put(key, `"a"`)
		a.put(key, `"A"`)
	}
	a.put("b wins", `"a"`)
	b.put("b wins", `"b"`)
	b.put("b wins", `"B"`)
	b.put("b wins", `"B2"`)
	a.pull(b)
	b.pullWithoutLinks(a)
	if got := b.openHeads(); len(got) != 3 || len(a.openHeads()) != 1 {
		t.Fatalf("open are %v and %v", a.openHeads(), got)
	}
	if n := a.mendFrom(b); n != 0 {
		t.Errorf("who has the links took %d records", n)
	}
	if n := b.mendFrom(a); n != 2 {
		t.Errorf("took %d records, want 2", n)
	}
	if n := b.mendFrom(a); n != 0 {
		t.Errorf("took %d records a second time", n)
	}
	b.crash()
	level(a, b)
	alike(t, a, b)
	if diff := cmp.Diff(map[string]int{"open": 2}, b.openHeads()); diff != "" {
		t.Errorf("open (-want +got):\n%s", diff)
	}
}

// What is asked for with its past is answered from the row, also for a version that readers do not see, and not at all for one
// that is not current.
func TestRecordsWithTheirPast(t *testing.T) {
	a, b := deferring(t)
	level(a, b)
	var list []delta.RowVersion
	for _, v := range a.listed() {
		if v.Key == "k" {
			v.Past = true
			list = append(list, v)
		}
	}
	list = append(list, delta.RowVersion{Key: "k", Version: a.put("k", `"new"`), Past: true})
	var got []string
	if err := a.db.Records(t.Context(), whole, notes, list, func(data []byte) error {
		c, err := wire.DecodeCommit(slices.Clone(data))
		got = append(got, string(c.Records[0].Record.Value))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if want := []string{`"a"`, `"new"`}; len(list) != 3 || !cmp.Equal(want, got) {
		t.Errorf("of %v got %v, want %v", list, got, want)
	}
}
