package discoverytest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/syncbase/syncbase/sdk/plugin"
	"github.com/syncbase/syncbase/sdk/plugin/discovery"
	"github.com/syncbase/syncbase/sdk/plugin/discovery/discoverytest"
	"github.com/syncbase/syncbase/sdk/plugin/plugintest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemoryPasses(t *testing.T) {
	var medium discoverytest.Memory
	a := plugintest.InProcess(t, medium.Kind(), plugintest.Options{})
	b := plugintest.InProcess(t, medium.Kind(), plugintest.Options{})
	discoverytest.Run(t, a.Conn, b.Conn, discoverytest.Options{})
}

// TestKitFindsSilence runs the kit on two media that do not touch.
func TestKitFindsSilence(t *testing.T) {
	var one, other discoverytest.Memory
	a := plugintest.InProcess(t, one.Kind(), plugintest.Options{})
	b := plugintest.InProcess(t, other.Kind(), plugintest.Options{})
	alone := map[string]bool{"invalid adverts": true}
	for _, r := range discoverytest.Verify(t.Context(), a.Conn, b.Conn, discoverytest.Options{Patience: 50 * time.Millisecond}) {
		if (r.Err == nil) != alone[r.Name] {
			t.Errorf("%s: %v", r.Name, r.Err)
		}
	}
}

// script is a plugin that reports events from outside the bounds and gives up announcing.
type script struct{}

func (script) Announce(_ context.Context, _ discovery.Advert, published func([]string)) error {
	published([]string{"eth0", string(make([]byte, 1000)), "\xff"})
	return errors.New("the cable is cut")
}

func (script) Watch(ctx context.Context, report func(discovery.Event) error) error {
	good := discovery.Advert{NodeID: []byte("good")}
	large := discovery.Advert{NodeID: []byte("large"), Record: make([]byte, discovery.MaxRecordBytes+1)}
	for _, ev := range []discovery.Event{
		{},
		{Kind: 99},
		{Kind: discovery.Seen, Advert: good},
		{Kind: discovery.Seen, Advert: good, TTL: -time.Second},
		{Kind: discovery.Seen, TTL: time.Second},
		{Kind: discovery.Seen, Advert: large, TTL: time.Second},
		{Kind: discovery.Lost},
		{Kind: discovery.Seen, Advert: good, TTL: 1000 * time.Hour, Source: "\xff"},
	} {
		if err := report(ev); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return nil
}

func TestAdapterKeepsBounds(t *testing.T) {
	kind := discovery.Kind(func(context.Context, plugin.Setup) (discovery.Plugin, error) { return script{}, nil })
	client := discovery.NewClient(plugintest.InProcess(t, kind, plugintest.Options{}).Conn)
	enough := errors.New("enough")
	err := client.Watch(t.Context(), func(ev discovery.Event) error {
		if string(ev.Advert.NodeID) != "good" || ev.TTL != discovery.MaxTTL {
			t.Errorf("got %+v", ev)
		}
		return enough
	})
	if !errors.Is(err, enough) {
		t.Error(err)
	}
	var where []string
	err = client.Announce(t.Context(), discovery.Advert{NodeID: []byte("x")}, func(w []string) { where = w })
	if status.Code(err) != codes.Unavailable {
		t.Errorf("announce: %v, want Unavailable", err)
	}
	if len(where) != 3 || where[0] != "eth0" || len(where[1]) > 256 {
		t.Errorf("published on %q", where)
	}
}
