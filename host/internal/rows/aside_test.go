package rows

import (
	"fmt"
	"slices"
	"testing"
)

// Who wrote on top of a version did not know that it had won against another one: whichever a third device hears of first, the history
// has what lost, also after more was written and after opening again.
func TestHistoryHasWhatLostAgainstAnAncestor(t *testing.T) {
	for _, linkFirst := range []bool{false, true} {
		t.Run(fmt.Sprintf("link first: %v", linkFirst), func(t *testing.T) {
			a, b, c := newDevice(t, 1).create(), newDevice(t, 2).create(), newDevice(t, 3).create()
			for _, d := range []*device{b, c} {
				d.pull(a)
			}
			a.put("k", `"lost"`)
			b.now = a.now.Add(1)
			b.put("k", `"won"`)
			c.pull(b)
			c.put("k", `"on top"`)
			if got := a.pull(b); got.Conflicts != 1 {
				t.Fatalf("%d conflicts, want 1", got.Conflicts)
			}
			if linkFirst {
				a.pull(c)
			} else {
				c.pull(a)
				a.pull(c)
			}
			b.pull(a)
			c.pull(a)
			b.put("k", `"at last"`)
			a.pull(b)
			c.pull(b)
			for _, d := range []*device{a, b, c} {
				d.crash()
				_, nodes, err := d.db.History(notes, "k")
				if err != nil {
					t.Fatal(err)
				}
				var values []string
				for _, n := range nodes {
					values = append(values, string(n.Value))
				}
				if want := []string{`"at last"`, `"on top"`, `"won"`, `"lost"`}; !slices.Equal(values, want) {
					t.Errorf("%v shows %v, want %v", d.db.Writer(), values, want)
				}
				if won := nodes[len(nodes)-2]; len(won.Parents) != 1 || won.Parents[0] != nodes[len(nodes)-1].Version {
					t.Errorf("%v: what won has the parents %v, not what lost", d.db.Writer(), won.Parents)
				}
				d.sound()
			}
		})
	}
}
