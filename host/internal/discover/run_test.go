package discover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/syncbase/syncbase/host/internal/id"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a source whose sightings the test makes.
type fake struct {
	announced chan Advert
	sightings chan Sighting
	// fails is returned by both methods at once.
	fails error
}

func newFake() *fake {
	return &fake{announced: make(chan Advert, 1), sightings: make(chan Sighting)}
}

func (f *fake) Announce(ctx context.Context, advert Advert) error {
	if f.fails != nil {
		return f.fails
	}
	f.announced <- advert
	<-ctx.Done()
	return ctx.Err()
}

func (f *fake) Watch(ctx context.Context, notify func(Sighting) error) error {
	if f.fails != nil {
		return f.fails
	}
	for {
		select {
		case s := <-f.sightings:
			if err := notify(s); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// diary writes down what a listener hears.
type diary struct {
	// mu guards lines.
	mu    sync.Mutex
	lines []string
}

func (d *diary) listener() Listener {
	write := func(word string) func(Node) {
		return func(n Node) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.lines = append(d.lines, fmt.Sprintf("%s %s %v %v", word, n.Name, n.Addresses, n.Sources))
		}
	}
	return Listener{Found: write("found"), Lost: write("lost")}
}

func (d *diary) take() []string {
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	lines := d.lines
	d.lines = nil
	return lines
}

// running starts a discovery over sources for the length of a bubble; the returned function ends it.
func running(t *testing.T, heard *diary, sources map[string]Source) (*Discovery, func()) {
	t.Helper()
	d, err := New(Options{
		Device: id.Device(device("me")), Name: "laptop", Addresses: []string{":4001"}, Sources: sources, Listener: heard.listener(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- d.Run(ctx) }()
	return d, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard diary
		lan, wan := newFake(), newFake()
		d, stop := running(t, &heard, map[string]Source{"lan": lan, "wan": wan})
		want := Advert{NodeID: device("me"), Addresses: []string{":4001"}, Record: []byte("laptop")}
		for _, f := range []*fake{lan, wan} {
			if diff := cmp.Diff(want, <-f.announced); diff != "" {
				t.Error(diff)
			}
		}
		b := Advert{NodeID: device("b"), Addresses: []string{"10.0.0.2:4001"}, Record: []byte("server")}
		lan.sightings <- Sighting{Kind: Seen, Advert: b, TTL: 10 * time.Second}
		lan.sightings <- Sighting{Kind: Synced}
		wan.sightings <- Sighting{Kind: Seen, Advert: b, TTL: 30 * time.Second}
		check(t, heard.take(), "found server [10.0.0.2:4001] [lan]", "found server [10.0.0.2:4001] [lan wan]")
		if known := d.Known(t.Context()); len(known) != 1 || known[0].Device != id.Device(device("b")) {
			t.Errorf("known: %+v", known)
		}
		time.Sleep(10 * time.Second)
		check(t, heard.take(), "found server [10.0.0.2:4001] [wan]")
		time.Sleep(20*time.Second - 1)
		check(t, heard.take())
		time.Sleep(time.Nanosecond)
		check(t, heard.take(), "lost server [10.0.0.2:4001] []")
		stop()
		if known := d.Known(t.Context()); known != nil {
			t.Errorf("known after the end: %+v", known)
		}
	})
}

// TestSourceGivesUp has one source fail for good; the other goes on.
func TestSourceGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard diary
		lan := newFake()
		_, stop := running(t, &heard, map[string]Source{"bad": &fake{fails: errors.New("it is of another kind")}, "lan": lan})
		defer stop()
		<-lan.announced
		lan.sightings <- Sighting{Kind: Seen, Advert: Advert{NodeID: device("b"), Addresses: []string{"b:1"}}, TTL: time.Second}
		check(t, heard.take(), "found  [b:1] [lan]")
	})
}

// TestEndWithASightingOnItsWay ends Run while a source wants to report.
func TestEndWithASightingOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard diary
		lan := newFake()
		_, stop := running(t, &heard, map[string]Source{"lan": lan})
		go func() {
			select {
			case lan.sightings <- Sighting{Kind: Seen, Advert: Advert{NodeID: device("b")}, TTL: time.Second}:
			case <-t.Context().Done():
			}
		}()
		stop()
		<-lan.announced
		select {
		case <-lan.sightings:
		default:
		}
	})
}

func TestWithoutAddressesNothingIsAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := newFake()
		d, err := New(Options{Device: id.Device(device("me")), Sources: map[string]Source{"lan": lan}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := d.Run(ctx); err != nil {
			t.Error(err)
		}
		if len(lan.announced) > 0 {
			t.Error("it announced a node that nobody can reach")
		}
	})
}

func TestValidate(t *testing.T) {
	_, err := New(Options{Addresses: make([]string, MaxAddresses+1), Sources: map[string]Source{"lan": nil}})
	for _, want := range []string{"Device is missing", "17 addresses", `source "lan" is nil`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
}

func check(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("heard %q, want %q", got, want)
	}
}

// reference: sync-104 who asks for the nodes, however late, is told of those that are seen then and of none that were lost before;
// after the end nobody is told of anything.
func TestWhoAsksLateSeesWhoIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard diary
		lan := newFake()
		d, stop := running(t, &heard, map[string]Source{"lan": lan})
		<-lan.announced
		known := func(want ...string) {
			t.Helper()
			synctest.Wait()
			var got []string
			for _, n := range d.Known(t.Context()) {
				got = append(got, n.Name)
			}
			check(t, got, want...)
		}
		see := func(kind Kind, name string) {
			lan.sightings <- Sighting{Kind: kind, Advert: Advert{NodeID: device(name), Addresses: []string{name + ":1"}, Record: []byte(name)}, TTL: time.Hour}
		}
		known()
		see(Seen, "b")
		known("b")
		see(Seen, "c")
		see(Lost, "b")
		known("c")
		see(Lost, "b") // of somebody who is lost already
		see(Seen, "d")
		known("c", "d")
		check(t, heard.take(), "found b [b:1] [lan]", "found c [c:1] [lan]", "lost b [b:1] []", "found d [d:1] [lan]")
		stop()
		known()
		time.Sleep(2 * time.Hour)
		check(t, heard.take())
	})
}
