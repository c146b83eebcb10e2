package sched

import (
	"bytes"
	"slices"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
)

// maxFull bounds how many blobs one Next finds waiting for a window before it gives up, so that its cost does not grow with
// the queue. Blobs that wait for something else leave the queue when they are looked at.
const maxFull = 64

// Scheduler holds the wanted blobs and the peers that are up. It is not safe for concurrent use.
type Scheduler struct {
	opts  Options
	blobs map[string]*blob
	peers map[id.Device]*peer
	seq   uint64
	// Every blob is in the place that its field says: ready and asleep in these heaps, active in this list, idle nowhere else.
	ready, asleep blobHeap
	active        []*blob
	// contenders is how many blobs may ask for something in the present pass of Next; they share the windows.
	contenders int
}

type peer struct {
	up bool
	// asked is how many bytes are under way, over all blobs.
	asked int64
}

// New returns a scheduler that wants nothing and knows no peer.
func New(opts Options) *Scheduler {
	return &Scheduler{
		opts:   opts.withDefaults(),
		blobs:  make(map[string]*blob),
		peers:  make(map[id.Device]*peer),
		ready:  blobHeap{less: func(a, b *blob) bool { return a.compare(b) < 0 }},
		asleep: blobHeap{less: func(a, b *blob) bool { return a.wake.Before(b.wake) }},
	}
}

// Deadline returns when Next is worth calling although nothing has happened, or false when only an event can help.
func (s *Scheduler) Deadline() (time.Time, bool) {
	var first time.Time
	if s.asleep.Len() > 0 {
		first = s.asleep.first().wake
	}
	for _, b := range s.active {
		if !b.wake.IsZero() && (first.IsZero() || b.wake.Before(first)) {
			first = b.wake
		}
	}
	return first, !first.IsZero()
}

// Next returns what to do now; called again at once it returns nothing more.
func (s *Scheduler) Next(now time.Time) []Action {
	for s.asleep.Len() > 0 && !s.asleep.first().wake.After(now) {
		s.move(s.asleep.first(), ready)
	}
	var actions []Action
	for {
		before := len(actions)
		s.contenders = len(s.active) + s.ready.Len()
		actions = s.askActive(now, actions)
		actions = s.askReady(now, actions)
		// A blob that left the queue leaves its share of the windows to the others.
		if len(actions) == before && s.contenders == len(s.active)+s.ready.Len() {
			return actions
		}
	}
}

func (s *Scheduler) askActive(now time.Time, actions []Action) []Action {
	slices.SortFunc(s.active, (*blob).compare)
	for _, b := range s.active {
		actions, _ = s.ask(now, b, actions)
	}
	return actions
}

// askReady lets blobs become active while there is room for them.
func (s *Scheduler) askReady(now time.Time, actions []Action) []Action {
	var full []*blob
	for len(s.active) < s.opts.Parallel && s.ready.Len() > 0 && len(full) < maxFull {
		b := s.ready.take()
		b.place = idle
		var room bool
		actions, room = s.ask(now, b, actions)
		switch {
		case b.underWay():
			s.move(b, active)
		case !room:
			full = append(full, b)
		case !b.wake.IsZero():
			s.move(b, asleep)
		}
	}
	for _, b := range full {
		s.move(b, ready)
	}
	return actions
}

// ask appends what can be asked for a blob now. room is false when a peer could be asked but for its window.
func (s *Scheduler) ask(now time.Time, b *blob, actions []Action) (_ []Action, room bool) {
	b.wake = time.Time{}
	switch {
	case b.cancelled:
		return actions, true
	case b.resume.After(now):
		b.wake = b.resume
		return actions, true
	case !b.located:
		return s.askRecipe(now, b, actions)
	case b.left == 0:
		if !b.underWay() {
			b.finishing = true
			actions = append(actions, Finish{b.ref})
		}
		return actions, true
	}
	for {
		i, found := b.nextPiece()
		if !found {
			return actions, true
		}
		size := b.pieces[i].size
		device, src, room := s.pick(now, b, size)
		if src == nil {
			return actions, room
		}
		b.pieces[i].state = asked
		b.asked++
		src.asked += size
		s.peers[device].asked += size
		actions = append(actions, GetPiece{Ref: b.ref, Peer: device, Piece: i})
	}
}

func (s *Scheduler) askRecipe(now time.Time, b *blob, actions []Action) ([]Action, bool) {
	if b.locating {
		return actions, true
	}
	device, src, room := s.pick(now, b, 0)
	if src == nil {
		return actions, room
	}
	b.locating = true
	return append(actions, GetRecipe{Ref: b.ref, Peer: device}), true
}

// pick chooses the peer for a request of the given size: the most likely to have the blob, then the least busy with it.
// Peers of which nothing is known are asked only when no better one is up and willing. Without a choice it notes in b.wake
// when a peer may be asked again, and room is false when only windows were in the way.
func (s *Scheduler) pick(now time.Time, b *blob, size int64) (best id.Device, chosen *source, room bool) {
	room = true
	least := unknown
	for device, p := range s.peers {
		src := b.sources[device]
		if src == nil {
			src = &source{rank: unknown}
		}
		switch {
		case !p.up || src.banned || !b.remembers(device):
			continue
		case src.retry.After(now):
			if b.wake.IsZero() || src.retry.Before(b.wake) {
				b.wake = src.retry
			}
			continue
		}
		if src.rank < least {
			least = src.rank
			if chosen != nil && chosen.rank == unknown && least < unknown {
				chosen = nil
			}
		}
		if src.rank == unknown && least < unknown {
			continue
		}
		if !s.fits(p, src, size) {
			room = false
			continue
		}
		if chosen == nil || better(src, device, chosen, best) {
			best, chosen = device, src
		}
	}
	if chosen != nil {
		chosen = b.source(best)
	}
	return best, chosen, room
}

func better(a *source, aDevice id.Device, b *source, bDevice id.Device) bool {
	if a.rank != b.rank {
		return a.rank < b.rank
	}
	if a.asked != b.asked {
		return a.asked < b.asked
	}
	return bytes.Compare(aDevice[:], bDevice[:]) < 0
}

// fits reports whether a request of the given size is within the peer's window and within the blob's share of it.
func (s *Scheduler) fits(p *peer, src *source, size int64) bool {
	share := s.opts.Window / int64(min(s.opts.Parallel, s.contenders))
	return (p.asked == 0 || p.asked+size <= s.opts.Window) && (src.asked == 0 || src.asked+size <= share)
}

// move takes a blob from the place where it is to another.
func (s *Scheduler) move(b *blob, to place) {
	switch b.place {
	case ready:
		s.ready.remove(b)
	case asleep:
		s.asleep.remove(b)
	case active:
		s.active = slices.DeleteFunc(s.active, func(a *blob) bool { return a == b })
	}
	b.place = to
	switch to {
	case ready:
		s.ready.add(b)
	case asleep:
		s.asleep.add(b)
	case active:
		s.active = append(s.active, b)
	}
}
