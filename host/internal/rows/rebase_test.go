package rows

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
)

var errCut = errors.New("cut")

// rebase takes the inventory of another device if there is one for this one, up to a number of parts.
func (d *device) rebase(from *device, parts int) (sum Rebased, err error) {
	d.t.Helper()
	holding, err := d.db.Holding(whole)
	if err != nil {
		d.t.Fatal(err)
	}
	known := d.db.Published().Know.At(whole[0])
	r := d.db.BeginRebase()
	take := func(inv *delta.Inventory) error {
		if parts--; parts < 0 {
			return errCut
		}
		got, err := r.Take(inv)
		sum.Dropped += got.Dropped
		sum.Renewed += got.Renewed
		return err
	}
	if len(holding) > 0 {
		err = from.db.Inventory(d.t.Context(), whole[0], known, take)
	} else {
		err = from.db.BareInventory(whole[0], known, take)
	}
	if err == nil {
		var got Rebased
		got, err = r.End()
		sum.Renewed += got.Renewed
	}
	if err != nil && !errors.Is(err, errCut) {
		d.t.Fatal(err)
	}
	return sum, err
}

// fetch is a whole pull as peers do it.
func (d *device) fetch(from *device) {
	d.t.Helper()
	if _, err := d.rebase(from, 1<<30); err != nil {
		d.t.Fatal(err)
	}
	d.pull(from)
}

// forget drops every tombstone, as if nobody else shared the collection. The last commit always stays, so it makes one.
func (d *device) forget() {
	d.t.Helper()
	d.put("last", `0`)
	d.reclaim(d.everything())
}

// A device that was away while a delete was made and forgotten learns that the row is gone; what it wrote meanwhile
// itself stays, and its watchers hear of the delete.
func TestRebaseAfterLongAbsence(t *testing.T) {
	a, b, c := newDevice(t, 1).create(), newDevice(t, 2).create(), newDevice(t, 3).create()
	for i := range 3 {
		a.put(fmt.Sprint("old", i), `1`)
	}
	a.put("stays", `1`)
	b.fetch(a)
	b.now = b.now.Add(time.Hour)
	b.put("new", `2`)
	b.put("old1", `3`)
	b.del("old2")
	for i := range 3 {
		a.del(fmt.Sprint("old", i))
	}
	a.forget()
	marker := b.db.Published().Seq
	b.parted("before")
	b.fetch(a)
	b.parted("rows are gone")
	b.want2("last=0", "new=2", "old1=3", "stays=1")
	var heard []string
	if _, err := b.db.ReadLog(marker, nil, func(batch Batch) (bool, error) {
		for _, ch := range batch.Changes {
			heard = append(heard, fmt.Sprint(ch.Key, " ", ch.Deleted, " ", batch.FromSync))
		}
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"old0 true true", "last false true"}, heard); diff != "" {
		t.Errorf("a watcher hears (-want +got):\n%s", diff)
	}
	a.fetch(b)
	c.fetch(b)
	for _, d := range []*device{a, c} {
		d.want2(b.rows()...)
		d.sound()
	}
	b.forget()
	b.crash()
	b.sound()
}

// A write that nobody else knew, older than a delete that was forgotten in the meantime, wins everywhere: also where the
// delete is still remembered.
func TestRebaseRenewsOldWrites(t *testing.T) {
	a, b, c := newDevice(t, 1).create(), newDevice(t, 2).create(), newDevice(t, 3).create()
	a.put("k", `1`)
	b.fetch(a)
	c.fetch(a)
	b.put("k", `2`)
	a.now = a.now.Add(time.Hour)
	a.del("k")
	c.fetch(a)
	a.forget()
	if got, _ := b.rebase(a, 1<<30); got != (Rebased{Renewed: 1}) {
		t.Errorf("%+v, want the row written anew", got)
	}
	for range 2 {
		for _, to := range []*device{a, b, c} {
			for _, from := range []*device{a, b, c} {
				if to != from {
					to.fetch(from)
				}
			}
		}
	}
	for _, d := range []*device{a, b, c} {
		d.want2("k=2", "last=0")
		d.sound()
	}
}

// An inventory is resumed from its beginning, however it was cut; a part about many rows is taken in bounded steps.
func TestRebaseIsRestartable(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2).create()
	var ops []Op
	for i := range 2*rebaseRows + 17 {
		ops = append(ops, Op{Collection: notes, Key: fmt.Sprintf("%0100d", i), Value: []byte(`1`)})
	}
	if _, err := a.db.Commit(ops, nil); err != nil {
		t.Fatal(err)
	}
	b.fetch(a)
	var gone []Op
	for i := range ops {
		if i%10 != 0 {
			gone = append(gone, Op{Kind: OpDelete, Collection: notes, Key: ops[i].Key})
		}
	}
	if _, err := a.db.Commit(gone, nil); err != nil {
		t.Fatal(err)
	}
	a.forget()
	if got, err := b.rebase(a, 0); !errors.Is(err, errCut) || got.Dropped != 0 {
		t.Fatalf("%+v, %v; want nothing done", got, err)
	}
	b.crash()
	if got, err := b.rebase(a, 1<<30); err != nil || got.Dropped != len(gone) {
		t.Fatalf("%+v, %v; want %d dropped", got, err, len(gone))
	}
	b.pull(a)
	b.want2(a.rows()...)
	b.sound()
	if got, err := b.rebase(a, 1<<30); err != nil || got != (Rebased{}) {
		t.Errorf("a device that is level rebases: %+v, %v", got, err)
	}
}

// reference: sync-211 after all members have passed a version, its history, old values, tombstones and log entries are
// reclaimed; a device that was away longer still converges.
//
// Devices write, pull, say what they hold, reclaim, crash, and are removed and come back, in any order. In the end all have
// the same rows, and none has a value that somebody replaced or deleted knowing it.
func TestReclaimingDevicesConverge(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := newReclaimNet(t)
		defer n.close()
		device := rapid.IntRange(0, len(n.devices)-1)
		rt.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) { n.write(t, device.Draw(t, "at")) },
			"pull": func(t *rapid.T) {
				to, from := device.Draw(t, "to"), device.Draw(t, "from")
				if to != from {
					n.pull(t, n.devices[to], n.devices[from])
				}
			},
			"say": func(t *rapid.T) {
				i := device.Draw(t, "who")
				n.acks[i] = n.devices[i].db.Published().Know.At(whole[0])
			},
			"reclaim": func(t *rapid.T) { n.reclaim(device.Draw(t, "who")) },
			"agree":   func(*rapid.T) { n.agree() },
			"remove":  func(t *rapid.T) { n.member[2] = !n.member[2] },
			"crash":   func(t *rapid.T) { n.devices[device.Draw(t, "who")].crash() },
		})
		n.finish(rt)
	})
}

// reclaimNet is some devices, the last of which is a member only at times.
type reclaimNet struct {
	devices []*device
	acks    []id.Vector
	member  []bool
	// dead are the values that somebody replaced knowing them.
	dead  map[string]bool
	value int
}

func newReclaimNet(t *testing.T) *reclaimNet {
	n := &reclaimNet{acks: make([]id.Vector, 3), member: []bool{true, true, true}, dead: map[string]bool{}}
	for i := range 3 {
		n.devices = append(n.devices, newDevice(t, byte(i+1)).create())
	}
	return n
}

func (n *reclaimNet) close() {
	for _, d := range n.devices {
		d.close()
	}
}

func (n *reclaimNet) write(t *rapid.T, at int) {
	d, key := n.devices[at], rapid.SampledFrom([]string{"x", "y"}).Draw(t, "key")
	d.now = d.now.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "ms")) * time.Millisecond)
	if now, found := d.contents()[key]; found {
		n.dead[now] = true
	}
	if rapid.IntRange(0, 2).Draw(t, "delete") == 0 {
		d.del(key)
		return
	}
	n.value++
	d.put(key, fmt.Sprint(n.value))
}

// pull may be cut anywhere, in the inventory or in what follows it.
func (n *reclaimNet) pull(t *rapid.T, to, from *device) {
	if _, err := to.rebase(from, rapid.SampledFrom([]int{0, 1 << 30, 1 << 30}).Draw(t, "parts")); err != nil {
		return
	}
	step := to.request(from)
	cut := rapid.IntRange(0, len(step.Commits)).Draw(t, "commits")
	whole := cut == len(step.Commits)
	if step.Commits = step.Commits[:cut]; !whole {
		step.Progress = nil
	}
	if _, err := to.db.Receive(step); err != nil {
		t.Fatal(err)
	}
}

func (n *reclaimNet) reclaim(i int) {
	d := n.devices[i]
	limits := d.everything()
	limits.MaxBytes = 1 << 30
	var others []id.Vector
	for j := range n.devices {
		if j != i && n.member[j] {
			others = append(others, n.acks[j])
		}
	}
	stable := delta.Frontier(d.db.Published().Know.At(whole[0]), others)
	limits.Stable = func(c id.Collection) (id.Vector, bool) { return stable, c == notes }
	d.reclaim(limits)
}

// agree lets the members exchange everything, say so and reclaim all that is stable by then.
func (n *reclaimNet) agree() {
	for range 2 {
		for i, to := range n.devices {
			for j, from := range n.devices {
				if i != j && n.member[i] && n.member[j] {
					to.fetch(from)
				}
			}
		}
	}
	for i, d := range n.devices {
		n.acks[i] = d.db.Published().Know.At(whole[0])
	}
	for i, d := range n.devices {
		if n.member[i] {
			d.put(fmt.Sprint("last", i), `0`) // the last commit always stays
			n.reclaim(i)
		}
	}
}

func (n *reclaimNet) finish(t *rapid.T) {
	for range 4 {
		for _, to := range n.devices {
			for _, from := range n.devices {
				if to != from {
					to.fetch(from)
				}
			}
		}
	}
	for _, d := range n.devices {
		d.sound()
		if diff := cmp.Diff(n.devices[0].contents(), d.contents()); diff != "" {
			t.Fatalf("rows of devices 1 and %d differ (-1 +%d):\n%s", d.num, d.num, diff)
		}
		for key, value := range d.contents() {
			if value != "0" && n.dead[value] {
				t.Fatalf("device %d has %s=%s, which was replaced or deleted", d.num, key, value)
			}
		}
	}
}

// A device that was away settles a conflict in favour of what the others have deleted and forgotten. They take its word for a delete
// that won, and it must learn of the delete all the same.
func TestTombstoneThatCameBackHidesNothing(t *testing.T) {
	a, b, c := newDevice(t, 1).create(), newDevice(t, 2).create(), newDevice(t, 3).create()
	deletedAfterAConflict(a, b, c, b)
	a.fetch(c)
	for range 2 {
		c.fetch(a)
		b.fetch(c)
		a.fetch(b)
	}
	for _, d := range []*device{a, b, c} {
		d.want2("last=0")
		d.sound()
	}
}

// deletedAfterAConflict makes c settle a conflict between what it wrote and what another one did, who or b deletes that then; a and b forget
// the delete before they hear of any of it from c.
func deletedAfterAConflict(a, b, c, by *device) {
	b.fetch(a)
	a.fetch(b)
	c.fetch(a)
	c.put("k", `1`)
	by.now = by.now.Add(time.Minute)
	by.put("k", `2`)
	a.fetch(b)
	b.fetch(a)
	c.pull(b)
	c.want2("k=2")
	b.now = a.now
	b.del("k")
	a.fetch(b)
	a.forget()
	b.fetch(a)
	b.reclaim(b.everything())
}

// The same where the one who deleted it is not the one who had written it, so that nothing of what was dropped has the name of the winner:
// whoever forgot the delete does not keep what lost against a version that it knows was deleted.
func TestWhatLostToADeletedVersionIsDeleted(t *testing.T) {
	for name, meet := range map[string]func(a, b, c *device){
		"the others hear first": func(a, b, c *device) { a.fetch(c); b.fetch(c); c.fetch(a) },
		"the one hears first":   func(a, b, c *device) { c.fetch(a); b.fetch(c); a.fetch(c) },
		"one after the other":   func(a, b, c *device) { a.fetch(c); c.fetch(a); b.fetch(a) },
	} {
		t.Run(name, func(t *testing.T) {
			a, b, c := newDevice(t, 1).create(), newDevice(t, 2).create(), newDevice(t, 3).create()
			deletedAfterAConflict(a, b, c, a)
			meet(a, b, c)
			fresh := newDevice(t, 4).create()
			fresh.fetch(a)
			for range 2 {
				c.fetch(a)
				b.fetch(c)
				a.fetch(b)
				fresh.fetch(a)
			}
			for _, d := range []*device{a, b, c, fresh} {
				d.want2("last=0")
				d.sound()
			}
		})
	}
}
