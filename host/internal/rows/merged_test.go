package rows

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
)

// permit changes the access list of notes.
func (d *device) permit(change func(perm.List)) {
	d.t.Helper()
	list, _, err := d.db.CollectionPermissions(notes)
	if err != nil {
		d.t.Fatal(err)
	}
	list = list.Clone()
	change(list)
	if _, err := d.db.SetCollectionPermissions(notes, list, id.Version{}, nil); err != nil {
		d.t.Fatal(err)
	}
}

func (d *device) list() string {
	d.t.Helper()
	list, _, err := d.db.CollectionPermissions(notes)
	if err != nil {
		d.t.Fatal(err)
	}
	return string(list.Marshal())
}

func add(tag perm.Tag, pat perm.Pattern) func(perm.List) {
	return func(l perm.List) { l[tag] = perm.Access{In: append(l[tag].In, pat), NotIn: l[tag].NotIn} }
}

// What two devices do to an access list at the same time is all done, and two that merge it at once agree on one version
// without merging again and again.
func TestConcurrentAccessListsAreMerged(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	a.permit(add(perm.Read, "friend"))
	b.pull(a)
	a.permit(add(perm.Read, "one"))
	a.permit(add(perm.Write, "two"))
	b.permit(func(l perm.List) { l[perm.Read] = perm.Access{In: []perm.Pattern{perm.Pattern(owner), "three"}} })

	fromA, fromB := b.requestScopes(a, whole), a.requestScopes(b, whole)
	for d, step := range map[*device]Step{a: fromB, b: fromA} {
		if got, err := d.db.Receive(step); err != nil || got.Conflicts != 1 {
			t.Fatalf("device %d: %+v, %v; want one conflict", d.num, got, err)
		}
	}
	want := `{"Admin":{"in":["` + string(owner) + `"]},"Read":{"in":["one","` + string(owner) + `","three"]},"Write":{"in":["` + string(owner) + `","two"]}}`
	for range 3 {
		for _, d := range []*device{a, b} {
			if diff := cmp.Diff(want, d.list()); diff != "" {
				t.Fatalf("device %d (-want +got):\n%s", d.num, diff)
			}
		}
		if got := a.pull(b); got.Conflicts != 0 {
			t.Errorf("a received %+v: equal merges are no conflict", got)
		}
		b.pull(a)
	}
	if a.listVersion() != b.listVersion() {
		t.Errorf("a shows version %s, b %s", a.listVersion(), b.listVersion())
	}
}

// Any order of concurrent changes and exchanges ends with one list that somebody administers.
func TestMergedListsConverge(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		devices := []*device{newDevice(t, 1).create(), newDevice(t, 2), newDevice(t, 3)}
		for _, d := range devices {
			defer d.close()
		}
		for _, d := range devices[1:] {
			d.pull(devices[0])
		}
		tags := rapid.SampledFrom(perm.CollectionTags)
		patterns := rapid.SliceOfNDistinct(rapid.SampledFrom([]perm.Pattern{"a", "b", "c", perm.Everyone}), 1, 3, rapid.ID)
		for range rapid.IntRange(1, 8).Draw(rt, "steps") {
			d := rapid.SampledFrom(devices).Draw(rt, "device")
			if from := rapid.SampledFrom(devices).Draw(rt, "from"); from != d && rapid.Bool().Draw(rt, "pull") {
				d.pull(from)
				continue
			}
			tag, in := tags.Draw(rt, "tag"), patterns.Draw(rt, "in")
			d.permit(func(l perm.List) { l[tag] = perm.Access{In: in} })
		}
		for range 8 {
			for i, d := range devices {
				d.pull(devices[(i+1)%len(devices)])
			}
		}
		for _, d := range devices[1:] {
			if d.list() != devices[0].list() || d.listVersion() != devices[0].listVersion() {
				rt.Fatalf("%s %s on one device, %s %s on another", devices[0].listVersion(), devices[0].list(), d.listVersion(), d.list())
			}
		}
		if _, err := perm.Parse([]byte(devices[0].list()), perm.CollectionTags); err != nil {
			rt.Fatal(err)
		}
	})
}

// The ancestor is the nearest one, also after a link and after a merge.
func TestMergersGetTheNearestCommonAncestor(t *testing.T) {
	meta := id.Collection{Kind: id.Syncgroup, Name: id.Name{Owner: owner, Local: "sg"}}
	scope := []id.Scope{{Collection: meta}}
	var bases [][]byte
	join := func(_ id.Collection, _ string, ancestor []byte, values [][]byte) ([]byte, bool) {
		bases = append(bases, ancestor)
		if bytes.Compare(values[0], values[1]) < 0 {
			values[0], values[1] = values[1], values[0]
		}
		return []byte(`"` + string(bytes.Trim(values[0], `"`)) + string(bytes.Trim(values[1], `"`)) + `"`), true
	}
	devices := []*device{newDevice(t, 1), newDevice(t, 2)}
	a, b := devices[0], devices[1]
	write := func(d *device, value string) {
		t.Helper()
		if _, err := d.db.Commit([]Op{{Collection: meta, Key: "spec", Value: []byte(value)}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	exchange := func(to, from *device) {
		t.Helper()
		if _, err := to.db.Receive(to.requestScopes(from, scope)); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range devices {
		d.s.opts.Merge = join
		if err := d.db.Track(scope); err != nil {
			t.Fatal(err)
		}
	}
	write(a, `"0"`)
	exchange(b, a)
	write(a, `"1"`)
	write(b, `"2"`)
	exchange(a, b) // merges 1 and 2, made from 0
	exchange(b, a)
	write(a, `"3"`)
	write(b, `"4"`)
	exchange(b, a) // merges 3 and 4, made from the merge
	want := [][]byte{[]byte(`"0"`), []byte(`"21"`)}
	if diff := cmp.Diff(want, bases); diff != "" {
		t.Errorf("ancestors (-want +got):\n%s", diff)
	}
}
