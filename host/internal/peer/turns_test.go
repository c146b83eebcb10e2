package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// reference: sync-091 who knows of nobody dials nobody, and waits for nothing.
//
// reference: sync-098 of more peers than may be dialed at once, none of which answers, everyone has its turn as often as every other,
// however long each attempt takes.
func TestPeersTakeTurns(t *testing.T) {
	r := steadyRoster()
	if orders, wake := r.next(begin); orders != nil || !wake.IsZero() {
		t.Errorf("knowing nobody it dials %v, and wakes at %v", orders, wake)
	}
	const peers = 5*maxDialing + 1
	for i := range peers {
		r.sighted(begin, "static", fmt.Sprintf("p%d:1", i))
	}
	tried := map[string]int{}
	type attempt struct {
		key int
		end time.Time
	}
	var under []attempt
	for now := begin; now.Before(begin.Add(2 * time.Hour)); now = now.Add(time.Second) {
		under = slices.DeleteFunc(under, func(a attempt) bool {
			if a.end.After(now) {
				return false
			}
			r.failed(now, a.key, ErrUnreachable)
			return true
		})
		orders, _ := r.next(now)
		for _, o := range orders {
			tried[o.addresses[0]]++
			// Some fail at once, others are silent.
			under = append(under, attempt{o.key, now.Add(time.Duration(o.key%3) * attemptTimeout)})
		}
		if len(under) > maxDialing {
			t.Fatalf("%d are being dialed at once", len(under))
		}
	}
	least, most := 1<<30, 0
	for i := range peers {
		n := tried[fmt.Sprintf("p%d:1", i)]
		least, most = min(least, n), max(most, n)
	}
	// A turn of a silent peer is longer by its silence, which is then no longer than the wait between two turns.
	if least == 0 || most > 2*least {
		t.Errorf("in two hours one peer was dialed %d times, another %d times", least, most)
	}
}

// reference: sync-092 while nothing fails, a peer is dialed where it was reached before.
//
// reference: sync-093 when it fails there, the other addresses are tried in the same attempt, and the one that answers is the first
// from then on.
//
// reference: sync-094 what becomes of a link, and how often dialing fails, makes the wait longer or shorter and changes nothing of
// where the peer is dialed.
func TestDialedWhereItAnswered(t *testing.T) {
	r := steadyRoster()
	r.sighted(begin, "static", "a:1", "b:1", "c:1")
	now := begin
	dial := func(want ...string) int {
		t.Helper()
		if orders, wake := r.next(now); len(orders) == 0 {
			now = wake
		} else {
			t.Fatalf("dials %v before its time", orders)
		}
		orders, _ := r.next(now)
		if len(orders) != 1 {
			t.Fatalf("%d dials", len(orders))
		}
		if diff := cmp.Diff(want, orders[0].addresses); diff != "" {
			t.Errorf("dials (-want +got):\n%s", diff)
		}
		return orders[0].key
	}
	link := func(key int, address string, brought uint64, err error) (wait time.Duration) {
		t.Helper()
		key, kept := r.reached(now, key, met{principal: "p", device: device(2), address: address})
		if !kept {
			t.Fatal("the link was not kept")
		}
		now = now.Add(time.Second)
		r.lost(now, key, brought, err)
		_, wake := r.next(now)
		return wake.Sub(now)
	}
	orders, _ := r.next(now)
	link(orders[0].key, "b:1", 0, ErrUnreachable)
	short := link(dial("b:1", "a:1", "c:1"), "b:1", 1<<30, ErrUnreachable)
	long := link(dial("b:1", "a:1", "c:1"), "b:1", 0, ErrRefused)
	if short >= long {
		t.Errorf("after a link that brought much it waits %v, after one that was refused %v", short, long)
	}
	for range 5 {
		r.failed(now, dial("b:1", "a:1", "c:1"), ErrUnreachable)
	}
	link(dial("b:1", "a:1", "c:1"), "c:1", 0, ErrUnreachable)
	link(dial("c:1", "b:1", "a:1"), "a:1", 0, ErrUnreachable)
	dial("a:1", "c:1", "b:1")
}

// reference: sync-098 addresses are tried side by side: a silent one holds up no other, whatever their order; where none answers, the
// error has the reason of each.
func TestSilentAddressHoldsUpNoOther(t *testing.T) {
	for name, addresses := range map[string][]string{
		"silent first": {"silent:1", "closed:1"}, "silent last": {"closed:1", "silent:1"}, "silent alone": {"silent:1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				var closedAt time.Duration = -1
				s, err := New(Options{
					Identity: newFamily(t).member(t, "a"), Name: "a", Device: device(1),
					Dial: func(ctx context.Context, address string) (net.Conn, error) {
						if address == "closed:1" {
							closedAt = time.Since(begun)
							return nil, errDown
						}
						<-ctx.Done()
						return nil, ctx.Err()
					},
				})
				if err != nil {
					t.Fatal(err)
				}
				_, _, err = s.race(t.Context(), order{addresses: addresses})
				if err == nil {
					t.Fatal("it reached somebody")
				}
				if slices.Contains(addresses, "closed:1") {
					if closedAt < 0 || closedAt > stagger || !errors.Is(err, errDown) {
						t.Errorf("the other one was tried after %v: %v", closedAt, err)
					}
				}
				if took := time.Since(begun); took > attemptTimeout+stagger {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}
