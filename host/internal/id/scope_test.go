package id_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/id"
)

var (
	collC = id.Collection{Name: id.Name{Owner: "d/a", Local: "c"}}
	collG = id.Collection{Kind: id.Syncgroup, Name: collC.Name}
)

func TestScopeHas(t *testing.T) {
	tests := []struct {
		prefix string
		c      id.Collection
		key    string
		want   bool
	}{
		{"", collC, "k", true},
		{"", collC, "", true},
		{"a/", collC, "a/1", true},
		{"a/", collC, "a/", true},
		{"a/", collC, "a", false},
		{"a/", collC, "b/1", false},
		{"a/", collC, "", true}, // the collection's own record lies in every scope
		{"a/", collG, "a/1", false},
		{"a/", collG, "", false},
	}
	for _, test := range tests {
		s := id.Scope{Collection: collC, Prefix: test.prefix}
		if got := s.Has(test.c, test.key); got != test.want {
			t.Errorf("%s has %q of %s: %v", s, test.key, test.c, got)
		}
	}
}

// A scope covers another one exactly if it has all that the other has, and covering is an order.
func TestScopeCovers(t *testing.T) {
	scope := rapid.Custom(func(t *rapid.T) id.Scope {
		return id.Scope{
			Collection: rapid.SampledFrom([]id.Collection{collC, collG}).Draw(t, "c"),
			Prefix:     rapid.StringMatching(`[ab]{0,3}`).Draw(t, "prefix"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := scope.Draw(t, "a"), scope.Draw(t, "b"), scope.Draw(t, "c")
		key := rapid.StringMatching(`[ab]{0,5}`).Draw(t, "key")
		if a.Covers(b) && b.Has(b.Collection, key) && !a.Has(b.Collection, key) {
			t.Fatalf("%s covers %s but has not %q", a, b, key)
		}
		if !a.Covers(b) && b.Prefix != "" && a.Has(b.Collection, b.Prefix) {
			t.Fatalf("%s has the beginning of %s but does not cover it", a, b)
		}
		if !a.Covers(a) || a.Covers(b) && b.Covers(a) && a != b || a.Covers(b) && b.Covers(c) && !a.Covers(c) {
			t.Fatal("covering is not an order")
		}
		if (a.Compare(b) == 0) != (a == b) || a.Compare(b) != -b.Compare(a) {
			t.Fatalf("%s and %s compare %d and %d", a, b, a.Compare(b), b.Compare(a))
		}
	})
}

func TestScopeValidate(t *testing.T) {
	for _, s := range []id.Scope{{Collection: collC}, {Collection: collG, Prefix: "a/"}} {
		if err := s.Validate(); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	refused := []id.Scope{
		{}, {Collection: id.Collection{Kind: 2, Name: collC.Name}}, {Collection: id.Collection{Name: id.Name{Owner: "d"}}},
		{Collection: collC, Prefix: "\x00"}, {Collection: collC, Prefix: strings.Repeat("p", id.MaxKeyLen+1)},
	}
	for _, s := range refused {
		if err := s.Validate(); !errors.Is(err, id.ErrInvalid) {
			t.Errorf("%.60s: %v", s, err)
		}
	}
}

func TestScopeString(t *testing.T) {
	tests := map[string]id.Scope{
		"d/a:c":               {Collection: collC},
		"d/a:c[p]":            {Collection: collC, Prefix: "p"},
		"syncgroup d/a:c[p/]": {Collection: collG, Prefix: "p/"},
	}
	for want, s := range tests {
		if got := s.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
