package perm

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// reference: sync-099 lists of patterns come out of a list's text as they went in, also an empty one.
func TestPatternsSurviveTheText(t *testing.T) {
	for _, in := range [][]Pattern{nil, {"d/owner"}, {"d/owner", "d/owner/device/a", "..."}, {"d/a-b", "d/owner/$"}} {
		list := List{Admin: {In: []Pattern{"d/admin"}}, Read: {In: in}}
		got, err := Parse(list.Marshal(), CollectionTags)
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if len(in) == 0 && len(got[Read].In) == 0 {
			continue
		}
		if diff := cmp.Diff(in, got[Read].In); diff != "" {
			t.Errorf("%q (-in +out):\n%s", in, diff)
		}
	}
}
