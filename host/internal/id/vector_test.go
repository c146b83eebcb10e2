package id_test

import (
	"maps"
	"testing"

	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/id"
)

func w(n byte) id.Writer { return id.Writer{Device: id.Device{n}} }

// anyVector is small in every way, so that vectors often relate; entries of 0 occur.
var anyVector = rapid.Custom(func(t *rapid.T) id.Vector {
	return rapid.MapOfN(rapid.Map(rapid.ByteRange(1, 4), w), rapid.Uint64Range(0, 3), 0, 4).Draw(t, "entries")
})

// reference: sync-007
// How vectors relate, for 13 pairs and their mirror images. Unlike in the reference, an entry of 0 says no more than a
// missing one.
func TestVectorCompare(t *testing.T) {
	tests := map[string]struct {
		a, b id.Vector
		want id.Order
	}{
		"both nil":                  {nil, nil, id.Equal},
		"nil and empty":             {nil, id.Vector{}, id.Equal},
		"equal":                     {id.Vector{w(1): 1, w(2): 2}, id.Vector{w(1): 1, w(2): 2}, id.Equal},
		"one entry against empty":   {id.Vector{w(1): 1}, id.Vector{}, id.After},
		"one larger entry":          {id.Vector{w(1): 2, w(2): 2}, id.Vector{w(1): 1, w(2): 2}, id.After},
		"all larger":                {id.Vector{w(1): 2, w(2): 3}, id.Vector{w(1): 1, w(2): 2}, id.After},
		"superset":                  {id.Vector{w(1): 1, w(2): 2}, id.Vector{w(1): 1}, id.After},
		"larger superset":           {id.Vector{w(1): 2, w(2): 2}, id.Vector{w(1): 1}, id.After},
		"superset by an entry of 0": {id.Vector{w(1): 1, w(2): 0}, id.Vector{w(1): 1}, id.Equal},
		"only an entry of 0":        {id.Vector{w(1): 0}, nil, id.Equal},
		"each larger somewhere":     {id.Vector{w(1): 2, w(2): 1}, id.Vector{w(1): 1, w(2): 2}, id.Concurrent},
		"disjoint":                  {id.Vector{w(1): 1}, id.Vector{w(2): 1}, id.Concurrent},
		"larger against superset":   {id.Vector{w(1): 2}, id.Vector{w(1): 1, w(2): 1}, id.Concurrent},
	}
	mirror := map[id.Order]id.Order{id.Equal: id.Equal, id.After: id.Before, id.Before: id.After, id.Concurrent: id.Concurrent}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := test.a.Compare(test.b); got != test.want {
				t.Errorf("%s and %s: %d, want %d", test.a, test.b, got, test.want)
			}
			if got := test.b.Compare(test.a); got != mirror[test.want] {
				t.Errorf("%s and %s: %d, want %d", test.b, test.a, got, mirror[test.want])
			}
		})
	}
}

func TestVectorLaws(t *testing.T) {
	merged := func(x id.Vector, ys ...id.Vector) id.Vector {
		x = x.Clone()
		for _, y := range ys {
			x.Merge(y)
		}
		return x
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := anyVector.Draw(t, "a"), anyVector.Draw(t, "b"), anyVector.Draw(t, "c")
		if merged(a, b).Compare(merged(b, a)) != id.Equal {
			t.Fatal("merging does not commute")
		}
		if merged(merged(a, b), c).Compare(merged(a, merged(b, c))) != id.Equal {
			t.Fatal("merging is not associative")
		}
		if merged(a, a).Compare(a) != id.Equal || !maps.Equal(merged(a, b, b), merged(a, b)) {
			t.Fatal("merging is not idempotent")
		}
		m := merged(a, b)
		if !m.Dominates(a) || !m.Dominates(b) {
			t.Fatal("a merged vector forgets")
		}
		if c.Dominates(a) && c.Dominates(b) && !c.Dominates(m) {
			t.Fatal("a merged vector is not the least one")
		}
		over, under := a.Dominates(b), b.Dominates(a)
		want := map[[2]bool]id.Order{{true, true}: id.Equal, {true, false}: id.After, {false, true}: id.Before, {false, false}: id.Concurrent}
		if got := a.Compare(b); got != want[[2]bool{over, under}] {
			t.Fatalf("compare says %d, dominates %v and %v", got, over, under)
		}
	})
}

func TestVectorAddAndCovers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := anyVector.Draw(t, "x")
		v := id.Version{Writer: w(rapid.ByteRange(1, 5).Draw(t, "writer")), Gen: rapid.Uint64Range(1, 5).Draw(t, "gen")}
		before, covered := x.Clone(), x.Covers(v)
		x.Add(v)
		if !x.Covers(v) || !x.Dominates(before) {
			t.Fatalf("%s with %s is %s", before, v, x)
		}
		if covered != maps.Equal(before, x) {
			t.Fatalf("%s covers %s: %v, but adding it made %s", before, v, covered, x)
		}
		if x.Covers(id.Version{Writer: v.Writer, Gen: x[v.Writer] + 1}) {
			t.Fatalf("%s covers what comes next", x)
		}
	})
}

func TestVectorCloneAndString(t *testing.T) {
	if x := id.Vector(nil).Clone(); x == nil {
		t.Error("the clone of nil cannot be written to")
	}
	x := id.Vector{w(2): 5, w(1): 7}
	c := x.Clone()
	c[w(1)] = 9
	if got, want := x.String(), "{0100000000000000.0:7 0200000000000000.0:5}"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
