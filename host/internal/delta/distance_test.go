package delta

import (
	"math"
	"testing"

	"github.com/syncbase/syncbase/host/internal/id"
)

func TestDistance(t *testing.T) {
	notes, tasks := id.Scope{Collection: id.Collection{Name: id.Name{Local: "notes"}}}, id.Scope{Collection: id.Collection{Name: id.Name{Local: "tasks"}}}
	a, b := id.Writer{Device: id.Device{1}}, id.Writer{Device: id.Device{2}}
	at := func(s id.Scope, v id.Vector) ScopeVector { return ScopeVector{Scope: s, Vector: v} }
	for _, c := range []struct {
		what     string
		from, to []ScopeVector
		leftOut  []id.Writer
		want     uint64
	}{
		{"nothing", nil, nil, nil, 0},
		{"all of it", nil, []ScopeVector{at(notes, id.Vector{a: 3, b: 4})}, nil, 7},
		{"some of it", []ScopeVector{at(notes, id.Vector{a: 1, b: 9})}, []ScopeVector{at(notes, id.Vector{a: 3, b: 4})}, nil, 2},
		{"another scope", []ScopeVector{at(tasks, id.Vector{a: 3})}, []ScopeVector{at(notes, id.Vector{a: 3})}, nil, 3},
		{"once, in however many scopes", nil, []ScopeVector{at(notes, id.Vector{a: 3}), at(tasks, id.Vector{a: 5})}, nil, 5},
		{"without one writer", nil, []ScopeVector{at(notes, id.Vector{a: 3, b: 4})}, []id.Writer{a}, 4},
		{"no more than is bearable", nil, []ScopeVector{at(notes, id.Vector{a: math.MaxUint64, b: math.MaxUint64})}, nil, MostRecords},
	} {
		if got := Distance(c.from, c.to, c.leftOut...); got != c.want {
			t.Errorf("%s: %d, want %d", c.what, got, c.want)
		}
	}
}
