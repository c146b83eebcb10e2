package rows

import (
	"testing"
	"time"
)

// The winner of a conflict can arrive together with the link by which another device has settled it: then there is
// nothing to settle here, but something to show.
func TestWatchersSeeAWinnerThatArrivesSettled(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	a.put("k", `"base"`)
	b.pull(a)
	a.put("k", `"from a"`)
	b.now = b.now.Add(time.Second)
	b.put("k", `"from b"`)
	b.pull(a)
	if got := a.pull(b); got.Conflicts != 0 {
		t.Errorf("a received %+v, want no conflict: b has settled it", got)
	}
	a.want(`k="from b"`)
	b.want(`k="from b"`)
}
