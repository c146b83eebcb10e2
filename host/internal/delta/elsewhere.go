package delta

import "github.com/syncbase/syncbase/host/internal/id"

// Elsewhere is what an initiator says during a pull: whose commits it gets from others sooner, and what it knows of those writers
// by now. The responder holds them back for a while, in the hope that it need not send them. And what the initiator itself has,
// which the responder may lack.
type Elsewhere struct {
	// Writers replaces the list before; nil leaves it.
	Writers []id.Writer
	// Known has entries of these writers alone, at scopes of the pull.
	Known []ScopeVector
	// News are of any writers, at scopes of the pull.
	News []ScopeVector
}

// Then returns what it comes to when e was said and then later.
func (e Elsewhere) Then(later Elsewhere) Elsewhere {
	if later.Writers == nil {
		later.Writers = e.Writers
	}
	later.Known, later.News = union(later.Known, e.Known), union(later.News, e.News)
	return later
}

// union raises what is known to what was known before.
func union(known, before []ScopeVector) []ScopeVector {
	at := make(map[id.Scope]id.Vector, len(known))
	for _, k := range known {
		at[k.Scope] = k.Vector
	}
	for _, k := range before {
		if v, found := at[k.Scope]; found {
			v.Merge(k.Vector)
		} else {
			known = append(known, k)
		}
	}
	return known
}

// Learned notes that the initiator knows more than it was sent. Scopes that are not of the session do not count, nor do writers
// of whom the responder held nothing in a scope as of the last Update: so what is kept is bounded by what it holds.
func (p *Plan) Learned(known []ScopeVector) {
	at := make(map[id.Scope]id.Vector, len(known))
	for _, k := range known {
		at[k.Scope] = k.Vector
	}
	for i := range p.scopes {
		s := &p.scopes[i]
		for w, gen := range at[s.scope] {
			if s.upTo[w] > 0 {
				s.have.Add(id.Version{Writer: w, Gen: gen})
			}
		}
	}
}

// Lacks reports whether, as of the last Update, the initiator lacks anything of a writer of whom the test is true. What it wrote
// itself it does not lack.
func (p *Plan) Lacks(of func(id.Writer) bool) bool {
	for i := range p.scopes {
		s := &p.scopes[i]
		for w, to := range s.upTo {
			if w != p.self && s.have[w] < to && of(w) {
				return true
			}
		}
	}
	return false
}

// Has reports whether the initiator knows all of what Held returned once, but for what it wrote itself.
func (p *Plan) Has(held []ScopeVector) bool {
	for i := range held {
		s := &p.scopes[i]
		for w, to := range held[i].Vector {
			if w != p.self && s.have[w] < to {
				return false
			}
		}
	}
	return true
}
