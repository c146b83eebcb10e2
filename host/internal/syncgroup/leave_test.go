package syncgroup

import (
	"errors"
	"strings"
	"testing"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
)

const guest = id.Principal("guest.net/owner/device/g")

// onlyAdmin is a syncgroup of the device and a guest, which has Read and no more.
func onlyAdmin(t *testing.T) *device {
	t.Helper()
	a := newDevice(t, "a").create()
	guests := perm.For(owner, perm.SyncgroupTags)
	guests[perm.Read] = perm.Access{In: []perm.Pattern{perm.Pattern(owner), perm.Pattern(guest)}}
	if _, err := a.edit(`{"permissions":`+string(guests.Marshal())+`}`, id.Version{}); err != nil {
		t.Fatal(err)
	}
	if _, err := Admit(a.db, sg, a.principal(), Member{Principal: guest, Type: Normal, Device: "000000000000000c"}); err != nil {
		t.Fatal(err)
	}
	return a
}

// The last member with Admin does not leave the others behind with a syncgroup that nobody can change or join any more; once
// somebody else has Admin, it can go.
func TestLastAdminStays(t *testing.T) {
	a := onlyAdmin(t)
	if err := Leave(a.db, sg, a.principal(), at(1)); !errors.Is(err, ErrState) || !strings.Contains(err.Error(), "give Admin to another member") {
		t.Errorf("the last member with Admin leaves: %v, want ErrState with advice", err)
	}
	if got := a.find().State; got != Active {
		t.Fatalf("it is %s after it was refused to leave", got)
	}
	both := perm.For(owner, perm.SyncgroupTags)
	for tag := range both {
		both[tag] = perm.Access{In: []perm.Pattern{perm.Pattern(owner), perm.Pattern(guest)}}
	}
	if _, err := a.edit(`{"permissions":`+string(both.Marshal())+`}`, id.Version{}); err != nil {
		t.Fatal(err)
	}
	if err := Leave(a.db, sg, a.principal(), at(2)); err != nil {
		t.Errorf("it leaves when another has Admin, too: %v", err)
	}
}

// The only member does not leave its syncgroup behind, where nobody could join it; it destroys it. Others that left or were
// ejected do not count.
func TestOnlyMemberDestroys(t *testing.T) {
	a, b := newDevice(t, "a").create(), newDevice(t, "b")
	b.join(a, Normal)
	b.take(a)
	if err := Leave(b.db, sg, b.principal(), at(1)); err != nil {
		t.Fatalf("b, which is not the last: %v", err)
	}
	a.take(b)
	if err := Leave(a.db, sg, a.principal(), at(2)); !errors.Is(err, ErrState) || !strings.Contains(err.Error(), "destroy it instead") {
		t.Errorf("the only member leaves: %v, want ErrState with advice", err)
	}
	if got := a.find().State; got != Active {
		t.Errorf("it is %s after it was refused to leave", got)
	}
	if err := Destroy(a.db, sg, owner, at(3)); err != nil {
		t.Errorf("it destroys it: %v", err)
	}
}

// Who has no Admin strands nothing and can always go, and so can who is off the access list.
func TestWithoutAdminEverybodyLeaves(t *testing.T) {
	a, b := onlyAdmin(t), newDevice(t, "b")
	b.join(a, Normal)
	b.take(a)
	without := `{"permissions":{"Admin":{"in":["` + string(owner) + `/$"]},"Read":{"in":["` + string(owner) + `"]}}}`
	if _, err := a.edit(without, id.Version{}); err != nil {
		t.Fatal(err)
	}
	b.take(a)
	for _, d := range []*device{a, b} {
		if err := Leave(d.db, sg, d.principal(), at(1)); err != nil {
			t.Errorf("%s leaves: %v", d.name, err)
		}
	}
}
