package engine

import (
	"sync"

	"github.com/syncbase/syncbase/host/internal/id"
)

// nudges wake pulls that wait before they try again: a peer that pulls from us, and refused us the same a while ago, may let us
// have it now. So what a peer wrote while its database was paused is fetched as soon as it goes on. Safe for concurrent
// use.
type nudges struct {
	// mu guards of, in which each channel is closed by the next nudge.
	mu sync.Mutex
	of map[nudgeKey]chan struct{}
}

type nudgeKey struct {
	device id.Device
	db     id.Name
}

// next returns what is closed when the peer next pulls the database.
func (n *nudges) next(p Peer, db id.Name) <-chan struct{} {
	key := nudgeKey{p.Device, db}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of == nil {
		n.of = map[nudgeKey]chan struct{}{}
	}
	if n.of[key] == nil {
		n.of[key] = make(chan struct{})
	}
	return n.of[key]
}

// forget says that nobody waits for the peer any more.
func (n *nudges) forget(p Peer, db id.Name) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.of, nudgeKey{p.Device, db})
}

// nudge says that the peer pulls the database.
func (n *nudges) nudge(p Peer, db id.Name) {
	key := nudgeKey{p.Device, db}
	n.mu.Lock()
	defer n.mu.Unlock()
	if c := n.of[key]; c != nil {
		close(c)
		delete(n.of, key)
	}
}
