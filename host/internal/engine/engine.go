// Package engine drives the exchange of records between this device and its peers: the initiator, which pulls what this
// device lacks, and the responder, which sends what others lack.
//
// It guarantees: records go only to members on the access list of a syncgroup, and only those of its scopes; what arrives
// is applied in bounded atomic steps that end on commit boundaries, and goes on from there after any interruption; a
// fault in one database or of one peer stops nothing else. It decides nothing itself: what to send is the arithmetic of
// package delta, what a record means is history and merge, how it lies on disk is rows.
//
// A pull stays open: after the responder has caught up it sends each further commit as soon as that is durable. Read
// Engine.Serve, Engine.Follow and session.
package engine

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/syncgroup"
)

// ErrHidden answers a pull that is not allowed and one for what does not exist, alike.
var ErrHidden = errors.New("no such database or syncgroup, or no access")

// ErrPaused answers whoever would be served if syncing of the database were not paused on this device. Serve wraps it in
// ErrHidden, and says it to nobody else.
var ErrPaused = rows.ErrPaused

// Peer is who a link leads to.
type Peer struct {
	Principal id.Principal
	Device    id.Device
	// Instance tells copies of one device that run at the same time apart.
	Instance [16]byte
	Name     string
	// HoldsBack: it understands, and is told, whose commits come from elsewhere.
	HoldsBack bool
	// Counting is how the sums are made that it is shown when holdings are compared.
	Counting delta.Counting
}

// Events are told what happens; any of them may be nil. They are called from the engine's goroutines and must not block
// for long.
type Events struct {
	// Received: a step from the peer was applied, or a part of it before an error.
	Received func(db *rows.DB, from Peer, got rows.Received)
	// SetAside: a rule of this device refused commits of the peer. Told once of each.
	SetAside func(db *rows.DB, from Peer, letters []rows.Letter)
	// Retried: commits that were set aside are no longer; RetryFailed: they could not be tried again.
	Retried     func(db *rows.DB, got rows.Retried)
	RetryFailed func(db *rows.DB, err error)
	// Rebased: this device was away so long that the peer had to tell which rows of the scope are gone.
	Rebased func(db *rows.DB, from Peer, scope id.Scope, got rows.Rebased)
	// Failed: a pull ended with an error and will be tried again.
	Failed func(db *rows.DB, from Peer, err error)
	// Renewed: this device has become another writer in the database, after the peer proved that it was set back.
	Renewed func(db *rows.DB, from Peer, proof error, done rows.Renewed)
	// Diverged: a comparison with the peer showed that both hold different things.
	Diverged func(db *rows.DB, from Peer, d Divergence)
}

// Engine exchanges records of all databases of a store. Safe for concurrent use.
type Engine struct {
	// Audit is the period of the safety net below open pulls: how often a follower asks a peer what it holds (less and less
	// often while nothing is lacking, down to an eighth), and opens the pull anew if it lacks the same since the last time. Set it before Follow; 0 means never.
	Audit time.Duration

	store      *rows.Store
	events     Events
	neighbours neighbours
	budget     *budget
	nudges     nudges
	firsts     firsts
	audience   audience
	outlets    outlets

	// mu guards the fields below it.
	mu sync.Mutex
	// held is what each connected peer last said it holds, answered what it said when it was asked on behalf of Level, and left about how
	// many records it last said it has still to send.
	held, answered map[heldKey][]delta.ScopeVector
	left           map[heldKey]uint64
	// faults are why nothing is taken from a peer, as long as that is so.
	faults map[heldKey]error
	// comparisons are what came of comparing.
	comparisons map[heldKey]Compared
}

// heldKey is one daemon and one database. Copies of a device that run at the same time are apart.
type heldKey struct {
	run
	db id.Name
}

// run tells apart the daemons that are pulled from.
type run struct {
	peer     id.Principal
	instance [16]byte
}

func (p Peer) run() run { return run{p.Principal, p.Instance} }

// New returns an engine; it starts nothing.
func New(store *rows.Store, events Events) *Engine {
	return &Engine{
		store: store, events: events, neighbours: neighbours{circles: map[*rows.DB]*circle{}}, budget: newBudget(budgetBytes),
		held: map[heldKey][]delta.ScopeVector{}, answered: map[heldKey][]delta.ScopeVector{}, left: map[heldKey]uint64{}, faults: map[heldKey]error{}, comparisons: map[heldKey]Compared{},
	}
}

// shared returns the syncgroups of the database that the peer is a member of too, and the scopes they have together, to
// be asked for. A syncgroup whose access list does not name this device any more is among them: whether it names it again
// only the others can tell.
func shared(db *rows.DB, p id.Principal) (names []id.Name, scopes []id.Scope, err error) {
	return common(db, p, func(g syncgroup.Group) []id.Scope {
		if g.State.Synchronises() || g.State == syncgroup.Removed {
			return g.Spec.Scopes(g.Name)
		}
		return nil
	})
}

// asked returns the syncgroups and scopes to ask the peer for: those that are shared, and the metadata alone where this device
// has left, which tells it whether anybody is there to come back to, and where one of the two was ejected. Which ejections count depends on all of them, and who is out may be the only one that has heard of some.
func asked(db *rows.DB, p id.Principal) (names []id.Name, scopes []id.Scope, err error) {
	groups, err := syncgroup.Known(db)
	if err != nil {
		return nil, nil, err
	}
	for _, g := range groups {
		mine, err := askedOf(db, g, p)
		if err != nil {
			return nil, nil, err
		}
		if len(mine) == 0 {
			continue
		}
		names = append(names, g.Name)
		for _, s := range mine {
			if !slices.Contains(scopes, s) {
				scopes = append(scopes, s)
			}
		}
	}
	return names, scopes, nil
}

func askedOf(db *rows.DB, g syncgroup.Group, p id.Principal) ([]id.Scope, error) {
	all := g.Spec.Scopes(g.Name)
	member, err := syncgroup.HasMember(db, g, p)
	switch {
	case err != nil:
		return nil, err
	case member && (g.State.Synchronises() || g.State == syncgroup.Removed):
		return all, nil
	case member && (g.State == syncgroup.Ejected || g.State == syncgroup.Left):
		return all[:1], nil
	case !member && (g.State == syncgroup.Active || g.State == syncgroup.Ejected):
		if reveals, err := syncgroup.Reveals(db, g, p); !reveals {
			return nil, err
		}
		return all[:1], nil
	}
	return nil, nil
}

// served returns what a member may be sent. Of syncgroups that this device left or was ejected from, or that were destroyed,
// that is the metadata alone, from which the others learn of it: nobody else may be left who knows. So do those who have left, too.
func served(db *rows.DB, p id.Principal) (names []id.Name, scopes []id.Scope, err error) {
	return common(db, p, func(g syncgroup.Group) []id.Scope {
		all := g.Spec.Scopes(g.Name)
		switch {
		case g.State.Synchronises():
			return all
		case g.State == syncgroup.Left || g.State == syncgroup.Ejected || g.State == syncgroup.Destroyed:
			return all[:1]
		}
		return nil
	})
}

func common(db *rows.DB, p id.Principal, of func(syncgroup.Group) []id.Scope) (names []id.Name, scopes []id.Scope, err error) {
	groups, err := syncgroup.Known(db)
	if err != nil {
		return nil, nil, err
	}
	for _, g := range groups {
		mine := of(g)
		if len(mine) == 0 {
			continue
		}
		may := syncgroup.HasMember
		if g.State == syncgroup.Left || g.State == syncgroup.Destroyed {
			may = syncgroup.MayHear
		}
		member, err := may(db, g, p)
		if err != nil {
			return nil, nil, err
		}
		if !member {
			continue
		}
		names = append(names, g.Name)
		for _, s := range mine {
			if !slices.Contains(scopes, s) {
				scopes = append(scopes, s)
			}
		}
	}
	return names, scopes, nil
}

// note remembers what a peer holds.
func (e *Engine) note(p Peer, db *rows.DB, vectors []delta.ScopeVector) {
	e.mu.Lock()
	defer e.mu.Unlock()
	key := heldKey{p.run(), db.Name()}
	e.held[key] = replaced(e.held[key], vectors)
}

// replaced returns what is known with other vectors for some scopes.
func replaced(known, by []delta.ScopeVector) []delta.ScopeVector {
	for _, v := range by {
		i := slices.IndexFunc(known, func(k delta.ScopeVector) bool { return k.Scope == v.Scope })
		if i < 0 {
			known = append(known, v)
		} else {
			known[i] = v
		}
	}
	return known
}

// heldBy returns what a peer last said it holds: nothing if it has not said anything.
func (e *Engine) heldBy(p Peer, db *rows.DB) []delta.ScopeVector {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.held[heldKey{p.run(), db.Name()}])
}

func (e *Engine) forget(p Peer, db *rows.DB) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.held, heldKey{p.run(), db.Name()})
	delete(e.answered, heldKey{p.run(), db.Name()})
	delete(e.left, heldKey{p.run(), db.Name()})
	delete(e.faults, heldKey{p.run(), db.Name()})
}

// blame remembers that what a peer sent was refused, until something of it is taken: err nil.
func (e *Engine) blame(p Peer, db *rows.DB, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err == nil {
		delete(e.faults, heldKey{p.run(), db.Name()})
	} else {
		e.faults[heldKey{p.run(), db.Name()}] = err
	}
}

// Fault returns why nothing of the database is taken from the peer, nil if nothing stands in the way.
func (e *Engine) Fault(p id.Principal, db *rows.DB) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for key, fault := range e.faults {
		if key.peer == p && key.db == db.Name() {
			return fault
		}
	}
	return nil
}

// withInside adds the scopes within the given ones of which this device keeps knowledge by themselves: a member of another
// syncgroup that shares a part of a collection writes there what nobody can put down to the whole.
func withInside(db *rows.DB, scopes []id.Scope) []id.Scope {
	return append(slices.Clone(scopes), db.Published().Know.Inside(scopes)...)
}

// Shares reports whether the principal and this device are members of a syncgroup of the database.
func (e *Engine) Shares(db *rows.DB, p id.Principal) (bool, error) {
	names, _, err := shared(db, p)
	return len(names) > 0, err
}
