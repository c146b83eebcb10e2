package sched

import "github.com/syncbase/syncbase/host/internal/id"

// Event is something that happened.
type Event interface{ event() }

// NoPiece stands for the recipe where a piece is meant.
const NoPiece = -1

// Want asks for a blob. Asking again raises the priority and adds hints.
type Want struct {
	Ref string
	// Priority orders blobs; the greater is fetched first, equals in the order in which they were first wanted.
	Priority int
	// Hints are devices that are likely to have the blob.
	Hints []id.Device
}

// Hint says that a device is likely to have a wanted blob; it is tried at once, whatever it answered before.
type Hint struct {
	Ref  string
	Peer id.Device
}

// Demand asks for pieces of a wanted blob before the others, in this order. It replaces the demand before.
type Demand struct {
	Ref    string
	Pieces []int
}

// Cancel ends the wish for a blob. What is under way is still to be answered.
type Cancel struct{ Ref string }

// PeerUp says that a peer can be asked. All its past failures are forgiven, except wrong data.
type PeerUp struct{ Peer id.Device }

// PeerDown says that a peer can no longer be asked. What is under way is still to be answered.
type PeerDown struct{ Peer id.Device }

// Located gives the sizes of a blob's pieces. It answers GetRecipe, or follows Want, with a zero Peer, when the recipe is
// here already.
type Located struct {
	Ref   string
	Peer  id.Device
	Sizes []int64
}

// Got answers GetPiece: the piece is here.
type Got struct {
	Ref   string
	Peer  id.Device
	Piece int
}

// Failed answers GetPiece, or GetRecipe with NoPiece.
type Failed struct {
	Ref   string
	Peer  id.Device
	Piece int
	Cause Cause
}

// Finished answers Finish: the blob is whole, and forgotten here.
type Finished struct{ Ref string }

// Stuck answers Finish, or comes by itself: this device could not keep what it had got. The lost pieces are asked for again
// after a while.
type Stuck struct {
	Ref  string
	Lost []int
}

func (Want) event()     {}
func (Hint) event()     {}
func (Demand) event()   {}
func (Cancel) event()   {}
func (PeerUp) event()   {}
func (PeerDown) event() {}
func (Located) event()  {}
func (Got) event()      {}
func (Failed) event()   {}
func (Finished) event() {}
func (Stuck) event()    {}

// Cause is why a request failed.
type Cause int

const (
	// Unreachable is a peer that did not answer, or not to the end.
	Unreachable Cause = iota
	// NotHeld is a peer that does not have the blob or does not give it.
	NotHeld
	// Bad is a peer that sent something wrong. It is not asked for this blob again.
	Bad
	// Local is a failure of this device; the peer is not to blame.
	Local
	// Withdrawn is a request that this device gave up on purpose; nobody is to blame.
	Withdrawn
)

// String is for transcripts.
func (c Cause) String() string {
	return [...]string{"unreachable", "not-held", "bad", "local", "withdrawn"}[c]
}

// Action is something to do. GetRecipe, GetPiece and Finish must each be answered by exactly one event.
type Action interface{ action() }

// GetRecipe asks a peer for the recipe of a blob; Located or Failed answers.
type GetRecipe struct {
	Ref  string
	Peer id.Device
}

// GetPiece asks a peer for a piece; Got or Failed answers.
type GetPiece struct {
	Ref   string
	Peer  id.Device
	Piece int
}

// Finish says that all pieces are here; Finished or Stuck answers.
type Finish struct{ Ref string }

func (GetRecipe) action() {}
func (GetPiece) action()  {}
func (Finish) action()    {}
