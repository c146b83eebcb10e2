package discoverymdns

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	hclog "github.com/hashicorp/go-hclog"

	"github.com/syncbase/syncbase/sdk/plugin"
	"github.com/syncbase/syncbase/sdk/plugin/discovery"
)

// view is what one watcher knows.
type view struct {
	// mu guards the fields below.
	mu     sync.Mutex
	nodes  map[string]discovery.Event
	events int
}

// watch follows a service until the test ends it.
func watch(t *testing.T, s *Service) (*view, func()) {
	t.Helper()
	v := &view{nodes: map[string]discovery.Event{}}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- s.Watch(ctx, func(e discovery.Event) error {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.events++
			switch e.Kind {
			case discovery.Seen:
				v.nodes[string(e.Advert.NodeID)] = e
			case discovery.Lost:
				delete(v.nodes, string(e.Advert.NodeID))
			}
			return nil
		})
	}()
	return v, func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("watch ended with %v", err)
		}
	}
}

// at returns the addresses of a node, or "nowhere".
func (v *view) at(name string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if e, ok := v.nodes[name]; ok {
		return fmt.Sprint(e.Advert.Addresses)
	}
	return "nowhere"
}

func (v *view) size() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.nodes)
}

// settle is how long news may take when nothing is lost: the distance between two announcements, and the delays of
// question and answer.
const settle = 2 * time.Second

func announce(t *testing.T, s *Service, advert discovery.Advert) func() {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Announce(ctx, advert, func([]string) {}) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("announce ended with %v", err)
		}
	}
}

func wantAt(t *testing.T, v *view, name, want string) {
	t.Helper()
	synctest.Wait()
	if got := v.at(name); got != want {
		t.Errorf("%s is seen at %s, want %s", name, got, want)
	}
}

// bubble runs a test whose time costs nothing.
func bubble(t *testing.T, run func(t *testing.T, net *lan)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { run(t, &lan{}) })
}

func TestLeaseEndsWhenTheCableIsCut(t *testing.T) {
	bubble(t, func(t *testing.T, net *lan) {
		a := on(t, &host{lan: net, links: []link{eth(1, 1)}})
		b := on(t, &host{lan: net, links: []link{eth(1, 2)}})
		defer announce(t, a, advertOf("a"))()
		v, stop := watch(t, b)
		defer stop()
		time.Sleep(settle)
		wantAt(t, v, "a", "[10.0.1.1:4001]")
		time.Sleep(100 * interval)
		wantAt(t, v, "a", "[10.0.1.1:4001]")
		net.set(true)
		time.Sleep(interval)
		wantAt(t, v, "a", "[10.0.1.1:4001]")
		time.Sleep(leaseIntervals * interval)
		wantAt(t, v, "a", "nowhere")
		net.set(false)
		time.Sleep(interval + settle)
		wantAt(t, v, "a", "[10.0.1.1:4001]")
	})
}

func TestGoodbyeAndChange(t *testing.T) {
	bubble(t, func(t *testing.T, net *lan) {
		a := on(t, &host{lan: net, links: []link{eth(1, 1)}})
		b := on(t, &host{lan: net, links: []link{eth(1, 2)}})
		v, stop := watch(t, b)
		defer stop()
		withdraw := announce(t, a, advertOf("a"))
		time.Sleep(settle)
		wantAt(t, v, "a", "[10.0.1.1:4001]")
		withdraw()
		time.Sleep(reportPause)
		wantAt(t, v, "a", "nowhere")
		changed := advertOf("a")
		changed.Addresses = []string{":5001"}
		withdraw = announce(t, a, changed)
		time.Sleep(settle)
		wantAt(t, v, "a", "[10.0.1.1:5001]")
		withdraw()
	})
}

// TestCloseSaysGoodbye ends the service under a running announcement.
func TestCloseSaysGoodbye(t *testing.T) {
	bubble(t, func(t *testing.T, net *lan) {
		a := on(t, &host{lan: net, links: []link{eth(1, 1)}})
		b := on(t, &host{lan: net, links: []link{eth(1, 2)}})
		v, stop := watch(t, b)
		defer stop()
		ended := make(chan error, 1)
		go func() { ended <- a.Announce(context.Background(), advertOf("a"), func([]string) {}) }()
		time.Sleep(settle)
		wantAt(t, v, "a", "[10.0.1.1:4001]")
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, errClosed) {
			t.Errorf("the announcement ended with %v", err)
		}
		if err := a.Watch(context.Background(), func(discovery.Event) error { return nil }); !errors.Is(err, errClosed) {
			t.Errorf("a watch of a closed service ended with %v", err)
		}
		time.Sleep(settle)
		wantAt(t, v, "a", "nowhere")
	})
}

// TestSeveralLinks has two machines with two networks in common; one after the other goes.
func TestSeveralLinks(t *testing.T) {
	bubble(t, func(t *testing.T, net *lan) {
		ha := &host{lan: net, links: []link{eth(1, 1), eth(2, 1)}}
		a, b := on(t, ha), on(t, &host{lan: net, links: []link{eth(1, 2), eth(2, 2)}})
		defer announce(t, a, advertOf("a"))()
		v, stop := watch(t, b)
		defer stop()
		time.Sleep(interval)
		wantAt(t, v, "a", "[10.0.1.1:4001 10.0.2.1:4001]")
		ha.set([]link{eth(2, 1)}, nil)
		time.Sleep((leaseIntervals + 1) * interval)
		wantAt(t, v, "a", "[10.0.2.1:4001]")
		ha.set(nil, nil)
		time.Sleep((leaseIntervals + 1) * interval)
		wantAt(t, v, "a", "nowhere")
		if err := a.Health(t.Context()); !errors.Is(err, plugin.ErrDegraded) {
			t.Errorf("health without a network: %v", err)
		}
		ha.set([]link{eth(1, 9)}, nil)
		time.Sleep(pollInterval + settle)
		wantAt(t, v, "a", "[10.0.1.9:4001]")
		if err := a.Health(t.Context()); err != nil {
			t.Errorf("health with a network: %v", err)
		}
	})
}

// TestSocketsFail has the sockets fail, and then not open for a while.
func TestSocketsFail(t *testing.T) {
	bubble(t, func(t *testing.T, net *lan) {
		ha := &host{lan: net, links: []link{eth(1, 1)}}
		a, b := on(t, ha), on(t, &host{lan: net, links: []link{eth(1, 2)}})
		defer announce(t, b, advertOf("b"))()
		v, stop := watch(t, a)
		defer stop()
		time.Sleep(settle)
		wantAt(t, v, "b", "[10.0.1.2:4001]")
		ha.set([]link{eth(1, 1)}, errors.New("address in use"))
		net.breakPort(eth(1, 1), errors.New("the socket broke"))
		time.Sleep(pollInterval + settle)
		if err := a.Health(t.Context()); !errors.Is(err, plugin.ErrDegraded) {
			t.Errorf("health with a broken socket: %v", err)
		}
		time.Sleep(leaseIntervals * interval)
		wantAt(t, v, "b", "nowhere")
		ha.set([]link{eth(1, 1)}, nil)
		time.Sleep(pollInterval + settle)
		wantAt(t, v, "b", "[10.0.1.2:4001]")
	})
}

// TestFiftyNodes has everybody announce and watch; the traffic of the idle network must not grow with the square.
func TestFiftyNodes(t *testing.T) {
	const nodes = 50
	bubble(t, func(t *testing.T, net *lan) {
		var views []*view
		for i := range nodes {
			s := on(t, &host{lan: net, links: []link{eth(1, i+1)}})
			defer announce(t, s, advertOf(fmt.Sprintf("node-%d", i)))()
			v, stop := watch(t, s)
			defer stop()
			views = append(views, v)
		}
		time.Sleep(interval)
		for i, v := range views {
			if v.size() != nodes-1 {
				t.Errorf("node %d sees %d others, want %d", i, v.size(), nodes-1)
			}
		}
		const rounds = 20
		before := net.packets()
		time.Sleep(rounds * interval)
		perNode := float64(net.packets()-before) / rounds / nodes
		t.Logf("%.2f packets per node and interval", perNode)
		if perNode > 1 {
			t.Errorf("%.2f packets per node and interval in an idle network", perNode)
		}
		for i, v := range views {
			if v.size() != nodes-1 {
				t.Errorf("after a while node %d sees %d others, want %d", i, v.size(), nodes-1)
			}
		}
	})
}

// TestPublishedOn tells the author of an announcement on which links it is to be seen.
func TestPublishedOn(t *testing.T) {
	bubble(t, func(t *testing.T, net *lan) {
		h := &host{lan: net, links: []link{eth(1, 1)}}
		s := on(t, h)
		var places [][]string
		ctx, cancel := context.WithTimeout(context.Background(), 10*pollInterval)
		defer cancel()
		time.AfterFunc(5*pollInterval, func() { h.set([]link{eth(2, 1), eth(1, 1)}, nil) })
		if err := s.Announce(ctx, advertOf("a"), func(where []string) { places = append(places, where) }); err != nil {
			t.Error(err)
		}
		if want := [][]string{{"eth1"}, {"eth1", "eth2"}}; !slices.EqualFunc(places, want, slices.Equal) {
			t.Errorf("published on %v, want %v", places, want)
		}
	})
}

// TestSlowWatcher gets the last state of what has changed meanwhile, not every change.
func TestSlowWatcher(t *testing.T) {
	bubble(t, func(t *testing.T, net *lan) {
		a := on(t, &host{lan: net, links: []link{eth(1, 1)}})
		b := on(t, &host{lan: net, links: []link{eth(1, 2)}})
		defer announce(t, a, advertOf("a"))()
		ctx, cancel := context.WithTimeout(context.Background(), 21*interval)
		defer cancel()
		var events []discovery.EventKind
		err := b.Watch(ctx, func(e discovery.Event) error {
			events = append(events, e.Kind)
			time.Sleep(5 * interval)
			return nil
		})
		if !errors.Is(err, context.DeadlineExceeded) || len(events) > 5 {
			t.Errorf("%v after the events %v", err, events)
		}
	})
}

// TestSendingFails has nothing leave a machine that only announces; it tries again by itself.
func TestSendingFails(t *testing.T) {
	bubble(t, func(t *testing.T, net *lan) {
		net.fault = errors.New("no carrier")
		a := on(t, &host{lan: net, links: []link{eth(1, 1)}})
		b := on(t, &host{lan: net, links: []link{eth(1, 2)}})
		defer announce(t, a, advertOf("a"))()
		v, stop := watch(t, b)
		defer stop()
		time.Sleep(10 * interval)
		if err := a.Health(t.Context()); !errors.Is(err, plugin.ErrDegraded) {
			t.Errorf("health without sending: %v", err)
		}
		net.mu.Lock()
		net.fault = nil
		net.mu.Unlock()
		time.Sleep(interval)
		wantAt(t, v, "a", "[10.0.1.1:4001]")
		if err := a.Health(t.Context()); err != nil {
			t.Errorf("health with sending: %v", err)
		}
	})
}

// TestOneLinkOfTwoOpens retries the other one later.
func TestOneLinkOfTwoOpens(t *testing.T) {
	bubble(t, func(t *testing.T, net *lan) {
		h := &host{lan: net, links: []link{eth(1, 1), eth(2, 1)}}
		base := h.network()
		var broken atomic.Bool
		broken.Store(true)
		half := base
		half.open = func(links []link) (transport, []link, error) {
			if !broken.Load() {
				return base.open(links)
			}
			sockets, joined, err := base.open(links[:1])
			return sockets, joined, errors.Join(err, errors.New("join on eth2: no such device"))
		}
		a := start(interval, half, hclog.NewNullLogger())
		b := on(t, &host{lan: net, links: []link{eth(1, 2), eth(2, 2)}})
		defer func() {
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		}()
		defer announce(t, a, advertOf("a"))()
		v, stop := watch(t, b)
		defer stop()
		time.Sleep(settle)
		wantAt(t, v, "a", "[10.0.1.1:4001]")
		broken.Store(false)
		time.Sleep(reopenPause + pollInterval + settle)
		wantAt(t, v, "a", "[10.0.1.1:4001 10.0.2.1:4001]")
		if err := a.Health(t.Context()); err != nil {
			t.Errorf("health with both: %v", err)
		}
	})
}
