package hosttest

import (
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

const (
	// firstRetry is how long it takes at least until what was lost is sent again. That doubles each time; after maxRetries the
	// connection breaks.
	firstRetry = 200 * time.Millisecond
	maxRetries = 6
)

// wire is what lies between the two ends of a connection. The first is of who made it.
type wire struct {
	network *network
	ends    [2]sender
}

// sender carries what is sent at one end to the other.
type sender struct {
	c     *wire
	way   way
	conn  net.Conn
	other *sender
	// gone is closed when nobody is at this end any more.
	gone chan struct{}
	once sync.Once

	// The mutex of the network guards the fields below.

	// silent: the other end is not told that nobody is here any more.
	silent bool
	// held is before when nothing arrives.
	held   time.Time
	chance *rand.Rand
}

// connect makes a connection from near to far.
func (n *network) connect(w way, nearAddr, farAddr addr) (near, far net.Conn) {
	nearApp, nearWire := net.Pipe()
	farApp, farWire := net.Pipe()
	c := &wire{network: n}
	back := way{w.to, w.from}
	c.ends[0] = sender{c: c, way: w, conn: nearWire, other: &c.ends[1], gone: make(chan struct{}), chance: n.chance(w)}
	c.ends[1] = sender{c: c, way: back, conn: farWire, other: &c.ends[0], gone: make(chan struct{}), chance: n.chance(back)}
	n.mu.Lock()
	n.conns[c] = true
	n.mu.Unlock()
	for i := range c.ends {
		// parcels hands what was sent to whoever brings it; take closes it.
		parcels := make(chan parcel, 256)
		go c.ends[i].take(parcels)
		go c.ends[i].bring(parcels)
	}
	return &end{nearApp, nearAddr, farAddr}, &end{farApp, farAddr, nearAddr}
}

// reset breaks the connection for both ends at once.
func (c *wire) reset() {
	for i := range c.ends {
		c.ends[i].leave()
	}
}

// parcel is some bytes under way. Lost: nobody sends them again. Last: there is nobody any more who would send more.
type parcel struct {
	data       []byte
	due        time.Time
	lost, last bool
}

// take takes in what is sent at this end until nobody is there.
func (s *sender) take(parcels chan<- parcel) {
	defer close(parcels)
	for last := false; !last; {
		buf := make([]byte, 32<<10)
		n, err := s.conn.Read(buf)
		if last = err != nil; last {
			s.leave()
		}
		due, lost := s.c.network.send(s.way, n, s.chance)
		parcels <- parcel{buf[:n], due, lost, last}
	}
}

// bring brings it to the other end.
func (s *sender) bring(parcels <-chan parcel) {
	for p := range parcels {
		switch {
		case !pause(s.other.gone, time.Until(p.due)) || !s.arrive(s.other.gone):
			s.bounce(p)
		case p.lost:
			s.c.reset()
		case s.isLost():
		case p.last:
			s.other.leave()
		case !p.last:
			_, _ = s.other.conn.Write(p.data) // if nobody is there, other.gone is closed
		}
	}
}

// arrive returns when something that is due has come through; false when done comes first.
func (s *sender) arrive(done <-chan struct{}) bool {
	n := s.c.network
	for {
		if !n.open(done, s.way) {
			return false
		}
		n.mu.Lock()
		left := time.Until(s.held)
		n.mu.Unlock()
		if left <= 0 {
			return true
		}
		if !pause(done, left) {
			return false
		}
	}
}

// bounce is what becomes of what finds nobody: a host that has gone without a word, and is back, answers that it knows of no such
// connection.
func (s *sender) bounce(p parcel) {
	if p.last || !pause(s.gone, time.Until(p.due)) || !s.arrive(s.gone) {
		return
	}
	n := s.c.network
	n.mu.Lock()
	back := s.other.silent && !n.down[s.way.to]
	n.mu.Unlock()
	if !back {
		return
	}
	due, _ := n.send(s.other.way, 0, s.other.chance)
	if pause(s.gone, time.Until(due)) && s.other.arrive(s.gone) {
		s.leave()
	}
}

// isLost reports whether the host that would still have had to send it has lost its power.
func (s *sender) isLost() bool {
	s.c.network.mu.Lock()
	defer s.c.network.mu.Unlock()
	return s.silent && s.held.IsZero()
}

// vanish ends this end without a word to the other one, and with all that was sent here.
func (s *sender) vanish() {
	s.c.network.mu.Lock()
	s.silent = true
	s.c.network.mu.Unlock()
	s.leave()
}

// leave ends this end. What was sent here is still on its way, and then the other one is told.
func (s *sender) leave() {
	s.once.Do(func() {
		close(s.gone)
		s.conn.Close()
		n := s.c.network
		n.mu.Lock()
		defer n.mu.Unlock()
		select {
		case <-s.other.gone:
			delete(n.conns, s.c)
		default:
		}
	})
}
