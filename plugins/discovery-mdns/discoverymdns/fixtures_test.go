package discoverymdns

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	hclog "github.com/hashicorp/go-hclog"

	"github.com/syncbase/syncbase/sdk/plugin/discovery"
)

// loopbackName is the name of this machine's loopback interface.
func loopbackName() string {
	all, err := net.Interfaces()
	if err != nil {
		return "lo"
	}
	for _, ifi := range all {
		if ifi.Flags&net.FlagLoopback != 0 {
			return ifi.Name
		}
	}
	return "lo"
}

// lan is a network of services within one test.
type lan struct {
	// mu guards all fields.
	mu    sync.Mutex
	ports []*lanPort
	// sent counts the packets.
	sent int
	// cut keeps packets from arriving.
	cut bool
	// fault is what sending answers.
	fault error
}

// lanPort is one service's transport on a network.
type lanPort struct {
	lan   *lan
	links []link
	in    chan arrival
	fail  chan error
}

// host is a machine on one network, whose interface the test can change.
type host struct {
	lan *lan
	// mu guards the fields below.
	mu    sync.Mutex
	links []link
	// deaf makes opening fail.
	deaf error
}

func (h *host) set(links []link, deaf error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.links, h.deaf = links, deaf
}

// eth is an interface with the address 10.0.N.ADDR, where N is its index.
func eth(index, address int) link {
	return link{
		index: index, name: "eth" + string(rune('0'+index)), running: true,
		prefixes: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(index), byte(address)}), 24)},
	}
}

func (h *host) network() network {
	return network{
		jitter: rand.New(rand.NewPCG(1, uint64(h.links[0].prefixes[0].Addr().As4()[3]))).Float64,
		links: func() ([]link, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			if len(h.links) == 0 {
				return nil, errors.New("there is none")
			}
			return h.links, nil
		},
		open: func(links []link) (transport, []link, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.deaf != nil {
				return nil, nil, h.deaf
			}
			p := &lanPort{lan: h.lan, links: links, in: make(chan arrival, 4096), fail: make(chan error, 1)}
			h.lan.mu.Lock()
			defer h.lan.mu.Unlock()
			h.lan.ports = append(h.lan.ports, p)
			return p, links, nil
		},
	}
}

func (p *lanPort) send(o outgoing) error {
	p.lan.mu.Lock()
	defer p.lan.mu.Unlock()
	if p.lan.fault != nil {
		return p.lan.fault
	}
	p.lan.sent++
	if p.lan.cut {
		return nil
	}
	from := netip.AddrPortFrom(o.link.prefixes[0].Addr(), mdnsPort)
	for _, other := range p.lan.ports {
		if !slices.ContainsFunc(other.links, func(l link) bool { return l.index == o.link.index }) {
			continue
		}
		select {
		case other.in <- arrival{link: o.link.index, from: from, data: o.data}:
		default:
		}
	}
	return nil
}

func (p *lanPort) arrivals() <-chan arrival { return p.in }
func (p *lanPort) failed() <-chan error     { return p.fail }

func (p *lanPort) close() {
	p.lan.mu.Lock()
	defer p.lan.mu.Unlock()
	p.lan.ports = slices.DeleteFunc(p.lan.ports, func(o *lanPort) bool { return o == p })
}

func (l *lan) set(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = cut
}

// breakPort makes the transport fail that uses a link.
func (l *lan) breakPort(on link, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.ports {
		if slices.ContainsFunc(p.links, on.equal) {
			p.fail <- err
		}
	}
}

func (l *lan) packets() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent
}

// on starts a service on a host for the length of the test.
func on(t *testing.T, h *host) *Service {
	t.Helper()
	s := start(interval, h.network(), hclog.NewNullLogger())
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// interval is the query interval of services in tests.
const interval = 10 * time.Second

func advertOf(name string) discovery.Advert {
	return discovery.Advert{NodeID: []byte(name), Addresses: []string{":4001"}, Record: []byte("record of " + name)}
}
