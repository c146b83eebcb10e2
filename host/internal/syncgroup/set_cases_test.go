package syncgroup

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
)

// reference: sync-090 the collections of a syncgroup are a set: named in another order they are the same, and a name in other
// letters, one more, or one less is another set.
func TestCollectionsAreASet(t *testing.T) {
	d := newDevice(t, "a")
	names := []string{"notes", "other", "third"}
	s := spec()
	s.Collections = nil
	for _, name := range names {
		c := id.Collection{Name: id.Name{Owner: owner, Local: name}}
		if err := d.db.CreateCollection(c, perm.For(owner, perm.CollectionTags)); err != nil {
			t.Fatal(err)
		}
		s.Collections = append(s.Collections, SpecCollection{Owner: owner, Name: name})
	}
	if err := Create(d.db, sg, s, d.member()); err != nil {
		t.Fatal(err)
	}
	change := func(names ...string) error {
		text := ""
		for i, name := range names {
			if i > 0 {
				text += ","
			}
			text += fmt.Sprintf(`{"owner":%q,"name":%q}`, owner, name)
		}
		_, err := d.edit(`{"collections":[`+text+`]}`, id.Version{})
		return err
	}
	for _, same := range [][]string{names, {"third", "notes", "other"}, {"other", "third", "notes"}} {
		if err := change(same...); err != nil {
			t.Errorf("%q: %v", same, err)
		}
	}
	for _, different := range [][]string{{"notes", "other"}, {"notes", "other", "Third"}, {"notes", "other", "third", "fourth"}, {}} {
		if err := change(different...); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v, want ErrInvalid", different, err)
		}
	}
	if got := d.find(); len(got.Spec.Collections) != 3 {
		t.Errorf("the collections are %+v", got.Spec.Collections)
	}
}

// reference: sync-088 ending a syncgroup that there is not fails; one that there is, also after it was changed, is in force no more,
// nor are its members; and it can be made again.
//
// reference: sync-089 a device that is in two syncgroups is a member of either by itself, and the end of one leaves the other as it
// is.
func TestSyncgroupsEndByThemselves(t *testing.T) {
	a, b := newDevice(t, "a").create(), newDevice(t, "b")
	second := id.Name{Owner: owner, Local: "second"}
	if err := Create(a.db, second, spec(), a.member()); err != nil {
		t.Fatal(err)
	}
	b.join(a, Normal)
	now := time.Unix(1_700_000_000, 0)
	if err := Destroy(a.db, id.Name{Owner: owner, Local: "none"}, a.principal(), now); !errors.Is(err, ErrNone) {
		t.Errorf("ending what there is not: %v", err)
	}
	members := func(name id.Name) (list []id.Principal) {
		t.Helper()
		all, err := Members(a.db, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range all {
			list = append(list, m.Principal)
		}
		return list
	}
	want := func(what string, name id.Name, want ...id.Principal) {
		t.Helper()
		if diff := cmp.Diff(want, members(name)); diff != "" {
			t.Errorf("%s: members of %s (-want +got):\n%s", what, name.Local, diff)
		}
	}
	active := func() (list []string) {
		t.Helper()
		groups, err := All(a.db)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range groups {
			list = append(list, g.Name.Local)
		}
		return list
	}
	want("at first", sg, a.principal(), b.principal())
	want("at first", second, a.principal())
	if _, err := a.edit(`{"description":"changed"}`, id.Version{}); err != nil {
		t.Fatal(err)
	}
	if err := Destroy(a.db, sg, a.principal(), now); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{second.Local}, active()); diff != "" {
		t.Errorf("in force after the end of one (-want +got):\n%s", diff)
	}
	want("after the end of the other", second, a.principal())
	again := spec()
	again.Description = "again"
	if err := Create(a.db, sg, again, a.member()); err != nil {
		t.Fatalf("making it again: %v", err)
	}
	if g := a.find(); g.Spec.Description != "again" || g.State != Active {
		t.Errorf("made again it is %+v", g)
	}
	want("made again", sg, a.principal())
}
