package hosttest

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// network carries bytes between hosts. What it does to a connection depends on the way from one host to another, of
// which there are two for each pair. It behaves as TCP does: bytes arrive in order or not at all, a way that is cut holds
// them back until it heals or somebody gives up, and a reset loses what is under way.
type network struct {
	// mu guards the fields below it.
	mu        sync.Mutex
	ways      map[way]*condition
	listeners map[string]*listener
	conns     map[*wire]bool
	// down are the hosts that are not on the network at all.
	down map[string]bool
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
	// bytes counts what was carried.
	bytes uint64
}

func newNetwork() *network {
	return &network{
		ways: map[way]*condition{}, listeners: map[string]*listener{}, conns: map[*wire]bool{}, down: map[string]bool{},
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
		if wanted(c.way) {
			broken = append(broken, c)
		}
	}
	n.mu.Unlock()
	for _, c := range broken {
		c.close()
	}
}

// unplug takes a host off the network, or puts it back.
func (n *network) unplug(host string, down bool) {
	n.mu.Lock()
	n.down[host] = down
	n.mu.Unlock()
	if down {
		n.reset(func(w way) bool { return w.from == host || w.to == host })
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
		due := n.send(w, 0)
		if !pause(ctx.Done(), time.Until(due)) || !n.open(ctx.Done(), w) {
			return nil, fmt.Errorf("dial %s: %w", address, os.ErrDeadlineExceeded)
		}
	}
	n.mu.Lock()
	l := n.listeners[address]
	if n.down[from] {
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

// wire is what lies between the two ends of a connection.
type wire struct {
	network *network
	way     way
	ends    [2]net.Conn
	// closed is closed when the connection breaks.
	closed chan struct{}
	once   sync.Once
}

// connect makes a connection from near to far.
func (n *network) connect(w way, nearAddr, farAddr addr) (near, far net.Conn) {
	nearApp, nearWire := net.Pipe()
	farApp, farWire := net.Pipe()
	c := &wire{network: n, way: w, ends: [2]net.Conn{nearWire, farWire}, closed: make(chan struct{})}
	n.mu.Lock()
	n.conns[c] = true
	n.mu.Unlock()
	c.carry(w, nearWire, farWire)
	c.carry(way{w.to, w.from}, farWire, nearWire)
	return &end{nearApp, nearAddr, farAddr}, &end{farApp, farAddr, nearAddr}
}

// parcel is some bytes under way.
type parcel struct {
	data []byte
	due  time.Time
}

// carry moves bytes from one end to the other until the connection breaks. Its goroutines end with the connection.
func (c *wire) carry(w way, from io.Reader, to io.Writer) {
	// parcels hands what was sent to whoever delivers it; the reading side closes it.
	parcels := make(chan parcel, 256)
	go func() {
		defer close(parcels)
		for {
			buf := make([]byte, 32<<10)
			n, err := from.Read(buf)
			if err != nil {
				return
			}
			select {
			case parcels <- parcel{buf[:n], c.network.send(w, n)}:
			case <-c.closed:
				return
			}
		}
	}()
	go func() {
		defer c.close()
		for p := range parcels {
			if !pause(c.closed, time.Until(p.due)) || !c.network.open(c.closed, w) {
				return
			}
			if _, err := to.Write(p.data); err != nil {
				return
			}
		}
	}()
}

// send counts bytes and says when they are due.
func (n *network) send(w way, bytes int) time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.at(w)
	c.bytes += uint64(bytes)
	due := time.Now()
	if c.rate > 0 {
		if c.busy.After(due) {
			due = c.busy
		}
		due = due.Add(time.Duration(bytes) * time.Second / time.Duration(c.rate))
		c.busy = due
	}
	return due.Add(c.delay)
}

func (c *wire) close() {
	c.once.Do(func() {
		close(c.closed)
		c.ends[0].Close()
		c.ends[1].Close()
		c.network.mu.Lock()
		defer c.network.mu.Unlock()
		delete(c.network.conns, c)
	})
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
