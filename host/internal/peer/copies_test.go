package peer

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Two runs of one principal have a link each; they are told of as copies when both have stayed for longer than dead
// connections do.
func TestCopiesHaveALinkEach(t *testing.T) {
	r := steadyRoster()
	r.sighted(begin, "static", "a:1", "b:1")
	m := met{principal: "p", device: device(2), instance: Instance{1}, name: "p", address: "a:1", addresses: []string{"a:1"}}
	first, kept := r.reached(begin, dialOne(t, r, begin), m)
	if !kept {
		t.Fatal("the first link was not kept")
	}
	m.instance, m.address, m.addresses = Instance{2}, "", []string{"b:1"}
	r.heard(at(time.Second), m)
	m.address = "b:1"
	second, kept := r.reached(at(time.Second), dialOne(t, r, at(time.Second)), m)
	if !kept || second == first {
		t.Fatalf("the link to the second run: contact %d, kept %t; the first has contact %d", second, kept, first)
	}
	list, wake := r.copies(at(copiesAfter))
	if len(list) != 0 || wake != at(time.Second+copiesAfter) {
		t.Errorf("copies %v before the time, next look at %s", list, wake)
	}
	list, _ = r.copies(wake)
	want := []Copies{{Principal: "p", Name: "p", Addresses: []string{"a:1", "b:1"}, Since: at(time.Second)}}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Errorf("copies (-want +got):\n%s", diff)
	}
	if n := len(r.unalarmed(list)); n != 1 {
		t.Errorf("%d to tell of", n)
	}
	if n := len(r.unalarmed(list)); n != 0 {
		t.Errorf("%d to tell of again", n)
	}

	r.lost(at(2*time.Minute), first, 0, ErrUnreachable)
	if list, wake = r.copies(at(2 * time.Minute)); len(list) != 0 || !wake.IsZero() || len(r.known()) != 1 {
		t.Errorf("with one of them gone: copies %v, next look at %s, known %v", list, wake, r.known())
	}
}

// A daemon that was restarted is reached at once, although the connections of its former run have not been found dead. When
// they are, there is one contact, and nobody was told of a copy.
func TestRestartedPeerIsReachedBesideItsDeadConnection(t *testing.T) {
	r := steadyRoster()
	r.sighted(begin, "static", "a:1")
	m := met{principal: "p", device: device(2), instance: Instance{1}, address: "a:1", addresses: []string{"a:1"}}
	dead, _ := r.reached(begin, dialOne(t, r, begin), m)
	r.heard(begin, m)
	now := at(time.Minute)
	m.instance = Instance{2}
	r.heard(now, m)
	if _, kept := r.reached(now, dialOne(t, r, now), m); !kept {
		t.Fatal("the link to the new run was not kept")
	}
	now = now.Add(pingAfter + pingTimeout)
	r.lost(now, dead, 0, ErrUnreachable)
	r.left(now, "p", Instance{1})
	if got := r.known(); len(got) != 1 || !got[0].Connected || got[0].Via != "static" {
		t.Errorf("known %+v", got)
	}
	if list, wake := r.copies(now.Add(time.Hour)); len(list) != 0 || !wake.IsZero() {
		t.Errorf("copies %v, next look at %s", list, wake)
	}
}
