package delta

import "github.com/syncbase/syncbase/host/internal/id"

// ScopeVector is what somebody knows of one scope.
type ScopeVector struct {
	Scope  id.Scope
	Vector id.Vector
}

// Open begins a pull: the initiator names what it wants and what it knows.
type Open struct {
	Database id.Name
	// Syncgroups whose scopes are wanted.
	Syncgroups []id.Name
	// Known has one entry for each wanted scope.
	Known []ScopeVector
	// Window is how many bytes of commits the responder may send beyond what the initiator has given credit for.
	Window uint64
	// Self is the initiator as a writer in this database: its own records are not sent back to it.
	Self id.Writer
	// Probe asks only for what the responder knows: Accepted and one Progress.
	Probe bool
	// Witnesses are of records that the initiator holds of the responder.
	Witnesses []Witness
	// Holding are those of the wanted scopes in which the initiator has something, and so needs an inventory if it was away.
	Holding []id.Scope
	// Forgotten says that of the other wanted scopes the initiator takes a bare inventory.
	Forgotten bool
}

// Message is what a responder sends. Exactly one field is set, but for Inside, Witnesses and Left.
type Message struct {
	// Accepted lists the scopes that will be sent; it is the first message.
	Accepted []id.Scope
	// Inside goes with Accepted: scopes within those, of which the responder knows more than of the whole. Whoever keeps
	// knowledge of them, too, can be sent what it knows of them.
	Inside []id.Scope
	// Witnesses go with Accepted: they are of records that the responder holds of the initiator.
	Witnesses []Witness
	// Inventory comes before any commits.
	Inventory *Inventory
	// Commits are encoded commits (package wire) in the order in which the responder learned them.
	Commits [][]byte
	// Progress says that everything the responder knows of these scopes up to these vectors has been sent.
	Progress []ScopeVector
	// Left goes with Accepted, with Progress, or alone: about how many records are still to be sent. It is for people, and nothing
	// follows from it.
	Left uint64
}

// SaysLeft reports whether the message says how much is left, if only that nothing is.
func (m *Message) SaysLeft() bool { return m.Accepted != nil || m.Progress != nil || m.Left > 0 }
