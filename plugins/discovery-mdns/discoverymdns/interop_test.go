package discoverymdns

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/mdns/v2"
	"golang.org/x/net/ipv4"

	"github.com/syncbase/syncbase/sdk/plugin/discovery"
	"github.com/syncbase/syncbase/sdk/plugin/plugintest"
)

// otherImplementation is a responder and browser that shares no code with this package.
func otherImplementation(t *testing.T, opts ...mdns.ServerOption) *mdns.Conn {
	t.Helper()
	udp, err := net.ListenUDP("udp4", group4)
	if err != nil {
		t.Fatal(err)
	}
	ifi, err := net.InterfaceByName(loopbackName())
	if err != nil {
		t.Fatal(err)
	}
	quiet := logging.NewDefaultLoggerFactory()
	quiet.DefaultLogLevel = logging.LogLevelDisabled
	conn, err := mdns.NewServer(ipv4.NewPacketConn(udp), nil, append(opts,
		mdns.WithInterfaces(*ifi), mdns.WithIncludeLoopback(true), mdns.WithLoggerFactory(quiet),
		mdns.WithQueryInterval(200*time.Millisecond))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return conn
}

func TestAnotherBrowserFindsUs(t *testing.T) {
	ours := discovery.NewClient(plugintest.InProcess(t, Kind(), onLoopback()).Conn)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	announced := make(chan error, 1)
	announcing, withdraw := context.WithCancel(ctx)
	go func() { announced <- ours.Announce(announcing, advertOf("interop"), nil) }()
	found := make(chan mdns.ServiceEvent, 100)
	theirs := otherImplementation(t)
	theirs.OnServiceDiscovered(func(e mdns.ServiceEvent) {
		select {
		case found <- e:
		default:
		}
	})
	if err := theirs.Browse(ctx, "_syncbase._tcp"); err != nil {
		t.Fatal(err)
	}
	for done := false; !done; {
		select {
		case e := <-found:
			if done = e.Instance.Instance == instanceLabel([]byte("interop")); done && e.Instance.Port != 4001 {
				t.Errorf("found %+v", e)
			}
		case <-ctx.Done():
			t.Error("the other implementation does not find us")
			done = true
		}
	}
	withdraw()
	if err := <-announced; err != nil {
		t.Error(err)
	}
}

func TestWeFindAnotherResponder(t *testing.T) {
	advert := discovery.Advert{NodeID: []byte("foreign"), Addresses: []string{"192.0.2.9:4001"}, Record: []byte("hello")}
	var text []mdns.TXTEntry
	for _, s := range writeText(advert) {
		key, value, _ := strings.Cut(s, "=")
		text = append(text, mdns.NewTXTString(key, value))
	}
	otherImplementation(t, mdns.WithLocalNames("foreign.local"), mdns.WithService(mdns.ServiceInstance{
		Instance: instanceLabel(advert.NodeID), Service: "_syncbase._tcp", Domain: "local", Port: 4001, Text: text,
	}))
	ours := discovery.NewClient(plugintest.InProcess(t, Kind(), onLoopback()).Conn)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	found := false
	err := ours.Watch(ctx, func(e discovery.Event) error {
		if e.Kind == discovery.Seen && string(e.Advert.NodeID) == "foreign" {
			found = slices.Equal(e.Advert.Addresses, advert.Addresses) && string(e.Advert.Record) == "hello"
			cancel()
		}
		return nil
	})
	if err != nil || !found {
		t.Errorf("we do not find the other implementation: %v", err)
	}
}
