package syncgroup

import (
	"errors"
	"maps"
	"testing"
	"time"
)

// anew ends the syncgroup on the device and creates it again.
func (d *device) anew(when time.Time) *device {
	d.t.Helper()
	if err := Destroy(d.db, sg, owner, when); err != nil {
		d.t.Fatal(err)
	}
	m := d.member()
	m.Joined = when
	if err := Create(d.db, sg, spec(), m); err != nil {
		d.t.Fatal(err)
	}
	return d
}

// Of rows that are about two incarnations the later one is all, whichever was written last, whatever it says.
func TestRowsOfALaterIncarnationCount(t *testing.T) {
	former, anew := spec(), spec()
	former.Description, former.Publish, anew.Made = "former", "somewhere", at(5)
	p := owner + "/device/b"
	ejected, joined := out(p, owner, 1000), Member{Principal: p, Joined: at(6), Made: at(5)}
	for key, pair := range map[string][2][]byte{
		specKey:                  {encode(t, former), encode(t, anew)},
		memberPrefix + string(p): {encode(t, ejected), encode(t, joined)},
		destroyedKey:             {encode(t, ending{By: owner, At: at(1000)}), encode(t, ending{By: owner, At: at(7), Made: at(5)})},
	} {
		for _, values := range [][][]byte{{pair[0], pair[1]}, {pair[1], pair[0]}} {
			got, ok := Merge(Metadata(sg), key, nil, values)
			merged, err := parseFields(got)
			want, wantErr := parseFields(pair[1])
			if !ok || err != nil || wantErr != nil || !maps.EqualFunc(merged, want, sameJSON) {
				t.Errorf("%s: merged to %s, %t, %v; want %s", key, got, ok, err, pair[1])
			}
		}
	}
}

// Every incarnation is later than the one before, and than all that was known of it, whatever the clock says.
func TestIncarnationsFollowEachOther(t *testing.T) {
	a := newDevice(t, "a").create()
	m := newDevice(t, "b").member()
	m.Joined = at(100)
	if _, err := Admit(a.db, sg, a.principal(), m); err != nil {
		t.Fatal(err)
	}
	last := at(100)
	for _, when := range []time.Time{at(1), at(0), at(200), at(200)} {
		made := a.anew(when).find().Spec.Made
		if !made.After(last) || made.Before(when) {
			t.Errorf("made at %s, after %s, by a clock that says %s", made, last, when)
		}
		last = made
		if members, err := Members(a.db, sg); err != nil || len(members) != 1 {
			t.Errorf("%d members, %v; want a alone", len(members), err)
		}
	}
}

// A device does not join what it knows to have ended, and says what to do instead.
func TestNobodyJoinsWhatHasEnded(t *testing.T) {
	a, b := newDevice(t, "a").create(), newDevice(t, "b")
	b.join(a, Normal)
	b.take(a)
	admission, err := Admit(a.db, sg, a.principal(), b.member())
	if err != nil {
		t.Fatal(err)
	}
	adopt := func() error { return Adopt(b.db, sg, admission, Normal, b.principal(), a.principal()) }
	if err := Destroy(b.db, sg, owner, at(1)); err != nil {
		t.Fatal(err)
	}
	if err := adopt(); !errors.Is(err, ErrState) {
		t.Errorf("join of what it knows to be destroyed: %v, want ErrState", err)
	}
	if err := Create(b.db, sg, spec(), b.member()); err != nil {
		t.Fatal(err)
	}
	if err := adopt(); !errors.Is(err, ErrState) || b.find().State != Active {
		t.Errorf("join of a former one: %v and it is %s, want ErrState and a member still", err, b.find().State)
	}
	a.join(b, Normal)
	a.take(b)
	if a.find().State != Active || !a.find().Spec.Made.Equal(b.find().Spec.Made) || !a.has(b.principal()) || !b.has(a.principal()) {
		t.Errorf("a is %s of the one made at %s, want a member of b's", a.find().State, a.find().Spec.Made)
	}
}

// That its syncgroup has ended a device takes only from somebody with Admin, and only of its own incarnation.
func TestHeedsTheEnd(t *testing.T) {
	a, b := newDevice(t, "a").create(), newDevice(t, "b")
	b.join(a, Normal)
	b.take(a)
	a.anew(at(50))
	said, err := Stand(a.db, sg, b.principal())
	if err != nil || said.Gone != GoneEnded || !said.Since.Equal(a.find().Spec.Made) {
		t.Fatalf("b is told %+v, %v", said, err)
	}
	if stranger, err := Stand(a.db, sg, "other.net/x/device/y"); !errors.Is(err, ErrNone) {
		t.Errorf("who is not on the access list is told %+v, %v", stranger, err)
	}
	if changed, err := Heed(b.db, sg, "friend", said); changed || err != nil {
		t.Errorf("from somebody without Admin: %t, %v", changed, err)
	}
	if changed, err := Heed(b.db, sg, a.principal(), said); !changed || err != nil || b.find().State != Destroyed {
		t.Errorf("from a: %t, %v, it is %s", changed, err, b.find().State)
	}
	b.join(a, Normal)
	b.take(a)
	if changed, err := Heed(b.db, sg, a.principal(), said); changed || err != nil || b.find().State != Active {
		t.Errorf("of the former one: %t, %v, it is %s", changed, err, b.find().State)
	}
}

// What an ejected member is told of the end counts more than that it was ejected.
func TestEndedRatherThanEjected(t *testing.T) {
	a, b, c := newDevice(t, "a").create(), newDevice(t, "b"), newDevice(t, "c")
	b.join(a, Normal)
	c.join(a, Normal)
	b.take(a)
	c.take(a)
	if err := Eject(b.db, sg, b.principal(), c.principal(), owner, at(1)); err != nil {
		t.Fatal(err)
	}
	c.take(b)
	if got := c.find().State; got != Ejected {
		t.Fatalf("c is %s", got)
	}
	a.anew(at(50))
	said, err := Stand(a.db, sg, c.principal())
	if err != nil {
		t.Fatal(err)
	}
	if changed, err := Heed(c.db, sg, a.principal(), said); !changed || err != nil || c.find().State != Destroyed {
		t.Errorf("%t, %v, c is %s", changed, err, c.find().State)
	}
}
