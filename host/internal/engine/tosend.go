package engine

import (
	"sync"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// Outlet is what leads to the initiator of a pull.
type Outlet interface {
	// Send sends a message.
	Send(delta.Message) error
	// Said yields what the initiator says meanwhile.
	Said() <-chan delta.Elsewhere
	// Underway returns how many bytes of the commits that were sent the initiator has not confirmed. Safe for concurrent use.
	Underway() int
}

// outlets are the pulls that are being answered, for those who ask how much is left.
//
// It belongs to one engine and is safe for concurrent use.
type outlets struct {
	// mu guards open.
	mu   sync.Mutex
	open map[*outgo]bool
}

func (o *outlets) enter(s *outgo) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open == nil {
		o.open = map[*outgo]bool{}
	}
	o.open[s] = true
}

func (o *outlets) leave(s *outgo) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.open, s)
}

// ToSend returns about how many records of a database the peer, which pulls them from this device, has not confirmed. Those that it
// may not have, or gets from others, may be among them, so it is an upper bound.
func (e *Engine) ToSend(p id.Principal, db *rows.DB) uint64 {
	var pulls []*outgo
	e.outlets.mu.Lock()
	for s := range e.outlets.open {
		if s.caller == p && s.db == db {
			pulls = append(pulls, s)
		}
	}
	e.outlets.mu.Unlock()
	var most uint64
	for _, s := range pulls {
		most = max(most, delta.AddRecords(s.unconfirmed(), s.yetToSend()))
	}
	return most
}

// outgo counts what an open pull has still to send, and what has not been confirmed of what it sent.
type outgo struct {
	db       *rows.DB
	caller   id.Principal
	self     id.Writer
	underway func() int

	// have is what the initiator knew in the beginning.
	have []delta.ScopeVector

	// mu guards the fields below it.
	mu sync.Mutex
	// know is what this device knew when the last round was counted; what it knows beyond that is for the next. Nil before the first.
	know *delta.Knowledge
	// left is what is left of that round.
	left uint64
	// parcels were sent, the oldest first, as far as they are not known to be confirmed; bytes are theirs together.
	parcels []parcel
	bytes   int
}

// parcel is a message that was sent, or several small ones.
type parcel struct{ bytes, records int }

// round: so much is left to be sent until the initiator has all that is known.
func (s *outgo) round(know *delta.Knowledge, left uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.know, s.left = know, left
}

// sending: a message of so many records is on its way out.
func (s *outgo) sending(records int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = max(s.left, uint64(records))
}

// sent: it is out.
func (s *outgo) sent(bytes, records int) {
	underway := s.underway()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left -= min(s.left, uint64(records))
	s.bytes += bytes
	if n := len(s.parcels); n > 0 && s.parcels[n-1].bytes+bytes <= sendBytes {
		s.parcels[n-1].bytes += bytes
		s.parcels[n-1].records += records
	} else {
		s.parcels = append(s.parcels, parcel{bytes, records})
	}
	s.confirm(underway)
}

// confirm drops parcels so that the others have no more bytes than are under way, at least in part; the caller holds mu.
func (s *outgo) confirm(underway int) {
	for len(s.parcels) > 0 && s.bytes-s.parcels[0].bytes >= underway {
		s.bytes -= s.parcels[0].bytes
		s.parcels = s.parcels[1:]
	}
}

// yetToSend returns how many records of all that is known are not sent.
func (s *outgo) yetToSend() uint64 {
	now := s.db.Published().Know
	s.mu.Lock()
	know, left := s.know, s.left
	s.mu.Unlock()
	return delta.AddRecords(left, s.beyond(know, now))
}

// unconfirmed returns how many were sent and are not confirmed.
func (s *outgo) unconfirmed() (sum uint64) {
	underway := s.underway()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.confirm(underway)
	for _, p := range s.parcels {
		sum += uint64(p.records)
	}
	return sum
}

// beyond returns how much more is known now.
func (s *outgo) beyond(know, now *delta.Knowledge) uint64 {
	if know == now {
		return 0
	}
	have := s.have
	if know != nil {
		have = mineOf(know, s.have)
	}
	return delta.Distance(have, mineOf(now, s.have), s.self)
}
