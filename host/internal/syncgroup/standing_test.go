package syncgroup

import (
	"testing"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// A newcomer whose register has arrived is pending all the same until it has what others wrote as well.
func TestOwnRegisterDoesNotEndPending(t *testing.T) {
	a, b, c := newDevice(t, "a").create(), newDevice(t, "b"), newDevice(t, "c")
	c.join(a, Normal)
	c.take(a)
	b.join(a, Normal)
	if _, err := c.edit(`{"description":"from c"}`, id.Version{}); err != nil {
		t.Fatal(err)
	}
	a.take(c)
	b.join(a, Normal) // again: by now more is known of the syncgroup
	b.takeSome(a, func(commit *wire.Commit) bool { return commit.Writer == a.db.Writer() })
	if _, registered, err := register(b.db, sg, b.principal()); err != nil || !registered {
		t.Fatalf("b has its register: %t, %v", registered, err)
	}
	if got := b.find().State; got != Pending {
		t.Errorf("without what c wrote, b is %s", got)
	}
	b.take(a)
	if got := b.find().State; got != Active {
		t.Errorf("with all of it, b is %s", got)
	}
}

// Who has left is no member for the others any more, nor they for it.
func TestWhoLeftIsNoMember(t *testing.T) {
	a, b := newDevice(t, "a").create(), newDevice(t, "b")
	b.join(a, Normal)
	b.take(a)
	if err := Leave(b.db, sg, b.principal(), at(1)); err != nil {
		t.Fatal(err)
	}
	a.take(b)
	if a.has(b.principal()) {
		t.Error("a takes b, which left, for a member")
	}
}

// What a member holds only its own device can say.
func TestAckInAnothersNameCountsForNothing(t *testing.T) {
	a, b := newDevice(t, "a").create(), newDevice(t, "b")
	b.join(a, Normal)
	b.take(a)
	scope := id.Scope{Collection: notes}
	held := []delta.ScopeVector{{Scope: scope, Vector: id.Vector{a.db.Writer(): 9}}}
	acked := func() id.Vector {
		t.Helper()
		members, err := Members(a.db, sg)
		if err != nil {
			t.Fatal(err)
		}
		acks, err := ReadAcks(a.db, sg, members)
		if err != nil {
			t.Fatal(err)
		}
		return acks.Of(b.principal(), scope)
	}
	for _, by := range []*device{a, b} {
		if err := PublishAck(by.db, sg, b.principal(), held); err != nil {
			t.Fatal(err)
		}
		a.take(b)
		if got := acked(); (got != nil) != (by == b) {
			t.Errorf("%s said in the name of b: %s", by.name, got)
		}
	}
}
