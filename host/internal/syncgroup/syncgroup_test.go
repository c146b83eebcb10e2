package syncgroup

import (
	"errors"
	"testing"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
)

const owner = id.Principal("test.local/owner")

var (
	dbName = id.Name{Owner: owner, Local: "db"}
	sg     = id.Name{Owner: owner, Local: "sg"}
	notes  = id.Collection{Name: id.Name{Owner: owner, Local: "notes"}}
)

// device is a database on a store of its own.
type device struct {
	t    *testing.T
	name string
	db   *rows.DB
}

func newDevice(t *testing.T, name string) *device {
	t.Helper()
	store, err := kv.OpenMem()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	now := time.Unix(1_700_000_000, 0)
	s, err := rows.Open(store, rows.Options{
		Now:       func() time.Time { now = now.Add(time.Millisecond); return now },
		NewDevice: func() id.Device { return id.Device{7: name[0]} },
	})
	if err != nil {
		t.Fatal(err)
	}
	db, err := s.Create(dbName, perm.For(owner, perm.DatabaseTags))
	if err != nil {
		t.Fatal(err)
	}
	return &device{t, name, db}
}

func (d *device) principal() id.Principal { return owner + id.Principal("/device/"+d.name) }

func (d *device) member() Member {
	return Member{Principal: d.principal(), Type: Normal, Device: d.db.Writer().Device.String()}
}

func spec() Spec {
	return Spec{
		Collections: []SpecCollection{{Owner: notes.Name.Owner, Name: notes.Name.Local}},
		Permissions: perm.For(owner, perm.SyncgroupTags), Creator: owner,
	}
}

func (d *device) create() *device {
	d.t.Helper()
	if err := d.db.CreateCollection(notes, perm.For(owner, perm.CollectionTags)); err != nil {
		d.t.Fatal(err)
	}
	if err := Create(d.db, sg, spec(), d.member()); err != nil {
		d.t.Fatal(err)
	}
	return d
}

// join lets the device in at another, without any exchange of records.
func (d *device) join(at *device, as MemberType) {
	d.t.Helper()
	m := d.member()
	m.Type = as
	admission, err := Admit(at.db, sg, at.principal(), m)
	if err == nil {
		err = Adopt(d.db, sg, admission, as, d.principal(), at.principal())
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *device) has(p id.Principal) bool {
	d.t.Helper()
	g, err := Find(d.db, sg)
	if err != nil {
		d.t.Fatal(err)
	}
	yes, err := HasMember(d.db, g, p)
	if err != nil {
		d.t.Fatal(err)
	}
	return yes
}

func TestAdmittedDeviceIsAMember(t *testing.T) {
	a, b := newDevice(t, "a").create(), newDevice(t, "b")
	if a.has(b.principal()) {
		t.Error("b is a member before it joins")
	}
	b.join(a, Server)
	b.join(a, Server)
	if !a.has(b.principal()) || !b.has(a.principal()) {
		t.Error("a and b do not take each other for members")
	}
	members, err := Members(a.db, sg)
	if err != nil || len(members) != 2 || members[1].Type != Server {
		t.Errorf("members %+v, %v; want a and b, which is a server", members, err)
	}
}

// A newcomer whose admitter is gone has to get the metadata from somebody else, of whom it cannot know yet whether it is
// a member. Whoever could be let in is asked then, and only then.
func TestNewcomerAsksWhoeverMayBeAMember(t *testing.T) {
	a, b, c := newDevice(t, "a").create(), newDevice(t, "b"), newDevice(t, "c")
	b.join(a, Normal)
	if !b.has(c.principal()) {
		t.Error("b, which has nobody's register, does not ask c")
	}
	if b.has("other.net/owner/device/x") {
		t.Error("b asks somebody who is not on the access list")
	}
	if a.has(c.principal()) {
		t.Error("a, which has its own register, takes c for a member")
	}
}

// reference: sync-208 who is not on the access list cannot tell a syncgroup that exists from one that does not.
func TestStrangerLearnsNothing(t *testing.T) {
	a := newDevice(t, "a").create()
	m := Member{Principal: "other.net/owner/device/x", Type: Normal, Device: "0000000000000001"}
	_, hidden := Admit(a.db, sg, a.principal(), m)
	_, missing := Admit(a.db, id.Name{Owner: owner, Local: "none"}, a.principal(), m)
	if !errors.Is(hidden, ErrNone) || !errors.Is(missing, ErrNone) {
		t.Errorf("got %v and %v, want ErrNone for both", hidden, missing)
	}
	if members, err := Members(a.db, sg); err != nil || len(members) != 1 {
		t.Errorf("members %+v, %v; want a alone", members, err)
	}
}

func TestCreateAgainChangesNothing(t *testing.T) {
	a, b := newDevice(t, "a").create(), newDevice(t, "b")
	if err := Create(a.db, sg, spec(), a.member()); !errors.Is(err, ErrExists) {
		t.Errorf("create on the creator: %v, want ErrExists", err)
	}
	b.join(a, Server)
	if err := b.db.CreateCollection(notes, perm.For(owner, perm.CollectionTags)); err != nil {
		t.Fatal(err)
	}
	if err := Create(b.db, sg, spec(), b.member()); !errors.Is(err, ErrExists) {
		t.Errorf("create on a member that has not got the metadata yet: %v, want ErrExists", err)
	}
	if g, err := Find(b.db, sg); err != nil || g.Type != Server || g.Admitter != a.principal() {
		t.Errorf("b has %+v, %v; want a server let in by a", g, err)
	}
}

func TestCreateGoesOnAfterACrash(t *testing.T) {
	a := newDevice(t, "a")
	if err := a.db.CreateCollection(notes, perm.For(owner, perm.CollectionTags)); err != nil {
		t.Fatal(err)
	}
	s := spec()
	raw := []byte(`{"collections":[{"owner":"test.local/owner","name":"notes"}],"permissions":{"Read":{"in":["test.local/owner"]},"Admin":{"in":["test.local/owner"]}},"creator":"test.local/owner"}`)
	if err := adopt(a.db, sg, s, local{Type: Normal, Spec: raw}); err != nil {
		t.Fatal(err)
	}
	if err := Create(a.db, sg, s, a.member()); err != nil {
		t.Errorf("create after one that was cut short: %v", err)
	}
}

func TestSpecIsValidated(t *testing.T) {
	a := newDevice(t, "a")
	if err := a.db.CreateCollection(notes, perm.For(owner, perm.CollectionTags)); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Spec){
		"no collection":   func(s *Spec) { s.Collections = nil },
		"the same twice":  func(s *Spec) { s.Collections = append(s.Collections, s.Collections[0]) },
		"bad name":        func(s *Spec) { s.Collections[0].Name = "a/b\x00" },
		"unknown tag":     func(s *Spec) { s.Permissions = perm.List{"Fly": perm.Access{}} },
		"nobody's":        func(s *Spec) { s.Creator = "" },
		"too many prefix": func(s *Spec) { s.Collections = make([]SpecCollection, MaxCollections+1) },
	} {
		s := spec()
		change(&s)
		if err := Create(a.db, sg, s, a.member()); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := Find(a.db, sg); !errors.Is(err, ErrNone) {
			t.Errorf("%s: left something behind: %v", name, err)
		}
	}
}
