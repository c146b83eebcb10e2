package plug

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"

	discoveryv1 "github.com/syncbase/syncbase/sdk/api/discovery/v1"
)

// An announcement and a watch outlive the process that carries them.
func TestDiscoverySurvivesACrash(t *testing.T) {
	r := newRig(t, nil)
	r.set(Instance{Name: "lan", Kind: KindDiscovery, Path: "self/discovery"})
	lan := r.Discovery("lan")
	me := Advert{NodeID: []byte("me"), Addresses: []string{":4001"}, Groups: [][]byte{{1, 2}}, Record: []byte("signed")}
	ctx, cancel := context.WithCancel(context.Background())
	announced, watched := make(chan error, 1), make(chan error, 1)
	seen := make(chan Sighting)
	go func() { announced <- lan.Announce(ctx, me) }()
	go func() {
		watched <- lan.Watch(ctx, func(s Sighting) error {
			select {
			case seen <- s:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	want := []Sighting{
		{Kind: Seen, Advert: Advert{NodeID: []byte("other"), Addresses: []string{"10.0.0.1:4001"}}, TTL: time.Minute, Source: "eth0"},
		{Kind: Synced},
		{Kind: Seen, Advert: me, TTL: time.Minute},
		{Kind: Lost, Advert: Advert{NodeID: []byte("other")}},
	}
	for round := range 2 {
		for i := range want {
			select {
			case got := <-seen:
				if diff := cmp.Diff(want[i], got); diff != "" {
					t.Errorf("round %d, sighting %d: %s", round, i, diff)
				}
			case <-time.After(patience):
				t.Fatalf("round %d: no sighting %d", round, i)
			}
		}
		if round == 0 {
			if err := syscall.Kill(r.status("lan").PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	cancel()
	for what, ended := range map[string]chan error{"announce": announced, "watch": watched} {
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v", what, err)
		}
	}
}

func TestWatchReturnsTheErrorOfItsReceiver(t *testing.T) {
	r := newRig(t, nil)
	r.set(Instance{Name: "lan", Kind: KindDiscovery, Path: "self/discovery"})
	enough := errors.New("enough")
	if err := r.Discovery("lan").Watch(r.context(), func(Sighting) error { return enough }); err != enough {
		t.Errorf("got %v", err)
	}
	if err := r.Discovery("wan").Watch(r.context(), nil); !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v", err)
	}
}

func TestAdvertsAreChecked(t *testing.T) {
	many := make([]string, 17)
	for i := range many {
		many[i] = fmt.Sprintf("h:%d", i)
	}
	for _, tc := range []struct {
		advert Advert
		want   string
	}{
		{Advert{}, "node id"},
		{Advert{NodeID: make([]byte, 65)}, "node id"},
		{Advert{NodeID: []byte("n"), Addresses: many}, "17 addresses"},
		{Advert{NodeID: []byte("n"), Addresses: []string{"nowhere"}}, "host:port"},
		{Advert{NodeID: []byte("n"), Addresses: []string{strings.Repeat("a", 300) + ":1"}}, "host:port"},
		{Advert{NodeID: []byte("n"), Groups: [][]byte{make([]byte, 17)}}, "groups"},
		{Advert{NodeID: []byte("n"), Groups: make([][]byte, 17)}, "groups"},
		{Advert{NodeID: []byte("n"), Record: make([]byte, 513)}, "record"},
	} {
		if err := tc.advert.Check(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v: got %v, want an error with %q", tc.advert, err, tc.want)
		}
	}
}

func TestSightingsAreBounded(t *testing.T) {
	seen := func(ttl time.Duration, source string) *discoveryv1.WatchResponse {
		return &discoveryv1.WatchResponse{
			Event: discoveryv1.Event_EVENT_SEEN, Advert: &discoveryv1.Advert{NodeId: []byte("n")},
			Ttl: durationpb.New(ttl), Source: source,
		}
	}
	for _, tc := range []struct {
		in  *discoveryv1.WatchResponse
		ttl time.Duration
	}{
		{seen(-time.Hour, ""), minLease},
		{seen(time.Minute, ""), time.Minute},
		{seen(1<<62, strings.Repeat("s", 1<<20)), maxLease},
	} {
		got, err := readSighting(tc.in)
		if err != nil || got.TTL != tc.ttl || len(got.Source) > 2*maxSource {
			t.Errorf("got %v, source of %d bytes, %v", got.TTL, len(got.Source), err)
		}
	}
	for name, in := range map[string]*discoveryv1.WatchResponse{
		"no event":     {Advert: &discoveryv1.Advert{NodeId: []byte("n")}},
		"no advert":    {Event: discoveryv1.Event_EVENT_SEEN},
		"lost nobody":  {Event: discoveryv1.Event_EVENT_LOST},
		"large record": {Event: discoveryv1.Event_EVENT_SEEN, Advert: &discoveryv1.Advert{NodeId: []byte("n"), Record: make([]byte, 600)}},
	} {
		if got, err := readSighting(in); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}
