package syncgroup

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/wire"
)

func (d *device) find() Group {
	d.t.Helper()
	g, err := Find(d.db, sg)
	if err != nil {
		d.t.Fatal(err)
	}
	return g
}

func (d *device) edit(change string, version id.Version) (id.Version, error) {
	return Edit(d.db, sg, d.principal(), owner, []byte(change), version)
}

// progress makes the device take note of what a peer says it has sent of the metadata.
func (d *device) progress(v id.Vector) {
	d.t.Helper()
	scope := id.Scope{Collection: Metadata(sg)}
	_, err := d.db.Receive(rows.Step{Scopes: []id.Scope{scope}, Progress: []delta.ScopeVector{{Scope: scope, Vector: v}}})
	if err != nil {
		d.t.Fatal(err)
	}
}

// reference: sync-192 a membership that is pending until generation 5 of a writer is known stays so while 3 of that and 2
// of another are, however much that is; with 5 it ends. So long the device admits nobody and changes nothing.
func TestPendingUntilAllIsKnown(t *testing.T) {
	d := newDevice(t, "b")
	a, b := id.Writer{Device: id.Device{1}, Epoch: 1}, id.Writer{Device: id.Device{2}, Epoch: 1}
	admission := Admission{Spec: encode(t, spec()), Known: id.Vector{a: 5}}
	if err := Adopt(d.db, sg, admission, Normal, d.principal(), owner+"/device/a"); err != nil {
		t.Fatal(err)
	}
	for _, v := range []id.Vector{{}, {a: 3, b: 2}, {a: 4, b: 100}} {
		d.progress(v)
		if got := d.find().State; got != Pending {
			t.Fatalf("knowing %s, it is %s", v, got)
		}
		_, editErr := d.edit(`{"description":"x"}`, id.Version{})
		_, admitErr := Admit(d.db, sg, d.principal(), newDevice(t, "c").member())
		for what, err := range map[string]error{
			"edit": editErr, "admit": admitErr,
			"eject":   Eject(d.db, sg, d.principal(), owner+"/device/a", owner, at(0)),
			"allow":   Allow(d.db, sg, owner+"/device/a", at(0)),
			"destroy": Destroy(d.db, sg, owner, at(0)),
		} {
			if !errors.Is(err, ErrState) {
				t.Errorf("%s while it is pending: %v, want ErrState", what, err)
			}
		}
	}
	d.progress(id.Vector{a: 5})
	if got := d.find().State; got != Active {
		t.Errorf("knowing all of it, it is %s", got)
	}
}

// What an admitter that was set back knew by names which it has given up since is not waited for.
func TestPendingEndsWhenTheAdmitterIsAnotherWriter(t *testing.T) {
	d := newDevice(t, "b")
	before, after, other := id.Writer{Device: id.Device{1}, Epoch: 1}, id.Writer{Device: id.Device{1}, Epoch: 2}, id.Writer{Device: id.Device{2}, Epoch: 1}
	admission := Admission{Spec: encode(t, spec()), Known: id.Vector{before: 21, other: 5}}
	if err := Adopt(d.db, sg, admission, Normal, d.principal(), owner+"/device/a"); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		know id.Vector
		want State
	}{
		{id.Vector{before: 19, other: 4}, Pending},
		{id.Vector{before: 19, after: 2, other: 4}, Pending},
		{id.Vector{before: 19, after: 2, other: 5}, Active},
	} {
		d.progress(step.know)
		if got := d.find().State; got != step.want {
			t.Errorf("knowing %s, it is %s, want %s", step.know, got, step.want)
		}
	}
}

// reference: sync-149 description and access list can be changed; other collections and a list without Read for whoever
// changes it are refused, and change nothing.
//
// reference: store-109 description and access list can be changed, over the present version or over any; another version, other
// collections, a list without Read for whoever changes it and what is no specification are refused, and change nothing.
//
// reference: store-029 a list is replaced by one that has Admin for somebody, Read for whoever replaces it, and no tag that
// syncgroups do not have.
func TestEdit(t *testing.T) {
	d := newDevice(t, "a").create()
	first := d.find().Version
	second, err := d.edit(`{"description":"new","permissions":{"Admin":{"in":["`+string(owner)+`"]},"Read":{"in":["`+string(owner)+`","friend"]}}}`, first)
	if err != nil {
		t.Fatal(err)
	}
	g := d.find()
	if g.Version != second || g.Spec.Description != "new" || !g.Spec.Permissions.Allows("friend", perm.Read) || len(g.Spec.Collections) != 1 {
		t.Errorf("after a change: %+v", g)
	}
	if v, err := d.edit(`{"creator":"`+string(owner)+`","collections":[{"owner":"`+string(owner)+`","name":"notes"}]}`, id.Version{}); err != nil {
		t.Errorf("collections as they are: %v", err)
	} else {
		second = v
	}
	before := d.find()
	for name, c := range map[string]struct {
		change  string
		version id.Version
		want    error
	}{
		"an older version":   {`{"description":"x"}`, first, ErrConflict},
		"other collections":  {`{"collections":[{"owner":"` + string(owner) + `","name":"other"}]}`, second, ErrInvalid},
		"no collections":     {`{"collections":[]}`, second, ErrInvalid},
		"another creator":    {`{"creator":"friend"}`, second, ErrInvalid},
		"no Read for itself": {`{"permissions":{"Admin":{"in":["` + string(owner) + `"]},"Read":{"in":["friend"]}}}`, second, ErrInvalid},
		"no Read for the device": {
			`{"permissions":{"Admin":{"in":["` + string(owner) + `"]},"Read":{"in":["` + string(owner) + `/$"]}}}`, second, ErrInvalid,
		},
		"an empty list":      {`{"permissions":{}}`, second, perm.ErrInvalid},
		"null for a list":    {`{"permissions":null}`, second, perm.ErrInvalid},
		"Admin alone":        {`{"permissions":{"Admin":{"in":["` + string(owner) + `"]}}}`, second, ErrInvalid},
		"nobody with Admin":  {`{"permissions":{"Read":{"in":["` + string(owner) + `"]}}}`, second, perm.ErrInvalid},
		"an unknown tag":     {`{"permissions":{"Admin":{"in":["` + string(owner) + `"]},"Write":{}}}`, second, perm.ErrInvalid},
		"an unknown field":   {`{"descripton":"x"}`, second, ErrInvalid},
		"no object":          {`[]`, second, ErrInvalid},
		"null":               {`null`, second, ErrInvalid},
		"a text for a truth": {`{"private":"yes"}`, second, ErrInvalid},
		"a long description": {`{"description":"` + strings.Repeat("x", MaxDescription+1) + `"}`, second, ErrInvalid},
	} {
		if _, err := d.edit(c.change, c.version); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if diff := cmp.Diff(before, d.find()); diff != "" {
		t.Errorf("refused changes have changed (-before +after):\n%s", diff)
	}
}

// A device can follow a change of membership only with a later one, whatever its clock says.
func TestChangesOfMembershipMoveOn(t *testing.T) {
	d := newDevice(t, "a").create()
	m := Member{Principal: owner + "/device/b", Type: Normal, Device: "000000000000000b", Joined: at(1000)}
	var last time.Time
	for i, change := range []func() error{
		func() error { _, err := Admit(d.db, sg, d.principal(), m); return err },
		func() error { return Eject(d.db, sg, d.principal(), m.Principal, owner, at(5)) },
		func() error { return Allow(d.db, sg, m.Principal, at(4)) },
		func() error { m.Joined = at(3); _, err := Admit(d.db, sg, d.principal(), m); return err },
		func() error { return Eject(d.db, sg, d.principal(), m.Principal, owner, at(2000)) },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		now, found, err := register(d.db, sg, m.Principal)
		if err != nil || !found || !now.since().After(last) {
			t.Errorf("change %d: since %v after %v (%t, %v)", i, now.since(), last, found, err)
		}
		last = now.since()
	}
	if _, err := Admit(d.db, sg, d.principal(), m); !errors.Is(err, ErrDenied) {
		t.Errorf("admit after ejecting: %v", err)
	}
	if err := Eject(d.db, sg, d.principal(), d.principal(), owner, at(0)); !errors.Is(err, ErrInvalid) {
		t.Errorf("eject itself: %v", err)
	}
	if err := Eject(d.db, sg, d.principal(), "nobody", owner, at(0)); !errors.Is(err, ErrNone) {
		t.Errorf("eject who never joined: %v", err)
	}
	if err := Allow(d.db, sg, d.principal(), at(0)); !errors.Is(err, ErrState) {
		t.Errorf("allow a member: %v", err)
	}
}

// Only the word of somebody with Admin counts, and only if it is news.
func TestHeed(t *testing.T) {
	a, b := newDevice(t, "a").create(), newDevice(t, "b")
	b.join(a, Normal)
	b.take(a)
	joined, _, err := register(b.db, sg, b.principal())
	if err != nil || b.find().State != Active {
		t.Fatalf("b is %s, %v", b.find().State, err)
	}
	for name, c := range map[string]struct {
		from id.Principal
		said Standing
	}{
		"from somebody without Admin": {"friend", Standing{Gone: GoneEjected, Since: at(1e6)}},
		"older than joining":          {a.principal(), Standing{Gone: GoneEjected, Since: joined.since()}},
		"still a member":              {a.principal(), Standing{Since: at(1e6)}},
	} {
		if changed, err := Heed(b.db, sg, c.from, c.said); changed || err != nil {
			t.Errorf("%s: %t, %v", name, changed, err)
		}
	}
	if err := Eject(a.db, sg, a.principal(), b.principal(), owner, at(1)); err != nil {
		t.Fatal(err)
	}
	said, err := Stand(a.db, sg, b.principal())
	if err != nil {
		t.Fatal(err)
	}
	if changed, err := Heed(b.db, sg, a.principal(), said); !changed || err != nil || b.find().State != Ejected {
		t.Errorf("told that it was ejected: %t, %v, it is %s", changed, err, b.find().State)
	}
	if _, err := Stand(a.db, sg, "friend"); !errors.Is(err, ErrNone) {
		t.Errorf("who never was a member is told %v", err)
	}
	if _, err := b.db.Commit([]rows.Op{{Collection: notes, Key: "k", Value: []byte(`1`)}}, nil); !errors.Is(err, rows.ErrFrozen) {
		t.Errorf("write after being ejected: %v", err)
	}
}

// take brings the metadata, and all else that is shared, from another device.
func (d *device) take(from *device) {
	d.t.Helper()
	d.takeSome(from, func(*wire.Commit) bool { return true })
}

// takeSome is take when the connection ends before some commits, and so before any progress.
func (d *device) takeSome(from *device, want func(*wire.Commit) bool) {
	d.t.Helper()
	g := d.find()
	scopes := g.Spec.Scopes(sg)
	step, all := rows.Step{Scopes: scopes}, true
	plan := delta.NewPlan(d.db.Writer(), delta.Request(d.db.Published().Know, scopes))
	progress, err := from.db.Send(d.t.Context(), plan, func(o rows.Outgoing) error {
		c, err := wire.DecodeCommit(append([]byte(nil), o.Commit...))
		if all = all && want(&c); all {
			step.Commits = append(step.Commits, c)
		}
		return err
	})
	if err == nil && all {
		step.Progress = progress
	}
	if err == nil {
		_, err = d.db.Receive(step)
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

// Rows that another syncgroup shares stay writable; of a prefix, just its rows are read-only.
func TestFrozenIsWhatNothingElseShares(t *testing.T) {
	d := newDevice(t, "a").create()
	s := spec()
	s.Collections[0].Prefix = "p/"
	other := id.Name{Owner: owner, Local: "other"}
	if err := Create(d.db, other, s, d.member()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []id.Name{sg, other} {
		if _, err := Admit(d.db, name, d.principal(), newDevice(t, "b").member()); err != nil {
			t.Fatal(err)
		}
	}
	write := func(key string) error {
		_, err := d.db.Commit([]rows.Op{{Collection: notes, Key: key, Value: []byte(`1`)}}, nil)
		return err
	}
	if err := Leave(d.db, sg, d.principal(), at(1)); err != nil {
		t.Fatal(err)
	}
	if err := write("p/x"); err != nil {
		t.Errorf("what the other syncgroup shares: %v", err)
	}
	if err := write("x"); !errors.Is(err, rows.ErrFrozen) {
		t.Errorf("what nothing shares any more: %v", err)
	}
	if err := Leave(d.db, other, d.principal(), at(2)); err != nil {
		t.Fatal(err)
	}
	if err := write("p/x"); !errors.Is(err, rows.ErrFrozen) || !strings.Contains(err.Error(), "owner:other (left)") {
		t.Errorf("after leaving both: %v", err)
	}
	if err := Create(d.db, id.Name{Owner: owner, Local: "anew"}, spec(), d.member()); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(write("x"), write("p/x")); err != nil {
		t.Errorf("shared in a new syncgroup: %v", err)
	}
}

// A collection that was destroyed, like the syncgroup that shared it, can be made anew and shared; one that the device may come back to share
// cannot.
func TestDestroyedCollectionIsMadeAnew(t *testing.T) {
	d := newDevice(t, "a").create()
	if _, err := Admit(d.db, sg, d.principal(), newDevice(t, "c").member()); err != nil {
		t.Fatal(err)
	}
	if err := d.db.DestroyCollection(notes, nil); err != nil {
		t.Fatal(err)
	}
	if err := Leave(d.db, sg, d.principal(), at(1)); err != nil {
		t.Fatal(err)
	}
	list := perm.For(owner, perm.CollectionTags)
	if err := d.db.CreateCollection(notes, list); !errors.Is(err, rows.ErrFrozen) {
		t.Errorf("made anew after leaving: %v", err)
	}

	d = newDevice(t, "b").create()
	if err := d.db.DestroyCollection(notes, nil); err != nil {
		t.Fatal(err)
	}
	if err := Destroy(d.db, sg, d.principal(), at(1)); err != nil {
		t.Fatal(err)
	}
	if err := d.db.CreateCollection(notes, list); err != nil {
		t.Fatalf("made anew after destroying: %v", err)
	}
	put := []rows.Op{{Collection: notes, Key: "k", Value: []byte(`1`)}}
	if _, err := d.db.Commit(put, nil); !errors.Is(err, rows.ErrFrozen) {
		t.Errorf("write before it is shared: %v", err)
	}
	if err := Create(d.db, id.Name{Owner: owner, Local: "anew"}, spec(), d.member()); err != nil {
		t.Fatal(err)
	}
	if _, err := d.db.Commit(put, nil); err != nil {
		t.Errorf("write after it is shared: %v", err)
	}
}

// reference: sync-150 syncgroups are listed by owner, then by name, with whatever characters are in them.
//
// reference: store-110 the order is that of the owners and then of the names, in bytes: a name with a comma has the place of its
// bytes, not another for what stands before the comma.
func TestListedInOrder(t *testing.T) {
	d := newDevice(t, "a").create()
	for _, name := range []id.Name{{Owner: "z.net/o", Local: "a"}, {Owner: owner, Local: "sg,b"}, {Owner: "a.net/o", Local: "z"}, {Owner: owner, Local: "sg b"}, {Owner: owner, Local: "Sg"}} {
		if err := Create(d.db, name, spec(), d.member()); err != nil {
			t.Fatal(err)
		}
	}
	list, err := All(d.db)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, g := range list {
		got = append(got, g.Name.String())
	}
	want := fmt.Sprintf("[a.net/o:z %[1]s:Sg %[1]s:sg %[1]s:sg b %[1]s:sg,b z.net/o:a]", owner)
	if fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}
