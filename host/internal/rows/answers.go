package rows

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
)

// ErrOutrun means that what a pull still has to send may lack deletes: the pull has to begin anew, with an inventory.
var ErrOutrun = errors.New("deletes were forgotten since the pull began")

// answers are the pulls of a database that are being answered. An inventory comes at the beginning of a pull alone. So as long as one
// lasts, no delete is forgotten here that was not sent on it, whatever was said of its initiator: that may be the word of a copy of that
// device, or of a later state that it was set back from.
type answers struct {
	// mu guards open, and what the initiators of its plans hold against Reclaim, which looks at it while the plans are used.
	mu   sync.Mutex
	open map[*delta.Plan]*answer
	// told counts the inventories by which this device itself learned of forgotten deletes. It grows before any of that shows.
	told atomic.Uint64
}

// answer is what was forgotten here when a pull began; its one goroutine uses it.
type answer struct {
	// told is answers.told.
	told      uint64
	forgotten map[id.Collection]id.Vector
}

// Answer begins to answer a pull, before its inventories are sent. The plan is to be used by one goroutine, and changed by Send and
// Learned alone, until it calls end.
func (db *DB) Answer(plan *delta.Plan) (end func()) {
	// A step of reclaiming looks at all pulls once, so none may begin during one.
	db.mu.Lock()
	defer db.mu.Unlock()
	begun := &answer{told: db.answers.told.Load(), forgotten: map[id.Collection]id.Vector{}}
	for _, c := range plan.Collections() {
		begun.forgotten[c] = nil
		if coll := db.colls[c]; coll != nil {
			begun.forgotten[c] = coll.dropped
		}
	}
	a := &db.answers
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open == nil {
		a.open = map[*delta.Plan]*answer{}
	}
	a.open[plan] = begun
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.open, plan)
	}
}

// Learned is delta.Plan.Learned for a plan that is being answered.
func (db *DB) Learned(plan *delta.Plan, known []delta.ScopeVector) {
	db.answers.mu.Lock()
	defer db.answers.mu.Unlock()
	plan.Learned(known)
}

// find returns the answer with the plan, nil if there is none.
func (a *answers) find(plan *delta.Plan) *answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.open[plan]
}

// sent notes that what the plan had to send was sent.
func (a *answers) sent(plan *delta.Plan) []delta.ScopeVector {
	a.mu.Lock()
	defer a.mu.Unlock()
	return plan.Sent()
}

// held returns what all initiators that pull a collection hold of it at least, and whether there are any.
func (a *answers) held(c id.Collection) (least id.Vector, pulled bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for plan := range a.open {
		had, has := plan.Had(c)
		switch {
		case has && pulled:
			least = delta.Least(least, had)
		case has:
			least, pulled = had, true
		}
	}
	return least, pulled
}

// outrun comes after something was read, and before it is sent or counts as sent. It returns ErrOutrun if this device was told, since the
// pull began, of deletes that others have forgotten and that the initiator does not know: what was read may lack them.
func (s *sender) outrun() error {
	if s.answer == nil {
		return nil
	}
	told := s.db.answers.told.Load()
	if told == s.answer.told {
		return nil
	}
	for c, before := range s.answer.forgotten {
		part, _ := s.db.forgotten(id.Scope{Collection: c})
		news := id.Vector{}
		for w, gen := range part.Dropped {
			if gen > before[w] {
				news[w] = gen
			}
		}
		if behind, _ := s.plan.Behind(c, news); behind {
			return fmt.Errorf("%w: of %s", ErrOutrun, c)
		}
		s.answer.forgotten[c] = part.Dropped
	}
	s.answer.told = told
	return nil
}
