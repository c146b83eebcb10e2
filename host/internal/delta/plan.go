package delta

import (
	"maps"
	"slices"

	"github.com/syncbase/syncbase/host/internal/id"
)

// Request returns what to send to a peer in order to get what is missing of the scopes.
func Request(k *Knowledge, scopes []id.Scope) []ScopeVector {
	list := make([]ScopeVector, 0, len(scopes))
	for _, s := range scopes {
		list = append(list, ScopeVector{Scope: s, Vector: k.At(s)})
	}
	return list
}

// Range is a run of generations of one writer in one collection's log: From exclusive, To inclusive.
type Range struct {
	Collection id.Collection
	Writer     id.Writer
	From, To   uint64
}

// Plan is what a responder still has to send: for each scope of the session what the initiator holds (or has been sent)
// and what the responder holds. Sending in the order of generations within each Range makes every prefix of the stream
// safe to take note of, record by record, at the scope that Innermost names.
type Plan struct {
	// self is the initiator, whose own records are not sent back to it.
	self   id.Writer
	scopes []planScope
}

type planScope struct {
	scope    id.Scope
	have     id.Vector
	upTo     id.Vector
	advanced bool
}

// NewPlan starts from what the initiator, which is the writer self, says it knows.
func NewPlan(self id.Writer, known []ScopeVector) *Plan {
	p := &Plan{self: self}
	for _, sv := range known {
		p.scopes = append(p.scopes, planScope{scope: sv.Scope, have: sv.Vector.Clone()})
	}
	return p
}

// Update compares with what the responder holds now and returns the runs of its log to go through, few and in order;
// none means that there is nothing to send. Records in a run are to be filtered by Wants.
func (p *Plan) Update(k *Knowledge) []Range {
	type at struct {
		c id.Collection
		w id.Writer
	}
	runs := map[at]Range{}
	for i := range p.scopes {
		s := &p.scopes[i]
		s.upTo = k.At(s.scope)
		s.advanced = false
		for w, to := range s.upTo {
			from := s.have[w]
			if to <= from {
				continue
			}
			s.advanced = true
			if w == p.self {
				continue
			}
			key := at{s.scope.Collection, w}
			run, found := runs[key]
			if !found {
				run = Range{Collection: key.c, Writer: w, From: from, To: to}
			}
			run.From, run.To = min(run.From, from), max(run.To, to)
			runs[key] = run
		}
	}
	return slices.SortedFunc(maps.Values(runs), func(a, b Range) int {
		if c := a.Collection.Compare(b.Collection); c != 0 {
			return c
		}
		return a.Writer.Compare(b.Writer)
	})
}

// Wants reports whether the initiator lacks this record of a run that Update returned: some scope of the session that
// has the row is behind, and none knows the record already.
func (p *Plan) Wants(c id.Collection, key string, v id.Version) bool {
	if v.Writer == p.self {
		return false
	}
	wanted := false
	for i := range p.scopes {
		s := &p.scopes[i]
		if !s.scope.Has(c, key) {
			continue
		}
		if s.have[v.Writer] >= v.Gen {
			return false
		}
		wanted = wanted || v.Gen <= s.upTo[v.Writer]
	}
	return wanted
}

// Behind reports whether the initiator does not know all of the vector in some scope of the collection, and whether in
// some it knows nothing but what it wrote.
func (p *Plan) Behind(c id.Collection, v id.Vector) (behind, newcomer bool) {
	for i := range p.scopes {
		s := &p.scopes[i]
		if s.scope.Collection != c {
			continue
		}
		behind = behind || !s.have.Dominates(v)
		_, own := s.have[p.self]
		newcomer = newcomer || len(s.have) == 0 || own && len(s.have) == 1
	}
	return behind, newcomer
}

// Collections returns the collections of the session.
func (p *Plan) Collections() []id.Collection {
	var list []id.Collection
	for i := range p.scopes {
		if c := p.scopes[i].scope.Collection; !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	return list
}

// Had returns what the initiator holds, or has been sent, of each scope of the collection, and whether there is any. The result is the
// caller's.
func (p *Plan) Had(c id.Collection) (least id.Vector, found bool) {
	for i := range p.scopes {
		s := &p.scopes[i]
		switch {
		case s.scope.Collection != c:
		case found:
			least = Least(least, s.have)
		default:
			least, found = s.have.Clone(), true
		}
	}
	return least, found
}

// Held returns what the responder held of every scope at the last Update.
func (p *Plan) Held() []ScopeVector {
	list := make([]ScopeVector, 0, len(p.scopes))
	for i := range p.scopes {
		list = append(list, ScopeVector{Scope: p.scopes[i].scope, Vector: p.scopes[i].upTo})
	}
	return list
}

// Sent notes that all runs of the last Update have been sent and returns the progress to tell the initiator: the
// vectors of the scopes that moved.
func (p *Plan) Sent() []ScopeVector {
	var list []ScopeVector
	for i := range p.scopes {
		s := &p.scopes[i]
		if !s.advanced {
			continue
		}
		s.have.Merge(s.upTo)
		s.advanced = false
		list = append(list, ScopeVector{Scope: s.scope, Vector: s.upTo})
	}
	return list
}
