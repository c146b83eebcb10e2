package engine

import (
	"bytes"
	"cmp"
	"hash/fnv"
	"slices"
	"sync"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// maxNeighbours is from how many linked members of one syncgroup this device pulls. Every one of them sends each change, or
// is told that it has come, so more of them cost traffic; fewer make the way from one end of a large syncgroup to the other long.
const maxNeighbours = 4

// maxWanted is how many more may be pulled from for a moment because they have what nobody else brings.
const maxWanted = 64

// seat is a linked peer as a possible neighbour in one database.
type seat struct {
	device id.Device
	groups []id.Name
	// failing: the last pull came to nothing. Such a peer is tried again now and then, but whoever relied on it alone might
	// rely on nobody.
	failing bool
}

// neighbours chooses from which linked peers to pull. In a syncgroup of few members everybody is everybody's neighbour. In
// a large one each device pulls from the member that follows it in the order of devices, so that every change has a way
// to everyone along the circle, and from some others, drawn by lot, which make that way short. Where not all members reach
// each other that can fall short: a peer that keeps what is lacking here for a while becomes a neighbour too (want).
//
// It belongs to one engine and is safe for concurrent use.
type neighbours struct {
	// mu guards circles and all that hangs on them, but for line.
	mu      sync.Mutex
	circles map[*rows.DB]*circle
}

// circle is what is kept of a database while peers that share it are linked.
type circle struct {
	places map[run]*place
	// wanted are peers that are neighbours whatever their lot.
	wanted []id.Principal
	line   catchUp
}

// place is a seat, and whether it was chosen. Settled: since it was, a pull has caught up.
type place struct {
	seat
	chosen, settled bool
	// changed is closed and replaced whenever chosen changes.
	changed chan struct{}
}

// sit says which syncgroups a linked peer has in common with us. It returns whether the peer is a neighbour, what is closed
// when that changes, and where to wait before catching up.
func (n *neighbours) sit(db *rows.DB, p Peer, groups []id.Name) (chosen bool, changed <-chan struct{}, line *catchUp) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.circles[db]
	if c == nil {
		c = &circle{places: map[run]*place{}}
		n.circles[db] = c
	}
	at := c.places[p.run()]
	if at == nil {
		at = &place{changed: make(chan struct{})}
		c.places[p.run()] = at
	}
	if at.device != p.Device || !slices.Equal(at.groups, groups) {
		at.seat = seat{device: p.Device, groups: groups, failing: at.failing}
		c.choose(db.Writer().Device)
	}
	return at.chosen, at.changed, &c.line
}

// leave says that the peer is no longer linked or has nothing in common with us.
func (n *neighbours) leave(db *rows.DB, p Peer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.circles[db]
	if c == nil || c.places[p.run()] == nil {
		return
	}
	delete(c.places, p.run())
	c.wanted = slices.DeleteFunc(c.wanted, func(w id.Principal) bool { return w == p.Principal })
	if len(c.places) == 0 {
		delete(n.circles, db)
		return
	}
	c.choose(db.Writer().Device)
}

// report says whether the last pull from the peer came to something.
func (n *neighbours) report(db *rows.DB, p Peer, failing bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.circles[db]
	if c == nil || c.places[p.run()] == nil {
		return
	}
	at := c.places[p.run()]
	changed := at.failing != failing
	at.failing = failing
	if !at.settled && at.chosen {
		at.settled = true
		changed = c.dismiss() || changed
	}
	if changed {
		c.choose(db.Writer().Device)
	}
}

// want makes a neighbour of a linked peer that holds what has not come from anybody else.
func (n *neighbours) want(db *rows.DB, p Peer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.circles[db]
	if c == nil || !c.standsBy(p.Principal) {
		return
	}
	c.wanted = append(c.wanted, p.Principal)
	c.dismiss()
	c.choose(db.Writer().Device)
}

// standsBy reports whether the peer is linked and no neighbour. The caller holds mu.
func (c *circle) standsBy(p id.Principal) (linked bool) {
	for r, at := range c.places {
		if r.peer == p && at.chosen {
			return false
		}
		linked = linked || r.peer == p
	}
	return linked
}

// dismiss has those of more than maxNeighbours wanted peers stand back again from which what they were wanted for has come, and of
// more than maxWanted any, who was wanted first. It reports whether there were such. The caller holds mu.
func (c *circle) dismiss() (any bool) {
	busy := func(p id.Principal) bool {
		for r, at := range c.places {
			if r.peer == p && !at.settled {
				return true
			}
		}
		return false
	}
	for i := 0; i < len(c.wanted) && len(c.wanted) > maxNeighbours; {
		if len(c.wanted) <= maxWanted && busy(c.wanted[i]) {
			i++
			continue
		}
		c.wanted = slices.Delete(c.wanted, i, i+1)
		any = true
	}
	return any
}

// choose makes the choice for all places and tells those whose luck has changed. Copies of one device are chosen together. The
// caller holds mu.
func (c *circle) choose(self id.Device) {
	seats := make(map[id.Principal]seat, len(c.places))
	for r, at := range c.places {
		s := at.seat
		if other, copied := seats[r.peer]; copied {
			s.failing = s.failing && other.failing
		}
		seats[r.peer] = s
	}
	chosen := choose(self, seats)
	for _, p := range c.wanted {
		chosen[p] = true
	}
	for r, at := range c.places {
		if at.chosen != chosen[r.peer] {
			at.chosen, at.settled = chosen[r.peer], false
			close(at.changed)
			at.changed = make(chan struct{})
		}
	}
}

// choose returns the neighbours of self: of each syncgroup all linked members if they are few, and otherwise the one that
// follows self in the order of devices and others by lot. Those from which nothing comes are tried beside them.
func choose(self id.Device, seats map[id.Principal]seat) map[id.Principal]bool {
	groups := map[id.Name][]id.Principal{}
	chosen := map[id.Principal]bool{}
	for p, s := range seats {
		for _, g := range s.groups {
			if !s.failing {
				groups[g] = append(groups[g], p)
			}
		}
	}
	for p, s := range seats {
		if s.failing {
			chosen[p] = true
		}
	}
	for _, members := range groups {
		if len(members) > maxNeighbours {
			members = draw(self, seats, members)
		}
		for _, p := range members {
			chosen[p] = true
		}
	}
	return chosen
}

func draw(self id.Device, seats map[id.Principal]seat, members []id.Principal) []id.Principal {
	next := slices.MinFunc(members, func(a, b id.Principal) int {
		return compareAfter(self, seats[a].device, seats[b].device)
	})
	lots := map[id.Principal]uint64{}
	for _, p := range members {
		lots[p] = lot(self, seats[p].device)
	}
	lots[next] = 0
	slices.SortFunc(members, func(a, b id.Principal) int {
		return cmp.Or(cmp.Compare(lots[a], lots[b]), cmp.Compare(a, b))
	})
	return members[:maxNeighbours]
}

// compareAfter orders devices on the circle of all devices that begins behind self.
func compareAfter(self, a, b id.Device) int {
	behind := func(d id.Device) int { return -bytes.Compare(d[:], self[:]) } // negative: after self, and so sooner
	return cmp.Or(cmp.Compare(min(behind(a), 0), min(behind(b), 0)), bytes.Compare(a[:], b[:]))
}

// lot is what a peer draws; no two devices need to agree on it.
func lot(self, peer id.Device) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(self[:])
	_, _ = h.Write(peer[:])
	// The last bytes must reach the upper bits, by which lots are compared first.
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return max(1, x)
}
