package peer

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/id"
)

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func steadyRoster() *roster { return newRoster(device(1), func() float64 { return 0.5 }) } // no jitter

func at(after time.Duration) time.Time { return begin.Add(after) }

// dials returns the addresses of the dials that are due.
func dials(r *roster, now time.Time) (addresses [][]string, keys []int) {
	orders, _ := r.next(now)
	for _, o := range orders {
		addresses, keys = append(addresses, o.addresses), append(keys, o.key)
	}
	return addresses, keys
}

// dialOne expects exactly one dial and returns its contact.
func dialOne(t *testing.T, r *roster, now time.Time) int {
	t.Helper()
	addresses, keys := dials(r, now)
	if len(keys) != 1 {
		t.Fatalf("at %s: dials %v, want one", now.Sub(begin), addresses)
	}
	return keys[0]
}

// reference: sync-095 the wait before the next attempt doubles with each failure, up to a limit.
func TestBackoffDoublesToItsLimit(t *testing.T) {
	r := steadyRoster()
	r.sighted(begin, "static", "a:1")
	now := begin
	var waits []time.Duration
	for range 10 {
		key := dialOne(t, r, now)
		r.failed(now, key, ErrUnreachable)
		_, wake := r.next(now)
		waits = append(waits, wake.Sub(now))
		now = wake
	}
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	want := []time.Duration{ms(200), ms(400), ms(800), ms(1600), ms(3200), ms(6400), ms(12800), ms(25600), ms(30000), ms(30000)}
	if diff := cmp.Diff(want, waits); diff != "" {
		t.Errorf("waits (-want +got):\n%s", diff)
	}

	r.sighted(now, "lan", "a:1") // another source has seen it
	key := dialOne(t, r, now)
	r.failed(now, key, ErrUnreachable)
	if _, wake := r.next(now); wake.Sub(now) != minDelay {
		t.Errorf("after a new sighting the wait is %s", wake.Sub(now))
	}
	r.sighted(now, "lan", "a:1") // old news
	if addresses, _ := dials(r, now); addresses != nil {
		t.Errorf("old news made it dial %v", addresses)
	}
}

func TestJitterStaysNearTheDelay(t *testing.T) {
	for _, chance := range []float64{0, 0.999} {
		r := newRoster(device(1), func() float64 { return chance })
		r.sighted(begin, "static", "a:1")
		r.failed(begin, dialOne(t, r, begin), ErrUnreachable)
		_, wake := r.next(begin)
		if wait := wake.Sub(begin); wait < minDelay*3/4 || wait > minDelay*5/4 {
			t.Errorf("chance %v: wait %s", chance, wait)
		}
	}
}

func TestSuccessResetsBackoff(t *testing.T) {
	for name, tc := range map[string]struct {
		lasted  time.Duration
		brought uint64
		err     error
		want    time.Duration
	}{
		"steady link":                {steady, 0, ErrUnreachable, minDelay},
		"brief link":                 {time.Second, worthwhile - 1, ErrUnreachable, 800 * time.Millisecond},
		"brief link with much on it": {time.Second, worthwhile, ErrUnreachable, minDelay},
		"broke protocol":             {steady, 1 << 30, ErrProtocol, gracelessDelay},
		"refused":                    {steady, 0, ErrRefused, gracelessDelay},
	} {
		t.Run(name, func(t *testing.T) {
			r := steadyRoster()
			r.sighted(begin, "static", "a:1")
			now := begin
			for range 2 {
				r.failed(now, dialOne(t, r, now), ErrUnreachable)
				_, now = r.next(now)
			}
			key, kept := r.reached(now, dialOne(t, r, now), met{principal: "p", device: device(2), address: "a:1"})
			if !kept {
				t.Fatal("the link was not kept")
			}
			now = now.Add(tc.lasted)
			r.lost(now, key, tc.brought, tc.err)
			if _, wake := r.next(now); wake.Sub(now) != tc.want {
				t.Errorf("the wait is %s, want %s", wake.Sub(now), tc.want)
			}
		})
	}
}

func TestAddressesOfOnePeerMerge(t *testing.T) {
	r := steadyRoster()
	r.sighted(begin, "static", "a:1")
	r.sighted(begin, "lan", "b:1")
	_, keys := dials(r, begin)
	m := met{principal: "p", device: device(2), name: "p", address: "a:1"}
	if _, kept := r.reached(begin, keys[0], m); !kept {
		t.Error("the first link was not kept")
	}
	m.address = "b:1"
	if _, kept := r.reached(begin, keys[1], m); kept {
		t.Error("a second link to the same peer was kept")
	}
	if got := r.known(); len(got) != 1 || got[0].Address != "a:1" || got[0].Via != "static" {
		t.Errorf("known %+v", got)
	}
	r.lost(at(time.Minute), keys[0], 0, ErrUnreachable)
	addresses, _ := dials(r, at(2*time.Minute))
	if diff := cmp.Diff([][]string{{"a:1", "b:1"}}, addresses); diff != "" {
		t.Errorf("redial (-want +got):\n%s", diff)
	}
}

func TestStrayAddressMovesToItsPeer(t *testing.T) {
	r := steadyRoster()
	r.sighted(begin, "static", "a:1")
	key, _ := r.reached(begin, dialOne(t, r, begin), met{principal: "p", device: device(2), address: "a:1"})
	r.lost(at(time.Minute), key, 0, ErrUnreachable)
	if got := dialOne(t, r, at(2*time.Minute)); got != key {
		t.Fatalf("dialed %d", got)
	}
	r.strayed(at(2*time.Minute), key, "a:1", "q")
	r.failed(at(2*time.Minute), key, ErrUnreachable)
	orders, _ := r.next(at(3 * time.Minute))
	if len(orders) != 1 || orders[0].principal != "q" || !slices.Equal(orders[0].addresses, []string{"a:1"}) {
		t.Errorf("orders %+v", orders)
	}
}

func TestHeardIsDialedBack(t *testing.T) {
	r := steadyRoster()
	r.heard(begin, met{principal: "p", device: device(2), name: "p", addresses: []string{"a:1"}})
	if got := r.known(); len(got) != 1 || !got[0].Connected || got[0].Via != sourceHello {
		t.Errorf("known %+v", got)
	}
	r.failed(begin, dialOne(t, r, begin), ErrUnreachable)
	r.left(at(time.Second), "p", Instance{})
	if got := r.known(); got[0].Connected {
		t.Errorf("known %+v", got)
	}
	// It moves: the former address is forgotten, the new one tried soon.
	r.heard(at(time.Hour), met{principal: "p", device: device(2), name: "p", addresses: []string{"b:1"}})
	addresses, _ := dials(r, at(time.Hour))
	if diff := cmp.Diff([][]string{{"b:1"}}, addresses); diff != "" {
		t.Errorf("redial (-want +got):\n%s", diff)
	}
}

func TestHeardDoesNotHurryWhoBrokeTheProtocol(t *testing.T) {
	r := steadyRoster()
	r.sighted(begin, "static", "a:1")
	key, _ := r.reached(begin, dialOne(t, r, begin), met{principal: "p", device: device(2), address: "a:1"})
	r.lost(begin, key, 0, ErrProtocol)
	r.heard(begin, met{principal: "p", device: device(2), name: "p", addresses: []string{"b:1"}})
	if addresses, _ := dials(r, at(gracelessDelay-1)); addresses != nil {
		t.Errorf("dialed %v", addresses)
	}
	dialOne(t, r, at(gracelessDelay))
}

func TestOwnAddressIsLeftAlone(t *testing.T) {
	r := steadyRoster()
	r.sighted(begin, "lan", "self:1")
	r.failed(begin, dialOne(t, r, begin), errSelf)
	if got := r.known(); len(got) != 0 {
		t.Errorf("known %+v", got)
	}
	r.sighted(at(time.Second), "static", "self:1")
	if addresses, _ := dials(r, at(selfDelay-time.Second)); addresses != nil {
		t.Errorf("dialed %v", addresses)
	}
	r.gone("lan", "self:1")
	r.gone("static", "self:1")
	if len(r.contacts) != 0 {
		t.Errorf("%d contacts left", len(r.contacts))
	}
}

func TestGoneAddressIsNotDialed(t *testing.T) {
	r := steadyRoster()
	r.sighted(begin, "lan", "a:1", "b:1")
	r.sighted(begin, "static", "a:1")
	r.gone("lan", "a:1")
	r.gone("lan", "b:1")
	r.gone("lan", "c:1")
	addresses, _ := dials(r, begin)
	if diff := cmp.Diff([][]string{{"a:1"}}, addresses); diff != "" {
		t.Errorf("dials (-want +got):\n%s", diff)
	}
}

func TestRosterIsBounded(t *testing.T) {
	r := steadyRoster()
	for n := range maxContacts + 10 {
		r.sighted(begin, "lan", fmt.Sprintf("host%d:1", n))
	}
	if len(r.contacts) != maxContacts {
		t.Errorf("%d contacts", len(r.contacts))
	}
	if orders, _ := r.next(begin); len(orders) != maxDialing {
		t.Errorf("%d dials at once", len(orders))
	}
	r = steadyRoster()
	for n := range maxContactAddresses + 10 {
		r.sighted(begin, "lan", "a:1", fmt.Sprintf("host%d:1", n))
	}
	if orders, _ := r.next(begin); len(orders[0].addresses) != maxContactAddresses {
		t.Errorf("%d addresses", len(orders[0].addresses))
	}
}

// TestRosterLaws feeds random events and checks what must hold whatever happens: one contact for a
// principal, or for each of its daemons that are in touch, one link for a contact, no dial of who is up or being dialed, somebody who tells of every address.
func TestRosterLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRoster(device(1), func() float64 { return 0.5 })
		now := begin
		dialing := map[int]order{}
		up := map[int]bool{}
		address := rapid.SampledFrom([]string{"a:1", "b:1", "c:1", "d:1"})
		source := rapid.SampledFrom([]string{"static", "lan"})
		run := rapid.SampledFrom([]Instance{{}, {1}, {2}})
		who := rapid.SampledFrom([]id.Principal{"p", "q", "r"})
		failure := rapid.SampledFrom([]error{ErrUnreachable, ErrRefused, ErrProtocol, errSelf})
		pick := func(t *rapid.T, from []int) int { return rapid.SampledFrom(from).Draw(t, "contact") }
		t.Repeat(map[string]func(*rapid.T){
			"sighted": func(t *rapid.T) { r.sighted(now, source.Draw(t, "source"), address.Draw(t, "address")) },
			"gone":    func(t *rapid.T) { r.gone(source.Draw(t, "source"), address.Draw(t, "address")) },
			"heard": func(t *rapid.T) {
				r.heard(now, met{principal: who.Draw(t, "who"), instance: run.Draw(t, "run"), device: device(2), addresses: []string{address.Draw(t, "address")}})
			},
			"left": func(t *rapid.T) { r.left(now, who.Draw(t, "who"), run.Draw(t, "run")) },
			"later": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 60_000).Draw(t, "ms")) * time.Millisecond)
			},
			"next": func(t *rapid.T) {
				orders, _ := r.next(now)
				for _, o := range orders {
					if _, twice := dialing[o.key]; twice || up[o.key] {
						t.Fatalf("dials %d, which is up or being dialed", o.key)
					}
					dialing[o.key] = o
				}
			},
			"reached": func(t *rapid.T) {
				if len(dialing) == 0 {
					t.Skip("nothing is being dialed")
				}
				o := dialing[pick(t, slices.Sorted(maps.Keys(dialing)))]
				delete(dialing, o.key)
				m := met{principal: o.principal, instance: run.Draw(t, "run"), device: device(2), address: o.addresses[0]}
				if m.principal == "" {
					m.principal = who.Draw(t, "who")
				}
				if key, kept := r.reached(now, o.key, m); kept {
					if up[key] {
						t.Fatalf("a second link of %d was kept", key)
					}
					up[key] = true
				}
			},
			"failed": func(t *rapid.T) {
				if len(dialing) == 0 {
					t.Skip("nothing is being dialed")
				}
				o := dialing[pick(t, slices.Sorted(maps.Keys(dialing)))]
				delete(dialing, o.key)
				if o.principal != "" && rapid.Bool().Draw(t, "stray") {
					r.strayed(now, o.key, o.addresses[0], who.Draw(t, "who"))
				}
				r.failed(now, o.key, failure.Draw(t, "err"))
			},
			"lost": func(t *rapid.T) {
				if len(up) == 0 {
					t.Skip("nothing is up")
				}
				key := pick(t, slices.Sorted(maps.Keys(up)))
				delete(up, key)
				r.lost(now, key, 0, failure.Draw(t, "err"))
			},
			"": func(t *rapid.T) { checkRoster(t, r) },
		})
	})
}

func checkRoster(t *rapid.T, r *roster) {
	runs := map[id.Principal][]*contact{}
	for key, c := range r.contacts {
		if key != c.key {
			t.Fatalf("contact %d stands at %d", c.key, key)
		}
		for _, other := range runs[c.principal] {
			switch {
			case c.principal == "":
			case !c.alive() && !c.dialing || !other.alive() && !other.dialing:
				t.Fatalf("two contacts of %s, and one of them is out of touch", c.principal)
			case c.alive() && other.alive() && c.instance == other.instance:
				t.Fatalf("two contacts of %s for the same run", c.principal)
			}
		}
		runs[c.principal] = append(runs[c.principal], c)
		for _, a := range c.addresses {
			if len(a.sources) == 0 {
				t.Fatalf("nobody tells of %s", a.text)
			}
		}
		if c.delay > maxDelay {
			t.Fatalf("a delay of %s", c.delay)
		}
		if c.up && c.dialing && errors.Is(c.err, errSelf) {
			t.Fatal("a link to ourselves")
		}
	}
}

func TestInsistingOverridesTheWait(t *testing.T) {
	r := steadyRoster()
	r.sighted(begin, "static", "a:1")
	r.failed(begin, dialOne(t, r, begin), ErrRefused)
	if addresses, _ := dials(r, at(time.Second)); addresses != nil {
		t.Fatalf("dialed %v", addresses)
	}
	r.insist(at(time.Second), "a:1")
	dialOne(t, r, at(time.Second))
}
