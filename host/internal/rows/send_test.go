package rows

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/id"
)

// Commits of several writers are sent in the order in which the sender learned them, so whoever is cut off has nothing
// without what it was made from.
func TestSendGoesInTheOrderOfLearning(t *testing.T) {
	a, b, c := newDevice(t, 1).create(), newDevice(t, 2), newDevice(t, 3)
	b.pull(a)
	want := []id.Version{a.listVersion()}
	for _, value := range []string{`1`, `2`, `3`} {
		want = append(want, a.put("k", value))
		b.pull(a)
		want = append(want, b.put("k", value))
		a.pull(b)
	}
	for _, from := range []*device{a, b} {
		var got []id.Version
		for _, commit := range c.request(from).Commits {
			got = append(got, id.Version{Writer: commit.Writer, Gen: commit.First})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("commits sent by %d (-want +got):\n%s", from.num, diff)
		}
	}
}
