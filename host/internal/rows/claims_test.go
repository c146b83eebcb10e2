package rows

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
)

// versions of a row, the current one first and then by age, as an application sees them.
func (d *device) versions(key string) (list []id.Version) {
	d.t.Helper()
	_, nodes, err := d.db.History(notes, key)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, n := range nodes {
		list = append(list, n.Version)
	}
	return list
}

// received checks what a device has of a chain that came from another one: the row, its history, places in the log in the
// order of arrival, and knowledge without an entry of its own.
func (d *device) received(value string, chain ...id.Version) {
	d.t.Helper()
	if got := d.contents()["k"]; got != value {
		d.t.Errorf("the row is %s, want %s", got, value)
	}
	coll := d.db.colls[notes]
	last := uint64(0)
	for _, v := range chain {
		_, h, err := d.db.logRecord(coll.num, v)
		if err != nil || h.seq <= last {
			d.t.Errorf("version %s has place %d after %d: %v", v, h.seq, last, err)
		}
		last = h.seq
	}
	know := d.db.Published().Know
	if own, found := know.Stored(whole[0])[d.db.Writer()]; found {
		d.t.Errorf("knowledge has an entry of its own: %d", own)
	}
	if newest := chain[len(chain)-1]; !know.At(whole[0]).Covers(newest) {
		d.t.Errorf("version %s is not known: %s", newest, know.At(whole[0]))
	}
}

// reference: sync-036 a chain of three versions arrives at a device that has never heard of the row: all are in the log in
// their order, the last is current, and what is known covers them, without an entry of the device's own.
// reference: sync-037 a chain that goes on from the local version replaces it, without a conflict.
func TestChainsArrive(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	if request := delta.Request(b.db.Published().Know, whole); len(request) != 1 || len(request[0].Vector) != 0 {
		t.Errorf("a device that knows nothing asks with %v", request)
	}
	remote := []id.Version{a.put("k", `1`), a.put("k", `2`), a.put("k", `3`)}
	if got := b.pull(a); got.Conflicts != 0 {
		t.Errorf("%d conflicts over a row that was never heard of", got.Conflicts)
	}
	b.received(`3`, remote...)
	on := []id.Version{b.put("k", `4`), b.put("k", `5`), b.put("k", `6`)}
	if got := a.pull(b); got.Conflicts != 0 || got.Records != 3 {
		t.Errorf("%+v when a chain went on from the local version", got)
	}
	a.received(`6`, append(remote, on...)...)
	if diff := cmp.Diff([]id.Version{on[2], on[1], on[0], remote[2], remote[1], remote[0]}, a.versions("k")); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

// reference: sync-038 a chain that goes on from an ancestor of the local version is in conflict with it, and the later write
// wins.
// reference: sync-039 a chain without any version in common with the local one is in conflict with it, and the later write
// wins.
// reference: sync-062 what is not in conflict is left as it is while something else is.
func TestForksArrive(t *testing.T) {
	for name, common := range map[string]bool{"common ancestor": true, "no ancestor": false} {
		t.Run(name, func(t *testing.T) {
			a, b := newDevice(t, 1).create(), newDevice(t, 2)
			if common {
				a.put("k", `1`)
				a.put("k", `2`)
			}
			untouched := a.put("other", `1`)
			b.pull(a)
			local := a.put("k", `3`)
			b.now = b.now.Add(1 << 30) // later than a
			chain := []id.Version{b.put("k", `4`), b.put("k", `5`), b.put("k", `6`)}
			if got := a.pull(b); got.Conflicts != 1 {
				t.Errorf("%d conflicts, want one", got.Conflicts)
			}
			a.received(`6`, append([]id.Version{local}, chain...)...)
			if got := a.versions("k")[0]; got != chain[2] {
				t.Errorf("current is %s, want %s", got, chain[2])
			}
			if got := a.versions("other"); len(got) != 1 || got[0] != untouched {
				t.Errorf("the row that is not in conflict has versions %v", got)
			}
		})
	}
}
