package syncgroup

import (
	"testing"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
)

// out is a register that says when its principal was ejected, and on which member.
func out(p, from id.Principal, when int) Member {
	return Member{Principal: p, Joined: at(0), Changed: at(when), Gone: GoneEjected, By: owner, From: from}
}

// Which ejections count depends on who had been ejected before, whatever the order in which they are heard of.
func TestFirstEjectionCounts(t *testing.T) {
	in := func(p id.Principal) Member { return Member{Principal: p, Joined: at(0)} }
	pardoned := func(p id.Principal, of int) Member {
		m := in(p)
		m.Changed, m.Pardoned = at(of+50), at(of)
		return m
	}
	knowing := func(m Member, of int) Member {
		m.Knew = at(of)
		return m
	}
	for name, c := range map[string]struct {
		registers []Member
		want      string
	}{
		"one":                        {[]Member{in("a"), out("b", "a", 1)}, "a"},
		"each other, a first":        {[]Member{out("a", "b", 2), out("b", "a", 1)}, "a"},
		"each other, b first":        {[]Member{out("a", "b", 1), out("b", "a", 2)}, "b"},
		"each other, at once":        {[]Member{out("a", "b", 1), out("b", "a", 1)}, "a"},
		"in a circle":                {[]Member{out("a", "c", 3), out("b", "a", 1), out("c", "b", 2)}, "c"},
		"before it was out itself":   {[]Member{in("a"), out("b", "a", 2), out("c", "b", 1)}, "a"},
		"after, and let in since":    {[]Member{in("a"), pardoned("b", 1), out("c", "b", 2)}, "abc"},
		"let in, and knowing":        {[]Member{in("a"), pardoned("b", 1), knowing(out("c", "b", 2), 1)}, "ab"},
		"out, in, and out again":     {[]Member{in("a"), knowing(out("b", "a", 9), 0), knowing(out("c", "b", 5), 1)}, "a"},
		"a program that says less":   {[]Member{out("a", "", 2), out("b", "a", 1)}, ""},
		"by one without a register":  {[]Member{in("a"), out("b", "z", 1)}, "a"},
		"let in after, ejected then": {[]Member{in("a"), pardoned("b", 9), out("c", "b", 5)}, "ab"},
	} {
		as := map[id.Principal]Member{}
		for _, m := range c.registers {
			as[m.Principal] = m
		}
		got := ""
		for _, m := range c.registers {
			m, err := m.inForce(func(p id.Principal) (Member, bool, error) { m, found := as[p]; return m, found, nil })
			if err != nil {
				t.Fatal(err)
			}
			if m.Gone == "" {
				got += string(m.Principal)
			}
		}
		if got != c.want {
			t.Errorf("%s: %q are members, want %q", name, got, c.want)
		}
	}
}

// Who ejects knowing of another ejection does so later than that, however slow its clock is: it does not make void what it
// knew of.
func TestEjectionsFollowWhatIsKnown(t *testing.T) {
	a, b, c := newDevice(t, "a").create(), newDevice(t, "b"), newDevice(t, "c")
	b.join(a, Normal)
	c.join(a, Normal)
	c.take(a)
	if err := Eject(a.db, sg, a.principal(), b.principal(), owner, at(0).Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	c.take(a)
	if err := Eject(c.db, sg, c.principal(), a.principal(), owner, at(1)); err != nil {
		t.Fatal(err)
	}
	members, err := Members(c.db, sg)
	if err != nil || len(members) != 1 || members[0].Principal != c.principal() {
		t.Errorf("the members are %+v, %v, want c alone", members, err)
	}
}

// A device that ejected another does not heed that one's later word that it was ejected itself, but an earlier one.
func TestHeedsTheFirstEjection(t *testing.T) {
	for _, c := range []struct {
		theirs int
		want   State
	}{{9, Active}, {3, Ejected}} {
		a, b := newDevice(t, "a").create(), newDevice(t, "b")
		m := b.member()
		m.Joined = at(0)
		if _, err := Admit(a.db, sg, a.principal(), m); err != nil {
			t.Fatal(err)
		}
		if err := Eject(a.db, sg, a.principal(), b.principal(), owner, at(5)); err != nil {
			t.Fatal(err)
		}
		said := Standing{Gone: GoneEjected, Since: at(c.theirs), By: owner, From: b.principal()}
		changed, err := Heed(a.db, sg, b.principal(), said)
		if err != nil || changed != (c.want == Ejected) || a.find().State != c.want {
			t.Errorf("ejected at %d: %t, %v, it is %s, want %s", c.theirs, changed, err, a.find().State, c.want)
		}
		if c.want == Ejected && !a.has(b.principal()) {
			t.Error("its own ejection of b counts although b was first")
		}
	}
}
