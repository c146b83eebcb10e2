package netns

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/syncbase/syncbase/plugins/discovery-mdns/discoverymdns"
	"github.com/syncbase/syncbase/sdk/plugin"
	"github.com/syncbase/syncbase/sdk/plugin/discovery"
	"github.com/syncbase/syncbase/sdk/plugin/discovery/discoverytest"
	"github.com/syncbase/syncbase/sdk/plugin/plugintest"
)

// TestMain lets the test binary be the plugin that it tests.
func TestMain(m *testing.M) {
	if plugin.IsPlugin() {
		discoverymdns.Plugin("test").Main()
	}
	goleak.VerifyTestMain(m)
}

// patience is how long an event may take that is due at once, on a busy machine.
const patience = 30 * time.Second

// pluginOn runs discovery-mdns on a machine, with nothing configured but how long a sighting lasts: 3 seconds.
func pluginOn(t *testing.T, m *Machine) *plugintest.Running {
	t.Helper()
	return plugintest.Subprocess(t, m.Command(os.Args[0]), plugintest.Options{
		Config: map[string]any{"query_interval": "1s"},
	})
}

// watching reports the events that concern one node for as long as the test runs.
func watching(t *testing.T, on *plugintest.Running, node string) <-chan discovery.Event {
	t.Helper()
	events := make(chan discovery.Event, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- discovery.NewClient(on.Conn).Watch(ctx, func(e discovery.Event) error {
			if string(e.Advert.NodeID) == node {
				select {
				case events <- e:
				default: // a test that does not look does not want to know
				}
			}
			return nil
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("watch: %v", err)
		}
	})
	return events
}

// announcing announces a node that listens on all addresses, until the returned function withdraws it.
func announcing(t *testing.T, on *plugintest.Running, node string) func() {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- discovery.NewClient(on.Conn).Announce(ctx, discovery.Advert{NodeID: []byte(node), Addresses: []string{":4001"}}, nil)
	}()
	stop := func() {
		if ctx.Err() != nil {
			return
		}
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("announce: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// awaitEvent takes events until one is of the kind, and returns it.
func awaitEvent(t *testing.T, events <-chan discovery.Event, kind discovery.EventKind) discovery.Event {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case e := <-events:
			if e.Kind == kind {
				return e
			}
		case <-timer.C:
			t.Fatalf("no event of kind %d within %v", kind, patience)
		}
	}
}

// TestPluginsFindEachOther has nothing configured on either side; the cable is cut and mended.
func TestPluginsFindEachOther(t *testing.T) {
	if !Inside(t) {
		return
	}
	pair := NewPair(t, Options{})
	a, b := pluginOn(t, pair.A), pluginOn(t, pair.B)
	seenByA, seenByB := watching(t, a, "node-b"), watching(t, b, "node-a")
	announcing(t, a, "node-a")
	withdrawB := announcing(t, b, "node-b")

	found := awaitEvent(t, seenByB, discovery.Seen)
	if !hasPrefix(found.Advert.Addresses, "10.77.0.1:4001") || found.Source != pair.B.Link {
		t.Errorf("B sees A as %+v", found)
	}
	if found := awaitEvent(t, seenByA, discovery.Seen); !hasPrefix(found.Advert.Addresses, "10.77.0.2:4001") {
		t.Errorf("A sees B as %+v", found)
	}

	cut := time.Now()
	pair.B.Cut(t)
	awaitEvent(t, seenByA, discovery.Lost)
	awaitEvent(t, seenByB, discovery.Lost)
	t.Logf("lost %v after the cut", time.Since(cut))

	mended := time.Now()
	pair.B.Mend(t)
	awaitEvent(t, seenByA, discovery.Seen)
	awaitEvent(t, seenByB, discovery.Seen)
	t.Logf("seen %v after the mending", time.Since(mended))

	left := time.Now()
	withdrawB()
	awaitEvent(t, seenByA, discovery.Lost)
	t.Logf("lost %v after the goodbye", time.Since(left))
}

// TestPluginsFindEachOtherByIPv6 has no other addresses than those of the links themselves.
func TestPluginsFindEachOtherByIPv6(t *testing.T) {
	if !Inside(t) {
		return
	}
	pair := NewPair(t, Options{OnlyIPv6: true})
	a, b := pluginOn(t, pair.A), pluginOn(t, pair.B)
	seenByB := watching(t, b, "node-a")
	announcing(t, a, "node-a")
	found := awaitEvent(t, seenByB, discovery.Seen)
	if len(found.Advert.Addresses) != 1 || !hasPrefix(found.Advert.Addresses, "[fe80::") ||
		!strings.HasSuffix(found.Advert.Addresses[0], "%"+pair.B.Link+"]:4001") {
		t.Errorf("B sees A at %q, want a link-local address with the zone of B's link", found.Advert.Addresses)
	}
}

// TestConformanceAcrossNamespaces runs the kit over the cable.
func TestConformanceAcrossNamespaces(t *testing.T) {
	if !Inside(t) {
		return
	}
	pair := NewPair(t, Options{})
	discoverytest.Run(t, pluginOn(t, pair.A).Conn, pluginOn(t, pair.B).Conn, discoverytest.Options{})
}

// TestPluginWithoutNetwork starts the plugin before there is any interface that is up.
func TestPluginWithoutNetwork(t *testing.T) {
	if !Inside(t) {
		return
	}
	alone := &Machine{Link: "cable-a"}
	a := pluginOn(t, alone)
	seen := watching(t, a, "node-b")
	announcing(t, a, "node-a")
	pair := NewPair(t, Options{})
	b := pluginOn(t, pair.B)
	announcing(t, b, "node-b")
	if found := awaitEvent(t, seen, discovery.Seen); !bytes.Equal(found.Advert.NodeID, []byte("node-b")) {
		t.Errorf("A sees %+v", found)
	}
}

func hasPrefix(list []string, want string) bool {
	for _, s := range list {
		if strings.HasPrefix(s, want) {
			return true
		}
	}
	return false
}
