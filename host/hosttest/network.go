package hosttest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"
)

// network carries bytes between hosts. What it does to a connection depends on the way from one host to another, of
// which there are two for each pair. It behaves as TCP does: bytes arrive in order or not at all, a way that is cut holds
// them back until it heals or somebody gives up, one that loses some brings them later, and a reset loses what is under way.
// Who closes a connection, or is gone, is not gone for the other side before what was sent until then has arrived there.
type network struct {
	// seed decides what is lost.
	seed uint64
	// mu guards the fields below it.
	mu        sync.Mutex
	ways      map[way]*condition
	listeners map[string]*listener
	conns     map[*wire]bool
	// down are the hosts that are not on the network at all.
	down map[string]bool
	// made counts the connections.
	made uint64
	// changed is closed and replaced whenever a condition changes.
	changed chan struct{}
}

// way leads from one host to another, both named by their addresses' host.
type way struct{ from, to string }

// condition is the state of a way.
type condition struct {
	cut   bool
	delay time.Duration
	// rate is how many bytes a second fit through, 0 as many as come; busy is until when it is taken up by what was sent.
	rate int
	busy time.Time
	// loss is how likely it is that what is sent is lost and has to be sent again.
	loss float64
	// bytes counts what was carried.
	bytes uint64
}

func newNetwork(seed uint64) *network {
	return &network{
		seed: seed, ways: map[way]*condition{}, listeners: map[string]*listener{}, conns: map[*wire]bool{}, down: map[string]bool{},
		changed: make(chan struct{}),
	}
}

// at returns the condition of a way. Called with mu held.
func (n *network) at(w way) *condition {
	c := n.ways[w]
	if c == nil {
		c = &condition{delay: time.Millisecond}
		n.ways[w] = c
	}
	return c
}

// set changes the condition of a way.
func (n *network) set(w way, change func(*condition)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change(n.at(w))
	close(n.changed)
	n.changed = make(chan struct{})
}

// reset breaks every connection for which wanted is true.
func (n *network) reset(wanted func(way) bool) {
	n.mu.Lock()
	var broken []*wire
	for c := range n.conns {
		if wanted(c.ends[0].way) {
			broken = append(broken, c)
		}
	}
	n.mu.Unlock()
	for _, c := range broken {
		c.reset()
	}
}

// unplug takes a host off the network, or puts it back. Its peers are not told: they hear of it when something that they sent is
// answered by a host that knows of no such connection, or when their patience is over.
func (n *network) unplug(host string, down bool) {
	n.mu.Lock()
	n.down[host] = down
	ends := n.from(host)
	n.mu.Unlock()
	for _, e := range ends {
		if down {
			e.vanish()
		}
	}
}

// from returns the ends of connections that a host has. Called with mu held.
func (n *network) from(host string) (ends []*sender) {
	for c := range n.conns {
		for i := range c.ends {
			if e := &c.ends[i]; e.way.from == host {
				ends = append(ends, e)
			}
		}
	}
	return ends
}

// strand breaks the connections between two hosts for one of them alone, after a while. What it sent until then from now on
// reaches the other one late, as does that it closed them, while new connections are as quick as ever.
func (n *network) strand(w way, after, late time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range n.from(w.from) {
		if e.way == w {
			e.held = time.Now().Add(after + late)
			time.AfterFunc(after, e.leave)
		}
	}
}

// carried returns how many bytes a way has carried.
func (n *network) carried(w way) uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.at(w).bytes
}

// listen accepts connections at an address until the listener is closed.
func (n *network) listen(address string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[address] != nil {
		return nil, fmt.Errorf("listen at %s: address is in use", address)
	}
	l := &listener{network: n, address: addr(address), accepted: make(chan net.Conn), closed: make(chan struct{})}
	n.listeners[address] = l
	return l, nil
}

// dial connects a host to an address. Over a way that is cut it waits for better times, as long as ctx does.
func (n *network) dial(ctx context.Context, from, address string) (net.Conn, error) {
	to, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	for _, w := range []way{{from, to}, {to, from}} {
		due, lost := n.send(w, 0, n.chance(w))
		if lost || !pause(ctx.Done(), time.Until(due)) || !n.open(ctx.Done(), w) {
			return nil, fmt.Errorf("dial %s: %w", address, os.ErrDeadlineExceeded)
		}
	}
	n.mu.Lock()
	l := n.listeners[address]
	if n.down[from] || n.down[to] {
		l = nil
	}
	n.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("dial %s: connection refused", address)
	}
	near, far := n.connect(way{from, to}, addr(net.JoinHostPort(from, "1")), l.address)
	select {
	case l.accepted <- far:
		return near, nil
	case <-l.closed:
		near.Close()
		return nil, fmt.Errorf("dial %s: connection refused", address)
	case <-ctx.Done():
		near.Close()
		return nil, ctx.Err()
	}
}

// open returns when the way is open; false when done comes first.
func (n *network) open(done <-chan struct{}, w way) bool {
	for {
		n.mu.Lock()
		cut, changed := n.at(w).cut, n.changed
		n.mu.Unlock()
		if !cut {
			return true
		}
		select {
		case <-changed:
		case <-done:
			return false
		}
	}
}

// pause returns false when done comes before the time is over.
func pause(done <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-done:
		return false
	}
}

// chance decides what is lost of a connection that is made: by the seed, the way, and how many were made before.
func (n *network) chance(w way) *rand.Rand {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.made++
	sum := n.made
	for _, b := range []byte(w.from + w.to) {
		sum = sum*31 + uint64(b)
	}
	return rand.New(rand.NewPCG(n.seed, sum))
}

// send counts bytes and says when they are due, after they were sent again as often as they are lost, or that they are lost for
// good.
func (n *network) send(w way, bytes int, chance *rand.Rand) (due time.Time, lost bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.at(w)
	c.bytes += uint64(bytes)
	due = time.Now()
	if c.rate > 0 {
		if c.busy.After(due) {
			due = c.busy
		}
		due = due.Add(time.Duration(bytes) * time.Second / time.Duration(c.rate))
		c.busy = due
	}
	due = due.Add(c.delay)
	for tries := 0; c.loss > 0 && chance.Float64() < c.loss; tries++ {
		if tries == maxRetries {
			return due, true
		}
		due = due.Add((firstRetry + 2*c.delay) << tries)
	}
	return due, false
}

// end is a connection as a host has it.
type end struct {
	net.Conn
	local, remote addr
}

func (e *end) LocalAddr() net.Addr  { return e.local }
func (e *end) RemoteAddr() net.Addr { return e.remote }

// addr is a "host:port" of the network.
type addr string

func (addr) Network() string  { return "memory" }
func (a addr) String() string { return string(a) }

type listener struct {
	network *network
	address addr
	// accepted hands over new connections.
	accepted chan net.Conn
	// closed is closed by Close.
	closed chan struct{}
	once   sync.Once
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.accepted:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.network.mu.Lock()
		defer l.network.mu.Unlock()
		delete(l.network.listeners, string(l.address))
	})
	return nil
}

func (l *listener) Addr() net.Addr { return l.address }
