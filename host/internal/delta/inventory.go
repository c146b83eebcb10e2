package delta

import (
	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
)

// Inventory is a part of the keys of which a responder has a row or a tombstone in a scope. It is for an initiator that was
// away while tombstones were dropped: what the responder knew of and has no more was deleted, and nothing else tells.
type Inventory struct {
	Scope id.Scope
	// The part is about the keys of the scope from From on, to before To; an empty To is the end.
	From, To string
	// Keys are all there are in the part, in ascending order.
	Keys []string
	// Held is what the responder knew of the scope before it looked.
	Held id.Vector
	// Dropped are the deletes of which the responder has dropped tombstones, up to these generations, the latest made at
	// DroppedAt.
	Dropped   id.Vector
	DroppedAt hlc.Time
	// Bare says that it tells of the deletes alone: there are no keys, and From, To and Held are empty. It is for an initiator that
	// had nothing in the scope.
	Bare bool
}
