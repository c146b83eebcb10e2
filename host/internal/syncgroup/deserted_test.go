package syncgroup

import (
	"errors"
	"strings"
	"testing"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
)

// deserted reports whether the syncgroup is that at the device.
func (d *device) deserted() bool {
	d.t.Helper()
	free, err := Deserted(d.db, d.find())
	if err != nil {
		d.t.Fatal(err)
	}
	return free
}

// pair is a syncgroup of two devices that know of each other.
func pair(t *testing.T) (a, b *device) {
	t.Helper()
	a, b = newDevice(t, "a").create(), newDevice(t, "b")
	b.join(a, Normal)
	b.take(a)
	return a, b
}

func (d *device) leave(after int) {
	d.t.Helper()
	if err := Leave(d.db, sg, d.principal(), at(after)); err != nil {
		d.t.Fatal(err)
	}
}

// A syncgroup is deserted only where it is known that the other one has left, too; then its name can be created again, and what it shared
// can be destroyed.
func TestDesertedWhenTheOtherOneHasLeftToo(t *testing.T) {
	a, b := pair(t)
	a.leave(1)
	b.leave(1)
	if a.deserted() || b.deserted() {
		t.Error("deserted before they have heard of each other")
	}
	err := Create(a.db, sg, spec(), a.member())
	if !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), string(b.principal())) {
		t.Errorf("create where b is known: %v, want ErrExists that names b", err)
	}
	if err := a.db.DestroyCollection(notes, nil); err == nil {
		t.Error("the collection was destroyed although b could let it in again")
	}
	for _, to := range []*device{a, b} {
		from := b
		if to == b {
			from = a
		}
		if may, err := MayHear(from.db, from.find(), to.principal()); err != nil || !may {
			t.Fatalf("%s is not told: %t, %v", to.name, may, err)
		}
		to.take(from)
		if !to.deserted() {
			t.Errorf("not deserted at %s, which has heard of both", to.name)
		}
	}
	m := a.member()
	m.Joined = at(0)
	if err := Create(a.db, sg, spec(), m); err != nil {
		t.Fatal(err)
	}
	if g := a.find(); g.State != Active || !g.Spec.Made.After(at(1)) || a.has(b.principal()) {
		t.Errorf("a is %s of one that was made at %s", g.State, g.Spec.Made)
	}
	if invited, err := Invites(a.db, a.find(), a.principal(), b.principal()); err != nil || !invited {
		t.Errorf("b is invited: %t, %v", invited, err)
	}
	if err := Enforce(b.db); err != nil {
		t.Fatal(err)
	}
	if err := b.db.DestroyCollection(notes, nil); err != nil {
		t.Errorf("b destroys its copy: %v", err)
	}
}

// Who left before it knew who the members are does not take the syncgroup for deserted.
func TestNotDesertedForWhoNeverKnewTheMembers(t *testing.T) {
	a, b, c := newDevice(t, "a").create(), newDevice(t, "b"), newDevice(t, "c")
	b.join(a, Normal)
	c.join(a, Normal)
	c.leave(1)
	if c.deserted() {
		t.Error("deserted for who knows nothing")
	}
	if err := Create(c.db, sg, spec(), c.member()); err == nil {
		t.Error("it was created again")
	}
	c.take(a)
	if c.deserted() {
		t.Error("deserted although a and b are members")
	}
}

// A member without Admin lets nobody in, so it does not keep the name from who has left.
func TestDesertedButForGuests(t *testing.T) {
	a := onlyAdmin(t)
	b := newDevice(t, "b")
	b.join(a, Normal)
	b.take(a)
	a.leave(1)
	b.leave(1)
	a.take(b)
	if !a.deserted() {
		t.Error("not deserted although only a guest is left")
	}
}

// Who has left may end the syncgroup, and who was ejected may not. Members hear of the end from who was one of them.
func TestWhoHasLeftMayEnd(t *testing.T) {
	a, b := pair(t)
	b.leave(1)
	a.take(b)
	if may, err := MayHaveEnded(a.db, a.find(), b.principal()); err != nil || !may {
		t.Errorf("a asks b: %t, %v", may, err)
	}
	if err := Destroy(b.db, sg, owner, at(2)); err != nil || b.find().State != Destroyed {
		t.Fatalf("%v, b is %s", err, b.find().State)
	}
	said, err := Stand(b.db, sg, a.principal())
	if err != nil {
		t.Fatal(err)
	}
	if changed, err := Heed(a.db, sg, b.principal(), said); !changed || err != nil || a.find().State != Destroyed {
		t.Errorf("%t, %v, a is %s", changed, err, a.find().State)
	}
	a, b = pair(t)
	if err := Eject(a.db, sg, a.principal(), b.principal(), owner, at(1)); err != nil {
		t.Fatal(err)
	}
	b.take(a)
	if err := Destroy(b.db, sg, owner, at(2)); !errors.Is(err, ErrState) {
		t.Errorf("who was ejected destroys: %v, want ErrState", err)
	}
}

// That it was ejected counts for who has left whenever it was, unless somebody has undone it since.
func TestEjectedAfterLeaving(t *testing.T) {
	a, b := pair(t)
	if err := Eject(a.db, sg, a.principal(), b.principal(), owner, at(1)); err != nil {
		t.Fatal(err)
	}
	said, err := Stand(a.db, sg, b.principal())
	if err != nil {
		t.Fatal(err)
	}
	b.leave(100)
	if changed, err := Heed(b.db, sg, "friend", said); changed || err != nil {
		t.Errorf("from somebody without Admin: %t, %v", changed, err)
	}
	if changed, err := Heed(b.db, sg, a.principal(), said); !changed || err != nil || b.find().State != Ejected {
		t.Fatalf("%t, %v, b is %s", changed, err, b.find().State)
	}
	if heedsWhenOut(Member{Pardoned: said.Since}, said) || !heedsWhenOut(Member{Pardoned: at(0)}, said) {
		t.Error("an ejection that was undone is heeded, or one after that is not")
	}
}

// Who is not on the access list hears nothing from who has left.
func TestStrangersHearNothingFromWhoHasLeft(t *testing.T) {
	a, b := pair(t)
	without := perm.For(owner, perm.SyncgroupTags)
	without[perm.Read] = perm.Access{In: []perm.Pattern{perm.Pattern(owner)}, NotIn: []perm.Pattern{perm.Pattern(b.principal())}}
	if _, err := a.edit(`{"permissions":`+string(without.Marshal())+`}`, id.Version{}); err != nil {
		t.Fatal(err)
	}
	c := newDevice(t, "c")
	c.join(a, Normal)
	c.take(a)
	c.leave(1)
	for _, p := range []id.Principal{b.principal(), "other.net/x/device/y"} {
		if may, err := MayHear(c.db, c.find(), p); err != nil || may {
			t.Errorf("%s: %t, %v", p, may, err)
		}
	}
}
