// Package delta is the arithmetic of what a device knows and what another one lacks.
//
// Knowledge is kept per scope (a collection, optionally narrowed to a key prefix): a generation vector V at scope S says
// that every record of writer w up to V[w] whose row lies in S is held, or something that follows from it. Scopes may
// nest; what is known at a scope holds for everything inside it.
//
// The package is a pure core: no I/O, no goroutine, no clock. Read Knowledge, Request and Plan.
package delta

import (
	"maps"
	"slices"

	"github.com/syncbase/syncbase/host/internal/id"
)

// Knowledge is what a device holds of one database. It is not safe for concurrent use.
type Knowledge struct {
	own    id.Version
	scopes map[id.Scope]id.Vector
}

// NewKnowledge returns the knowledge of a writer that has made its own generations up to own.Gen. What a device made
// itself it holds, whatever the scope.
func NewKnowledge(own id.Version) *Knowledge {
	return &Knowledge{own: own, scopes: map[id.Scope]id.Vector{}}
}

// Own returns the newest own version.
func (k *Knowledge) Own() id.Version { return k.own }

// SetOwn notes that the device has made generations up to gen.
func (k *Knowledge) SetOwn(gen uint64) { k.own.Gen = max(k.own.Gen, gen) }

// Track begins to keep knowledge of a scope; it does nothing if the scope is tracked.
func (k *Knowledge) Track(s id.Scope) {
	if k.scopes[s] == nil {
		k.scopes[s] = id.Vector{}
	}
}

// Forget stops keeping knowledge of a scope.
func (k *Knowledge) Forget(s id.Scope) { delete(k.scopes, s) }

// Tracks reports whether knowledge is kept of exactly this scope.
func (k *Knowledge) Tracks(s id.Scope) bool { return k.scopes[s] != nil }

// Scopes returns the tracked scopes in order.
func (k *Knowledge) Scopes() []id.Scope {
	return slices.SortedFunc(maps.Keys(k.scopes), id.Scope.Compare)
}

// Inside returns the tracked scopes that lie within the given ones without being one of them, in order.
func (k *Knowledge) Inside(scopes []id.Scope) []id.Scope {
	return slices.DeleteFunc(k.Scopes(), func(t id.Scope) bool {
		within := func(s id.Scope) bool { return s.Covers(t) }
		return slices.Contains(scopes, t) || !slices.ContainsFunc(scopes, within)
	})
}

// Stored returns the vector kept for exactly this scope, to be persisted; it is not to be changed.
func (k *Knowledge) Stored(s id.Scope) id.Vector { return k.scopes[s] }

// At returns everything that is known of a scope: what is kept for it and for the scopes that cover it, and the device's
// own generations. The result is the caller's.
func (k *Knowledge) At(s id.Scope) id.Vector {
	v := id.Vector{}
	for t, known := range k.scopes {
		if t.Covers(s) {
			v.Merge(known)
		}
	}
	if k.own.Gen > 0 {
		v.Add(k.own)
	}
	return v
}

// Holds reports whether the version of a row is known: by any scope that has the row.
func (k *Knowledge) Holds(c id.Collection, key string, v id.Version) bool {
	if v.Writer == k.own.Writer {
		return v.Gen <= k.own.Gen
	}
	for s, known := range k.scopes {
		if known.Covers(v) && s.Has(c, key) {
			return true
		}
	}
	return false
}

// Advance raises what is known of a tracked scope and reports whether that changed anything. The device's own entry is
// never kept: it is what the device made.
func (k *Knowledge) Advance(s id.Scope, v id.Vector) bool {
	known, changed := k.scopes[s], false
	if known == nil {
		return false
	}
	for w, g := range v {
		if w != k.own.Writer && known[w] < g {
			known[w], changed = g, true
		}
	}
	return changed
}

// Add is Advance by one version.
func (k *Knowledge) Add(s id.Scope, v id.Version) bool {
	known := k.scopes[s]
	if known == nil || v.Writer == k.own.Writer || known[v.Writer] >= v.Gen {
		return false
	}
	known[v.Writer] = v.Gen
	return true
}

// Innermost returns the one scope of a session at which the initiator may take note of a record as soon as it has it: the
// narrowest that has the row. A wider one, of which the responder may know less, has to wait for the responder to report
// progress. So does a collection's own record that lies in several scopes, for which there is none.
func Innermost(scopes []id.Scope, c id.Collection, key string) (narrowest id.Scope, found bool) {
	for _, s := range scopes {
		switch {
		case !s.Has(c, key) || found && s == narrowest:
		case found && key == "":
			return id.Scope{}, false
		case !found || len(s.Prefix) > len(narrowest.Prefix):
			narrowest, found = s, true
		}
	}
	return narrowest, found
}

// Clone returns an independent copy.
func (k *Knowledge) Clone() *Knowledge {
	c := NewKnowledge(k.own)
	for s, v := range k.scopes {
		c.scopes[s] = v.Clone()
	}
	return c
}
