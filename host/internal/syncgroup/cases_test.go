package syncgroup

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
)

// reference: sync-085 a syncgroup that was made is read back as it was, with its maker as the one member.
//
// reference: sync-086 it is not made twice, and one that was not made is not found.
func TestReadBack(t *testing.T) {
	a := newDevice(t, "a").create()
	g, err := Find(a.db, sg)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(spec(), g.Spec); diff != "" {
		t.Errorf("specification (-made +read):\n%s", diff)
	}
	members, err := Members(a.db, sg)
	if err != nil || len(members) != 1 || members[0].Principal != a.principal() || members[0].Type != Normal {
		t.Errorf("members %+v, %v; want a", members, err)
	}
	if err := Create(a.db, sg, spec(), a.member()); !errors.Is(err, ErrExists) {
		t.Errorf("made again: %v, want ErrExists", err)
	}
	none := id.Name{Owner: owner, Local: "none"}
	if _, err := Find(a.db, none); !errors.Is(err, ErrNone) {
		t.Errorf("found what was not made: %v, want ErrNone", err)
	}
}

// reference: sync-087 without a name, a creator or a collection, with a collection that is named twice, half or not at all, or with
// tags that there are not, nothing is made.
func TestInvalidSyncgroups(t *testing.T) {
	a := newDevice(t, "a")
	if err := a.db.CreateCollection(notes, perm.For(owner, perm.CollectionTags)); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*id.Name, *Spec){
		"no name":               func(n *id.Name, _ *Spec) { n.Local = "" },
		"nobody's name":         func(n *id.Name, _ *Spec) { n.Owner = "" },
		"no creator":            func(_ *id.Name, s *Spec) { s.Creator = "" },
		"nothing":               func(_ *id.Name, s *Spec) { *s = Spec{} },
		"no collection":         func(_ *id.Name, s *Spec) { s.Collections = nil },
		"the same twice":        func(_ *id.Name, s *Spec) { s.Collections = append(s.Collections, s.Collections[0]) },
		"collection, no name":   func(_ *id.Name, s *Spec) { s.Collections[0].Name = "" },
		"collection of nobody":  func(_ *id.Name, s *Spec) { s.Collections[0].Owner = "" },
		"collection, all empty": func(_ *id.Name, s *Spec) { s.Collections[0] = SpecCollection{} },
		"unknown tag":           func(_ *id.Name, s *Spec) { s.Permissions = perm.List{"Fly": perm.Access{}} },
	} {
		name, s := sg, spec()
		change(&name, &s)
		if err := Create(a.db, name, s, a.member()); !errors.Is(err, ErrInvalid) && !errors.Is(err, id.ErrInvalid) {
			t.Errorf("%s: %v, want that it is invalid", what, err)
		}
		if all, err := All(a.db); err != nil || len(all) > 0 {
			t.Errorf("%s: left something behind: %v, %v", what, all, err)
		}
	}
}
