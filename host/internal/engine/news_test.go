package engine

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
)

// gossip takes down the news that are told on a stream.
type gossip struct {
	// mu guards the fields below it.
	mu    sync.Mutex
	since time.Time
	at    []time.Duration
	last  []delta.ScopeVector
}

func (g *gossip) of(open Opener) Opener {
	return func(ctx context.Context, o delta.Open) (Stream, error) {
		s, err := open(ctx, o)
		return gossipStream{s, g}, err
	}
}

// take returns how long after it was called last, or begin, news were told.
func (g *gossip) take() []time.Duration {
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	at := g.at
	g.at, g.since = nil, time.Now()
	return at
}

type gossipStream struct {
	Stream
	g *gossip
}

func (s gossipStream) Tell(e delta.Elsewhere) error {
	if len(e.News) > 0 {
		s.g.mu.Lock()
		s.g.at, s.g.last = append(s.g.at, time.Since(s.g.since)), e.News
		s.g.mu.Unlock()
	}
	return s.Stream.Tell(e)
}

// Who is pulled from by nobody tells those from which he pulls at once what they lack, and now and then again; if somebody pulls,
// only after a while; and who pulls himself is told nothing.
func TestNewsAreToldToWhoDoesNotPull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := both(t)
		c := newDevice(t, "c")
		c.join("notes", a)
		for _, d := range []*device{b, c} {
			stop := d.follow(a, a.from(d, nil))
			synctest.Wait()
			stop()
		}
		var g gossip
		expect := func(what string, want ...time.Duration) {
			t.Helper()
			if got := g.take(); !slices.Equal(got, want) {
				t.Errorf("%s: news told after %v, want %v", what, got, want)
			}
		}
		a.follow(b, g.of(b.from(a, nil)))
		time.Sleep(time.Minute)
		g.take()
		a.put("notes", "k", `1`)
		expect("nobody pulls", 0)
		for _, n := range g.last { // generations count in all scopes
			if own := a.db.Published().Know.Own(); len(n.Vector) != 1 || n.Vector[own.Writer] != own.Gen {
				t.Errorf("the news are %v", g.last)
			}
		}
		a.put("notes", "k", `2`)
		time.Sleep(time.Minute)
		expect("it still lacks it", time.Second, 3*time.Second, 7*time.Second, 15*time.Second, 31*time.Second)

		stopB := b.follow(a, a.from(b, nil))
		time.Sleep(time.Minute)
		g.take()
		a.put("notes", "k", `3`)
		time.Sleep(time.Minute)
		expect("it pulls")
		stopB()
		time.Sleep(time.Minute)
		g.take()
		a.put("notes", "k", `4`)
		expect("it does not pull any more", 0)

		stopC := c.follow(a, a.from(c, nil))
		stopB = b.follow(c, c.from(b, nil))
		time.Sleep(time.Minute)
		g.take()
		a.put("notes", "k", `5`)
		time.Sleep(time.Minute)
		expect("it has it from another")
		stopB()
		time.Sleep(time.Minute)
		g.take()
		a.put("notes", "k", `6`)
		time.Sleep(newsPatience)
		expect("it might have it from another", newsPatience)
		stopC()
	})
}

// crowded lets the device be linked to so many peers, beside the given one, that it does not pull from that one.
func (d *device) crowded(p Peer) (chosen func() bool) {
	groups := []id.Name{named("notes")}
	chosen = func() bool {
		yes, _, _ := d.engine.neighbours.sit(d.db, p, groups)
		return yes
	}
	for i := 0; chosen(); i++ {
		d.engine.neighbours.sit(d.db, Peer{Principal: principalOf(i), Device: id.Device{byte(i), 1}}, groups)
	}
	return chosen
}

// Who hears of news that it lacks pulls from whoever has them.
func TestWhoHearsOfNewsPulls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, a := both(t) // so that b does not follow a in the order of devices
		chosen := a.crowded(b.peer())
		stream, err := a.from(b, nil)(t.Context(), delta.Open{
			Database: dbName, Syncgroups: []id.Name{named("notes")}, Window: window, Self: b.db.Writer(), Known: []delta.ScopeVector{{Scope: notes}},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer stream.Close()
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
		go func() {
			for err := error(nil); err == nil; {
				_, err = stream.Recv()
			}
		}()
		own := a.db.Published().Know.Own()
		for _, test := range []struct {
			what string
			news delta.ScopeVector
			want bool
		}{
			{"known", delta.ScopeVector{Scope: notes, Vector: id.Vector{own.Writer: own.Gen}}, false},
			{"of another scope", delta.ScopeVector{Scope: id.Scope{Collection: collection("secret")}, Vector: id.Vector{b.db.Writer(): 99}}, false},
			{"lacking", delta.ScopeVector{Scope: notes, Vector: id.Vector{b.db.Writer(): 99}}, true},
		} {
			if err := stream.Tell(delta.Elsewhere{News: []delta.ScopeVector{test.news}}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if got := chosen(); got != test.want {
				t.Errorf("after news that are %s a pulls from b: %t, want %t", test.what, got, test.want)
			}
		}
	})
}

// Wanted peers stand back for others only when what they were wanted for has come, or when there are far too many.
func TestWantedPeersStandBackInTime(t *testing.T) {
	d := newDevice(t, "a")
	groups := []id.Name{named("notes")}
	var peers []Peer
	for i := range 200 {
		peers = append(peers, Peer{Principal: principalOf(i), Device: id.Device{byte(i), 1}, Name: fmt.Sprint(i)})
		d.engine.neighbours.sit(d.db, peers[i], groups)
	}
	chosen := func(p Peer) bool {
		yes, _, _ := d.engine.neighbours.sit(d.db, p, groups)
		return yes
	}
	peers = slices.DeleteFunc(peers, chosen)
	count := func() (n int) {
		for _, p := range peers {
			if chosen(p) {
				n++
			}
		}
		return n
	}
	want := func(p Peer) { d.engine.neighbours.want(d.db, p) }
	for _, p := range peers[:10] {
		want(p)
		want(p)
	}
	if n := count(); n != 10 {
		t.Fatalf("%d of 10 wanted peers are pulled from", n)
	}
	for i, p := range peers[:10] {
		d.engine.neighbours.report(d.db, p, false)
		if n := count(); n != max(maxNeighbours, 9-i) {
			t.Errorf("%d peers are pulled from after %d have sent what they had", n, i+1)
		}
	}
	for _, p := range peers[6:10] {
		if !chosen(p) {
			t.Errorf("%s, wanted among the last, stands back", p.Name)
		}
	}
	want(peers[0])
	if !chosen(peers[0]) || chosen(peers[6]) || count() != maxNeighbours {
		t.Errorf("one who is wanted anew does not take the place of who was wanted first; %d peers are pulled from", count())
	}
	for _, p := range peers {
		want(p)
	}
	if n := count(); n != maxWanted || !chosen(peers[len(peers)-1]) {
		t.Errorf("%d peers are pulled from for being wanted, want %d, with the last one", n, maxWanted)
	}
}
