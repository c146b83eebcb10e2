package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/syncgroup"
)

// shareUnder makes a syncgroup of the keys of notes with a prefix.
func (d *device) shareUnder(name, prefix string) {
	d.t.Helper()
	c := notes.Collection.Name
	if err := syncgroup.Create(d.db, named(name), syncgroup.Spec{
		Collections: []syncgroup.SpecCollection{{Owner: c.Owner, Name: c.Local, Prefix: prefix}},
		Permissions: perm.For(owner, perm.SyncgroupTags), Creator: owner,
	}, d.member()); err != nil {
		d.t.Fatal(err)
	}
}

// prefixes lists what the device asks another one for of the collection notes.
func (d *device) prefixes(of *device) (list []string) {
	d.t.Helper()
	_, scopes, err := asked(d.db, of.principal())
	if err != nil {
		d.t.Fatal(err)
	}
	for _, s := range scopes {
		if s.Collection.Kind == id.Rows {
			list = append(list, s.Prefix)
		}
	}
	slices.Sort(list)
	return list
}

// reference: sync-028 a prefix that two syncgroups share is shared until the last of them is left, and with the last prefix nothing
// is.
//
// reference: sync-031 of rows from before their syncgroup was made, and of later ones, those that a prefix covers come, and no other.
//
// reference: sync-033 what is written under a prefix after its syncgroup was left does not come any more, what another one shares does.
func TestPrefixIsSharedUntilItsLastSyncgroupIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newDevice(t, "a"), newDevice(t, "b")
		if err := a.db.CreateCollection(notes.Collection, perm.For(owner, perm.CollectionTags)); err != nil {
			t.Fatal(err)
		}
		write := func(suffix string) {
			for _, prefix := range []string{"f", "x", "y"} {
				a.put("notes", prefix+suffix, `1`)
			}
		}
		write("before")
		for name, prefix := range map[string]string{"f1": "f", "f2": "f", "x": "x"} {
			a.shareUnder(name, prefix)
			b.join(name, a)
		}
		b.follow(a, a.from(b, nil))
		a.follow(b, b.from(a, nil))
		present := func(keys ...string) {
			t.Helper()
			time.Sleep(time.Minute)
			synctest.Wait()
			var got []string
			for _, suffix := range []string{"before", "1", "2", "3"} {
				for _, prefix := range []string{"f", "x", "y"} {
					if !strings.HasPrefix(b.get("notes", prefix+suffix), "no such") {
						got = append(got, prefix+suffix)
					}
				}
			}
			if diff := cmp.Diff(keys, got); diff != "" {
				t.Errorf("b has (-want +got):\n%s", diff)
			}
		}
		keys := []string{"fbefore", "xbefore"}
		present(keys...)
		for i, step := range []struct {
			leave    string
			prefixes []string
			come     []string
		}{
			{"f1", []string{"f", "x"}, []string{"f1", "x1"}},
			{"f2", []string{"x"}, []string{"x2"}},
			{"x", nil, nil},
		} {
			if err := syncgroup.Leave(b.db, named(step.leave), b.principal(), time.Unix(1_800_000_000, 0)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(step.prefixes, b.prefixes(a)); diff != "" {
				t.Errorf("after leaving %s b asks for (-want +got):\n%s", step.leave, diff)
			}
			synctest.Wait() // what is written while the pull of before is open still comes
			write(fmt.Sprint(i + 1))
			keys = append(keys, step.come...)
			present(keys...)
		}
	})
}
