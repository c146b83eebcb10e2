package sched

import (
	"cmp"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
)

// blob is a wanted blob.
type blob struct {
	ref      string
	priority int
	// seq is the order of arrival.
	seq       uint64
	cancelled bool

	located, locating, finishing bool
	pieces                       []piece
	// left counts the pieces that are not done, asked those under way.
	left, asked int
	// cursor is a lower bound for the first piece to do.
	cursor int
	// demand lists pieces to ask for first.
	demand []int

	sources map[id.Device]*source
	// stuck counts failures of this device; nothing is asked before resume.
	stuck  int
	resume time.Time

	place place
	// index is the position in the heap of ready or asleep.
	index int
	// wake is when it is worth looking again, zero when only an event can help.
	wake time.Time
}

// place is where the scheduler keeps a blob.
type place int

const (
	// idle blobs wait for an event.
	idle place = iota
	// asleep blobs wait for their wake time.
	asleep
	// ready blobs have something to ask for as soon as there is room.
	ready
	// active blobs have something under way.
	active
)

type piece struct {
	size  int64
	state pieceState
}

type pieceState uint8

const (
	todo pieceState = iota
	asked
	done
)

// maxSources bounds what is remembered about peers for one blob.
const maxSources = 256

// source is what is known of a peer with regard to a blob.
type source struct {
	rank     rank
	failures int
	retry    time.Time
	banned   bool
	// asked is how many bytes are under way.
	asked int64
}

// rank orders sources by how likely they have the blob; less is better.
type rank int

const (
	proven rank = iota
	hinted
	unknown
)

// remembers reports whether there is a record of the peer, or room for one.
func (b *blob) remembers(peer id.Device) bool {
	return b.sources[peer] != nil || len(b.sources) < maxSources
}

// source returns the record of a peer, which is forgotten again when there are too many.
func (b *blob) source(peer id.Device) *source {
	src := b.sources[peer]
	if src == nil {
		src = &source{rank: unknown}
		if len(b.sources) < maxSources {
			b.sources[peer] = src
		}
	}
	return src
}

func (b *blob) hint(peer id.Device) {
	src := b.source(peer)
	src.rank = min(src.rank, hinted)
	src.forgive()
}

func (s *source) forgive() {
	s.failures = 0
	s.retry = time.Time{}
}

func (s *source) proved() {
	s.rank = proven
	s.forgive()
}

func (b *blob) underWay() bool { return b.locating || b.finishing || b.asked > 0 }

func (b *blob) setSizes(sizes []int64) {
	b.located = true
	b.pieces = make([]piece, len(sizes))
	for i, n := range sizes {
		b.pieces[i].size = n
	}
	b.left = len(sizes)
}

// nextPiece returns the piece to ask for next, or false when none is to do.
func (b *blob) nextPiece() (int, bool) {
	for len(b.demand) > 0 {
		if i := b.demand[0]; b.pieces[i].state == todo {
			return i, true
		}
		b.demand = b.demand[1:]
	}
	for ; b.cursor < len(b.pieces); b.cursor++ {
		if b.pieces[b.cursor].state == todo {
			return b.cursor, true
		}
	}
	return 0, false
}

// again makes a piece one to do.
func (b *blob) again(i int) {
	b.pieces[i].state = todo
	b.cursor = min(b.cursor, i)
}

// compare puts the more urgent blob first.
func (b *blob) compare(o *blob) int {
	return cmp.Or(cmp.Compare(o.priority, b.priority), cmp.Compare(b.seq, o.seq))
}
