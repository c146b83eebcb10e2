package perm

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func in(patterns ...Pattern) Access { return Access{In: patterns} }

// reference: sync-70 what either of two lists let in or kept out is merged tag by tag with what the other did, also where
// a tag is on one side only.
//
// reference: sync-71 what either removed is gone, whatever the other added.
//
// reference: sync-72 a tag that only keeps somebody out stays, one with nothing in it disappears.
//
// reference: sync-73 of two lists that have no known ancestor everything counts.
func TestMergeByTable(t *testing.T) {
	base := List{Admin: in("a"), Read: in("a", "b")}
	for name, c := range map[string]struct{ ancestor, preferred, other, want List }{
		"nothing changed":       {base, base, base, base},
		"one adds":              {base, List{Admin: in("a"), Read: in("a", "b", "c")}, base, List{Admin: in("a"), Read: in("a", "b", "c")}},
		"both add":              {base, List{Admin: in("a"), Read: in("a", "b", "c")}, List{Admin: in("a"), Read: in("d", "b", "a")}, List{Admin: in("a"), Read: in("a", "b", "c", "d")}},
		"one removes, one adds": {base, List{Admin: in("a"), Read: in("a")}, List{Admin: in("a"), Read: in("a", "b", "c")}, List{Admin: in("a"), Read: in("a", "c")}},
		"one removes a tag that the other extends": {
			base, List{Admin: in("a")}, List{Admin: in("a"), Read: in("a", "b", "c")}, List{Admin: in("a"), Read: in("c")},
		},
		"kept out by one, let in by the other": {
			base, List{Admin: in("a"), Read: Access{In: []Pattern{"a", "b"}, NotIn: []Pattern{"b/x"}}},
			List{Admin: in("a"), Read: in("a", "b", "c")},
			List{Admin: in("a"), Read: Access{In: []Pattern{"a", "b", "c"}, NotIn: []Pattern{"b/x"}}},
		},
		"each removes the other's admin": {
			List{Admin: in("a", "b")}, List{Admin: in("a")}, List{Admin: in("b")}, List{Admin: in("a")},
		},
		"both remove": {
			List{Admin: in("a"), Read: in("a", "b", "c")}, List{Admin: in("a"), Read: in("a", "c")}, List{Admin: in("a"), Read: in("a", "b")},
			List{Admin: in("a"), Read: in("a")},
		},
		"a tag on one side only": {
			List{Admin: in("a")}, List{Admin: in("a"), Write: in("x")}, List{Admin: in("a")}, List{Admin: in("a"), Write: in("x")},
		},
		"nobody is let in, somebody kept out": {
			List{Admin: in("a"), Read: Access{In: []Pattern{"b"}, NotIn: []Pattern{"b/x"}}},
			List{Admin: in("a"), Read: Access{NotIn: []Pattern{"b/x"}}}, List{Admin: in("a"), Read: Access{In: []Pattern{"b"}, NotIn: []Pattern{"b/x"}}},
			List{Admin: in("a"), Read: Access{NotIn: []Pattern{"b/x"}}},
		},
		"nothing is left of a tag": {
			List{Admin: in("a"), Read: in("b", "c")}, List{Admin: in("a"), Read: in("b")}, List{Admin: in("a"), Read: in("c")}, List{Admin: in("a")},
		},
		"no ancestor": {nil, List{Admin: in("a")}, List{Admin: in("b"), Read: in("c")}, List{Admin: in("a", "b"), Read: in("c")}},
	} {
		if diff := cmp.Diff(c.want, Merge(c.ancestor, c.preferred, c.other)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// reference: sync-74 sets are merged as what was there, less what either side removed, and what either added; also where
// one of them is empty.
func TestMergeSet(t *testing.T) {
	set := func(text string) (s []string) {
		for _, r := range text {
			s = append(s, string(r))
		}
		return s
	}
	for _, c := range []struct{ ancestor, one, other, want string }{
		{"abc", "abd", "bce", "bde"},
		{"abc", "", "abcd", "d"},
		{"abc", "cba", "", ""},
		{"", "ba", "cb", "abc"},
		{"ab", "ba", "ab", "ab"},
		{"", "", "", ""},
	} {
		if got := MergeSet(set(c.ancestor), set(c.one), set(c.other)); !slices.Equal(got, set(c.want)) {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func drawList(t *rapid.T, name string) List {
	access := rapid.Custom(func(t *rapid.T) Access {
		patterns := rapid.SliceOfNDistinct(rapid.SampledFrom([]Pattern{"a", "a/b", "a/b/$", "c", "c/d", Everyone}), 0, 4, rapid.ID)
		return Access{In: patterns.Draw(t, "in"), NotIn: patterns.Draw(t, "not in")}
	})
	return rapid.Custom(func(t *rapid.T) List {
		l := List{Admin: access.Draw(t, "admin"), Read: access.Draw(t, "read")}
		if l.Validate(SyncgroupTags) != nil {
			l[Admin] = in("a")
		}
		return l
	}).Draw(t, name)
}

// reference: sync-194 whatever two admins do to an access list at the same time, somebody can still administer it, and
// who was removed by one of them stays removed.
func TestMergeLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ancestor, one, other := drawList(t, "ancestor"), drawList(t, "one"), drawList(t, "other")
		merged := Merge(ancestor, one, other)
		if err := merged.Validate(SyncgroupTags); err != nil {
			t.Fatalf("merged %v of %v and %v: %v", merged, one, other, err)
		}
		if again := Merge(ancestor, one, other); !bytes.Equal(merged.Marshal(), again.Marshal()) {
			t.Fatalf("merged twice: %s and %s", merged.Marshal(), again.Marshal())
		}
		same := Merge(ancestor, one, one)
		for tag, a := range one {
			if diff := cmp.Diff(a.sorted(), same[tag]); diff != "" {
				t.Fatalf("%s of a list merged with itself (-list +merged):\n%s", tag, diff)
			}
		}
		for _, pat := range ancestor[Read].In {
			if kept := slices.Contains(one[Read].In, pat) && slices.Contains(other[Read].In, pat); kept != slices.Contains(merged[Read].In, pat) {
				t.Fatalf("%s in Read of %v, from %v and %v", pat, merged, one, other)
			}
		}
		if swapped := Merge(ancestor, other, one); cmp.Diff(merged[Read], swapped[Read]) != "" {
			t.Fatalf("Read depends on the order: %v and %v", merged, swapped)
		}
	})
}
