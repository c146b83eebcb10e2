package perm

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// reference: sync-099 lists of patterns, as many as a list may have, come out of a list's text as they went in and in their order,
// whatever characters they are made of; of an empty one nothing is in the text.
func TestPatternsSurviveTheText(t *testing.T) {
	segment := rapid.StringMatching(`[a-z0-9._-]{0,5}[a-z0-9_-][a-z0-9._-]{0,5}`)
	pattern := rapid.Custom(func(t *rapid.T) Pattern {
		text := strings.Join(rapid.SliceOfN(segment, 1, 4).Draw(t, "segments"), "/")
		return rapid.SampledFrom([]Pattern{Everyone, Pattern(text), Pattern(text + "/device/Phone-1"), Pattern(text + exact)}).Draw(t, "pattern")
	})
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(pattern, 0, 6).Draw(t, "in")
		out := rapid.SliceOfN(pattern, 0, 6).Draw(t, "out")
		if rapid.IntRange(0, 9).Draw(t, "full") == 0 {
			in = rapid.SliceOfN(pattern, MaxPatterns-len(out), MaxPatterns-len(out)).Draw(t, "all")
		}
		list := List{Admin: {In: []Pattern{"d/admin"}}, Read: {In: in, NotIn: out}}
		text := list.Marshal()
		got, err := Parse(text, CollectionTags)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if !slices.Equal(got[Read].In, in) || !slices.Equal(got[Read].NotIn, out) {
			t.Errorf("%q and %q come back as %+v", in, out, got[Read])
		}
		_, read, _ := strings.Cut(string(text), `"Read":`)
		if len(in) == 0 && strings.Contains(read, `"in"`) || len(out) == 0 && strings.Contains(read, `"not_in"`) {
			t.Errorf("an empty list of patterns is in the text %s", text)
		}
	})
}
