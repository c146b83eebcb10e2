package peer

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
)

// tally counts bytes on the network.
type tally struct {
	in, out atomic.Uint64
	// heard is when something came in last, in nanoseconds; 0 if nothing has.
	heard atomic.Int64
}

// last is when something came in last, zero if nothing has.
func (t *tally) last() time.Time {
	if n := t.heard.Load(); n != 0 {
		return time.Unix(0, n)
	}
	return time.Time{}
}

// countedConn counts what passes through a connection, and tells when it is closed.
type countedConn struct {
	net.Conn
	own tally
	now func() time.Time
	// shared is the tally of the peer, once it is known who that is; set before the connection is handed on.
	shared *tally
	closed func()
	once   sync.Once
}

func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.own.in.Add(uint64(n))
	if c.shared != nil && n > 0 {
		c.shared.in.Add(uint64(n))
		c.shared.heard.Store(c.now().UnixNano())
	}
	return n, err
}

func (c *countedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.own.out.Add(uint64(n))
	if c.shared != nil {
		c.shared.out.Add(uint64(n))
	}
	return n, err
}

// Close calls closed once.
func (c *countedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		if c.closed != nil {
			c.closed()
		}
	})
	return err
}

// CloseWrite lets the handshake end a refused connection so that the other side can still read why.
func (c *countedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// credit adds what has passed so far, and from now on, to the tally of a peer. Nobody else uses the connection yet.
func (c *countedConn) credit(t *tally, closed func()) {
	t.in.Add(c.own.in.Load())
	t.out.Add(c.own.out.Load())
	c.shared, c.closed = t, closed
}

// tallies are the counts of the peers. Safe for concurrent use.
type tallies struct {
	// mu guards of.
	mu sync.Mutex
	of map[id.Principal]*tally
}

// get returns the tally of a peer. Beyond maxClaims of them, the rest share none and are not counted.
func (t *tallies) get(p id.Principal) *tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil {
		t.of = map[id.Principal]*tally{}
	}
	if t.of[p] == nil {
		if len(t.of) == maxClaims {
			return &tally{}
		}
		t.of[p] = &tally{}
	}
	return t.of[p]
}
