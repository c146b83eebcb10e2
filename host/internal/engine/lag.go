package engine

import (
	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// Lag returns about how many records of a database the peer said it holds and this device lacks: while it sends them as many as it
// says are left, and otherwise the generations between what both hold. Those of records outside the shared scopes count too, so it
// is an upper bound.
func (e *Engine) Lag(p id.Principal, db *rows.DB) uint64 {
	e.mu.Lock()
	said := map[run][]delta.ScopeVector{}
	for _, in := range []map[heldKey][]delta.ScopeVector{e.held, e.answered} {
		for key, held := range in {
			if key.peer == p && key.db == db.Name() {
				said[key.run] = append(said[key.run], held...)
			}
		}
	}
	var lag uint64
	for key, left := range e.left {
		if key.peer == p && key.db == db.Name() {
			lag = max(lag, left)
			delete(said, key.run)
		}
	}
	e.mu.Unlock()
	know := db.Published().Know
	for _, held := range said {
		lag = max(lag, delta.Distance(mineOf(know, held), held))
	}
	return lag
}

// mineOf returns what is known of the scopes of some vectors.
func mineOf(know *delta.Knowledge, of []delta.ScopeVector) []delta.ScopeVector {
	mine := make([]delta.ScopeVector, 0, len(of))
	for _, v := range of {
		mine = append(mine, delta.ScopeVector{Scope: v.Scope, Vector: know.At(v.Scope)})
	}
	return mine
}

// expect begins to remember what the peer answers; forget ends that.
func (e *Engine) expect(p Peer, db *rows.DB) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answered[heldKey{p.run(), db.Name()}] = nil
}

// noteAnswer remembers what a peer that is followed said it holds.
func (e *Engine) noteAnswer(p Peer, db *rows.DB, held []delta.ScopeVector) {
	e.mu.Lock()
	defer e.mu.Unlock()
	key := heldKey{p.run(), db.Name()}
	if before, followed := e.answered[key]; followed {
		e.answered[key] = replaced(before, held)
	}
}

// noteLeft remembers how much a peer has still to send.
func (e *Engine) noteLeft(p Peer, db *rows.DB, left uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if key := (heldKey{p.run(), db.Name()}); left > 0 {
		e.left[key] = left
	} else {
		delete(e.left, key)
	}
}

// hear takes down what a message leaves to be sent, after so many records that came with it. What is more than before counts at once,
// what is less when it is applied.
func (f *follower) hear(m *delta.Message, records int) {
	f.left -= min(f.left, uint64(records))
	if !m.SaysLeft() {
		return
	}
	f.accepted = true
	if m.Left > f.left {
		f.e.noteLeft(f.peer, f.db, m.Left)
	}
	f.left = m.Left
}

// nothingLeft: the peer is not asked for anything, or does not answer.
func (f *follower) nothingLeft() {
	f.left = 0
	f.e.noteLeft(f.peer, f.db, 0)
}
