package peer

import (
	"container/list"
	"net"
	"sync"
)

// maxUnproven bounds the connections of which nobody has proved yet who made them. A handshake takes milliseconds, so a peer gets through
// among thousands a second that do nothing.
const maxUnproven = 128

// Guard bounds how many connections of a listener are open at a time that have proved nothing yet: beyond maxUnproven the oldest of them
// makes room. Without that anybody on the network could take all descriptors of the process. The server made with ServerOptions counts
// a connection among those of its principal as soon as there is one.
func Guard(l net.Listener) net.Listener { return &guarded{Listener: l} }

type guarded struct {
	net.Listener
	// mu guards the field below it.
	mu sync.Mutex
	// waiting are the *unproven, the oldest first.
	waiting list.List
}

func (g *guarded) Accept() (net.Conn, error) {
	conn, err := g.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &unproven{Conn: conn, by: g}
	if oldest := g.enter(c); oldest != nil {
		_ = oldest.Conn.Close()
	}
	return c, nil
}

// enter lets a connection wait, and returns the one that it takes the place of.
func (g *guarded) enter(c *unproven) (oldest *unproven) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waiting.Len() >= maxUnproven {
		oldest = g.waiting.Remove(g.waiting.Front()).(*unproven)
		oldest.place = nil
	}
	c.place = g.waiting.PushBack(c)
	return oldest
}

func (g *guarded) leave(c *unproven) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.place != nil {
		g.waiting.Remove(c.place)
		c.place = nil
	}
}

// unproven is a connection of a guarded listener.
type unproven struct {
	net.Conn
	by *guarded
	// place among those that wait, nil once it is proved or closed; guarded by the mutex of the listener.
	place *list.Element
}

// proven takes a connection that somebody has been recognised on out of what Guard bounds.
func proven(conn net.Conn) {
	if c, ok := conn.(*unproven); ok {
		c.by.leave(c)
	}
}

func (c *unproven) Close() error {
	c.by.leave(c)
	return c.Conn.Close()
}
