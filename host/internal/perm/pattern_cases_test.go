package perm

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// reference: sync-099 lists of patterns come out of a list's text as they went in, also an empty one.
func TestPatternsSurviveTheText(t *testing.T) {
	for _, in := range [][]Pattern{nil, {"d/owner"}, {"d/owner", "d/owner/device/a", "..."}, {"d/a-b", "d/owner/$"}} {
		list := List{Admin: {In: []Pattern{"d/admin"}}, Read: {In: in, NotIn: in}}
		got, err := Parse(list.Marshal(), CollectionTags)
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		for side, out := range map[string][]Pattern{"in": got[Read].In, "not in": got[Read].NotIn} {
			if diff := cmp.Diff(in, out, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s %q (-before +after):\n%s", side, in, diff)
			}
		}
		if again := got.Marshal(); string(again) != string(list.Marshal()) {
			t.Errorf("%q is written as %s, and then as %s", in, list.Marshal(), again)
		}
	}
}
