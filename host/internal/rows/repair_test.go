package rows

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/kv"
)

// shown is what readers and watchers see of the device.
func (d *device) shown() []string {
	d.t.Helper()
	all := d.rows()
	_, nodes, err := d.db.History(notes, "k")
	if err != nil {
		d.t.Fatal(err)
	}
	for _, n := range nodes {
		all = append(all, fmt.Sprintf("%s of %v: %s", n.Version, n.Parents, n.Value))
	}
	_, err = d.db.ReadLog(0, nil, func(b Batch) (bool, error) {
		all = append(all, fmt.Sprintf("batch %d %s", b.Seq, b.Name))
		return true, nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return append(all, fmt.Sprintf("own %s, %d bytes", d.db.Published().Know.Own(), d.db.used))
}

// hasShown wants all that was shown before to be so again. Where lists of commits were made anew, a batch that changed nothing for
// readers may be shown as well.
func (d *device) hasShown(before []string) {
	d.t.Helper()
	after := slices.DeleteFunc(d.shown(), func(s string) bool { return strings.HasPrefix(s, "batch ") && !slices.Contains(before, s) })
	if diff := cmp.Diff(before, after); diff != "" {
		d.t.Errorf("contents changed (-before +after):\n%s", diff)
	}
}

// repair repairs what lies in the store, and opens it again if that can be done.
func (d *device) repair(opts RepairOptions) (repaired, left []Rule, opened bool) {
	d.t.Helper()
	sum, err := Repair(d.t.Context(), d.kv, opts, func(f Finding, mended bool) {
		d.t.Logf("repaired %t: %s at %x: %s (%s)", mended, f.Rule, f.Key, f.Text, f.Remedy)
		if mended {
			repaired = append(repaired, f.Rule)
		} else {
			left = append(left, f.Rule)
		}
	})
	if err != nil || sum.Findings != len(left) {
		d.t.Fatalf("%+v, %v with %d findings left", sum, err, len(left))
	}
	if d.s, err = Open(d.kv, d.s.opts); err != nil {
		return repaired, left, false
	}
	d.db, err = d.s.Database(dbName)
	return repaired, left, err == nil
}

// TestRepairCuresEachCorruption damages a store in each of the ways that Check finds. What follows from the log is made anew
// and nothing is lost; what does not is left alone unless loss is accepted.
func TestRepairCuresEachCorruption(t *testing.T) {
	for name, c := range corruptions {
		t.Run(name, func(t *testing.T) {
			d := soundDevice(t)
			before := d.shown()
			b := d.kv.NewBatch()
			c.plant(d, b)
			if err := b.Commit(kv.Sync); err != nil {
				t.Fatal(err)
			}
			_, left, opened := d.repair(RepairOptions{})
			if (len(left) == 0) != (c.cure == cured) {
				t.Errorf("left without loss: %v", left)
			}
			if c.cure == cured || c.cure == curedByPeers {
				if !opened {
					t.Fatal("the store cannot be opened")
				}
				d.hasShown(before)
			}
			repaired, left, _ := d.repair(RepairOptions{AcceptLoss: true})
			if lossy := len(repaired) > 0; lossy != (c.cure == curedAtALoss) {
				t.Errorf("accepting loss repaired %v", repaired)
			}
			if (len(left) == 0) != (c.cure < curedByPeers) {
				t.Errorf("left at a loss: %v", left)
			}
		})
	}
}

// TestRepairGoesOnAfterACrash loses power during a repair that takes several rounds.
func TestRepairGoesOnAfterACrash(t *testing.T) {
	d := soundDevice(t)
	before := d.shown()
	b := d.kv.NewBatch()
	b.Delete(rowKey(spaceRow, 1, 1, "k"))
	corruptions["all lists of commits are lost"].plant(d, b)
	if err := b.Commit(kv.Sync); err != nil {
		t.Fatal(err)
	}
	stop := errors.New("power is lost")
	func() {
		defer func() {
			if recover() != stop { //nolint:errorlint // the very value
				t.Error("nothing was repaired")
			}
		}()
		_, _ = Repair(t.Context(), d.kv, RepairOptions{}, func(Finding, bool) { panic(stop) })
	}()
	_, left, opened := d.repair(RepairOptions{})
	if len(left) > 0 || !opened {
		t.Fatalf("left %v, opened %t", left, opened)
	}
	d.hasShown(before)
	d.put("after", `1`)
	if rules, _ := d.check(); rules != nil {
		t.Errorf("found %v after a write", rules)
	}
}

// TestRepairOfARowInConflict makes the row anew with the versions that readers do not see.
func TestRepairOfARowInConflict(t *testing.T) {
	for name, plant := range map[string]func(b *kv.Batch){
		"the row is lost": func(b *kv.Batch) { b.Delete(rowKey(spaceRow, 1, 1, "k")) },
		"its other versions are lost": func(b *kv.Batch) {
			b.DeleteRange(openPrefix(1, 1, "k"), kv.PrefixEnd(openPrefix(1, 1, "k")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := deferring(t)
			a.put("k", `"a"`)
			b.put("k", `"b"`)
			level(a, b)
			before := a.conflicts()
			if len(before) != 1 {
				t.Fatalf("conflicts: %v", before)
			}
			damage := a.kv.NewBatch()
			plant(damage)
			if err := damage.Commit(kv.Sync); err != nil {
				t.Fatal(err)
			}
			if repaired, left, opened := a.repair(RepairOptions{}); len(repaired) == 0 || len(left) > 0 || !opened {
				t.Fatalf("repaired %v, left %v, opened %t", repaired, left, opened)
			}
			a.wantConflicts(before...)
		})
	}
}

// TestRepairAfterReclaiming makes rows anew from what reclaiming left of the log.
func TestRepairAfterReclaiming(t *testing.T) {
	d := soundDevice(t)
	if sum := d.reclaim(d.everything()); sum.Records == 0 {
		t.Fatalf("nothing was reclaimed: %+v", sum)
	}
	before := d.rows()
	b := d.kv.NewBatch()
	b.Delete(rowKey(spaceRow, 1, 1, "k"))
	b.Delete(rowKey(spaceRow, 1, 1, "theirs"))
	b.Delete(seqKey(1, d.db.seq))
	if err := b.Commit(kv.Sync); err != nil {
		t.Fatal(err)
	}
	if _, left, opened := d.repair(RepairOptions{}); len(left) > 0 || !opened {
		t.Fatalf("left %v, opened %t", left, opened)
	}
	if diff := cmp.Diff(before, d.rows()); diff != "" {
		t.Errorf("rows changed (-before +after):\n%s", diff)
	}
}

// TestRepairLeavesTheBuriedBuried makes rows anew that were destroyed with their collection, and what is known of that: they do
// not come back.
func TestRepairLeavesTheBuriedBuried(t *testing.T) {
	for name, plant := range map[string]func(b *kv.Batch){
		"a tombstone is unreadable": func(b *kv.Batch) { b.Set(rowKey(spaceTomb, 1, 1, "k"), []byte{9}) },
		"a tombstone is lost":       func(b *kv.Batch) { b.Delete(rowKey(spaceTomb, 1, 1, "k")) },
		"the burial is lost too": func(b *kv.Batch) {
			b.Delete(rowKey(spaceTomb, 1, 1, "k"))
			b.Delete(collKey(spaceBurial, 1, 1))
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDevice(t, 1).create()
			d.put("k", `1`)
			d.renewCollection()
			d.sweep()
			d.put("new", `2`)
			before := d.rows()
			b := d.kv.NewBatch()
			plant(b)
			if err := b.Commit(kv.Sync); err != nil {
				t.Fatal(err)
			}
			if repaired, left, opened := d.repair(RepairOptions{}); len(repaired) == 0 || len(left) > 0 || !opened {
				t.Fatalf("repaired %v, left %v, opened %t", repaired, left, opened)
			}
			if diff := cmp.Diff(before, d.rows()); diff != "" {
				t.Errorf("rows changed (-before +after):\n%s", diff)
			}
		})
	}
}

// Commits that are lost without a trace, with what they wrote, leave a gap in the sequence that stays until loss is accepted; then
// watchers and peers pass over it, and writing goes on.
func TestRepairPassesOverLostCommits(t *testing.T) {
	d := newDevice(t, 1).create()
	for i := range 12 {
		d.put(fmt.Sprint("k", i), `1`)
	}
	b := d.kv.NewBatch()
	_, err := d.db.ReadLog(0, nil, func(batch Batch) (bool, error) {
		for _, c := range batch.Changes {
			if c.Key == "k4" || c.Key == "k5" || c.Key == "k7" {
				b.Delete(seqKey(d.db.num, batch.Seq))
				b.Delete(logKey(d.db.num, 1, c.Version))
				b.Delete(rowKey(spaceRow, d.db.num, 1, c.Key))
			}
		}
		return true, nil
	})
	if err = errors.Join(err, b.Commit(kv.Sync)); err != nil {
		t.Fatal(err)
	}
	if _, left, _ := d.repair(RepairOptions{}); !slices.Contains(left, RuleSequence) {
		t.Errorf("without loss only %v are left", left)
	}
	_, left, opened := d.repair(RepairOptions{AcceptLoss: true})
	if len(left) > 0 || !opened {
		t.Fatalf("left %v, opened %t", left, opened)
	}
	if d.db, err = d.s.Database(dbName); err != nil {
		t.Fatal(err)
	}
	d.put("after", `1`)
	if state, _ := d.watched(); len(state) != 10 || state["after"] == "" {
		t.Errorf("a watcher sees %v", state)
	}
	other := newDevice(t, 2)
	other.pull(d)
	other.want(d.rows()...)
	d.sound()
}
