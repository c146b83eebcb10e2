package sched

import (
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
)

// Handle takes note of an event. Events about blobs that are not wanted, and answers to what was not asked, change nothing.
func (s *Scheduler) Handle(now time.Time, event Event) {
	switch e := event.(type) {
	case Want:
		s.want(e)
	case PeerUp:
		s.peerUp(e.Peer)
	case PeerDown:
		if p := s.peers[e.Peer]; p != nil {
			p.up = false
			s.forget(e.Peer, p)
		}
	case Hint:
		s.onBlob(e.Ref, func(b *blob) {
			if e.Peer != s.opts.Self {
				b.hint(e.Peer)
			}
		})
	case Demand:
		s.onBlob(e.Ref, func(b *blob) { b.setDemand(e.Pieces) })
	case Cancel:
		s.onBlob(e.Ref, func(b *blob) { b.cancelled = true })
	case Located:
		s.onBlob(e.Ref, func(b *blob) { b.takeSizes(e) })
	case Got:
		s.answered(e.Ref, e.Peer, e.Piece, func(b *blob, src *source) {
			b.pieces[e.Piece].state = done
			b.left--
			src.proved()
		})
	case Failed:
		s.failed(now, e)
	case Finished:
		s.onBlob(e.Ref, func(b *blob) { b.finishing, b.cancelled = false, true })
	case Stuck:
		s.onBlob(e.Ref, func(b *blob) { s.stuck(now, b, e.Lost) })
	}
}

func (s *Scheduler) want(e Want) {
	b := s.blobs[e.Ref]
	if b == nil {
		s.seq++
		b = &blob{ref: e.Ref, seq: s.seq, priority: e.Priority, sources: make(map[id.Device]*source)}
		s.blobs[e.Ref] = b
	}
	b.cancelled = false
	b.priority = max(b.priority, e.Priority)
	for _, peer := range e.Hints {
		if peer != s.opts.Self {
			b.hint(peer)
		}
	}
	s.settle(b)
}

func (s *Scheduler) peerUp(device id.Device) {
	if device == s.opts.Self {
		return
	}
	p := s.peers[device]
	if p == nil {
		p = new(peer)
		s.peers[device] = p
	}
	p.up = true
	for _, b := range s.blobs {
		if src := b.sources[device]; src != nil {
			src.forgive()
		}
		s.settle(b)
	}
}

// onBlob changes a wanted blob and finds its new place.
func (s *Scheduler) onBlob(ref string, change func(*blob)) {
	if b := s.blobs[ref]; b != nil {
		change(b)
		s.settle(b)
	}
}

// settle puts a blob where it belongs after a change, or forgets it.
func (s *Scheduler) settle(b *blob) {
	switch {
	case b.underWay():
		if b.place != active {
			s.move(b, active)
		}
	case b.cancelled:
		s.move(b, idle)
		delete(s.blobs, b.ref)
	default:
		s.move(b, ready)
	}
}

// forget drops a peer that is of no more use.
func (s *Scheduler) forget(device id.Device, p *peer) {
	if !p.up && p.asked == 0 {
		delete(s.peers, device)
	}
}

// answered takes back a piece that was under way and lets note say what became of it.
func (s *Scheduler) answered(ref string, device id.Device, i int, note func(*blob, *source)) {
	s.onBlob(ref, func(b *blob) {
		if i < 0 || i >= len(b.pieces) || b.pieces[i].state != asked {
			return
		}
		size := b.pieces[i].size
		b.asked--
		b.again(i)
		src := b.source(device)
		src.asked = max(0, src.asked-size)
		if p := s.peers[device]; p != nil {
			p.asked = max(0, p.asked-size)
			s.forget(device, p)
		}
		note(b, src)
	})
}

func (s *Scheduler) failed(now time.Time, e Failed) {
	note := func(b *blob, src *source) {
		switch e.Cause {
		case Bad:
			src.banned = true
		case Local:
			s.stuck(now, b, nil)
		case Unreachable, NotHeld:
			if e.Cause == NotHeld {
				src.rank = unknown
			}
			src.retry = now.Add(s.opts.backoff(e.Cause, src.failures))
			src.failures++
		}
	}
	if e.Piece != NoPiece {
		s.answered(e.Ref, e.Peer, e.Piece, note)
		return
	}
	s.onBlob(e.Ref, func(b *blob) {
		if b.locating {
			b.locating = false
			note(b, b.source(e.Peer))
		}
	})
}

// stuck makes lost pieces to do again and lets the blob rest. Several failures during one rest count once.
func (s *Scheduler) stuck(now time.Time, b *blob, lost []int) {
	b.finishing = false
	for _, i := range lost {
		if i >= 0 && i < len(b.pieces) && b.pieces[i].state == done {
			b.again(i)
			b.left++
		}
	}
	if !b.resume.After(now) {
		b.resume = now.Add(s.opts.backoff(Local, b.stuck))
		b.stuck++
	}
}

func (b *blob) takeSizes(e Located) {
	b.locating = false
	if b.located {
		return
	}
	b.setSizes(e.Sizes)
	if e.Peer != (id.Device{}) {
		b.source(e.Peer).proved()
	}
}

func (b *blob) setDemand(pieces []int) {
	b.demand = b.demand[:0]
	for _, i := range pieces {
		if i >= 0 && i < len(b.pieces) {
			b.demand = append(b.demand, i)
		}
	}
}
