package rows

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/kv"
)

// reference: sync-020 reclaiming for which the disk has no room, whichever step it is, says so once and takes away nothing of that
// step: heads, values and what each row's history still had stay, and when there is room all goes that would have gone.
func TestReclaimingThatFailsIsTakenAgain(t *testing.T) {
	// What a step may use of a disk that is full.
	const reserve = kv.DefaultMinFreeBytes / 4
	steps := map[int]bool{}
	for room := uint64(0); room < 3000; room += 150 {
		t.Run(fmt.Sprint(room), func(t *testing.T) {
			d := newDevice(t, 1).create()
			for i := range 8 {
				d.put("a", fmt.Sprint(i))
				d.put("b", fmt.Sprint(-i))
			}
			d.put("gone", `1`)
			d.del("gone")
			d.put("last", `1`)
			rows, past := d.heads(), d.versions("a")
			limits := d.everything()
			limits.Items = 3
			d.fs.SetFree(reserve + room)
			done, floor := 0, uint64(0)
			got, err := d.db.Reclaim(limits)
			for ; err == nil && got.More; done++ {
				floor = d.db.floor.Load()
				got, err = d.db.Reclaim(limits)
			}
			if err != nil && (!errors.Is(err, ErrReadOnlyStore) || !errors.Is(err, kv.ErrFull)) {
				t.Errorf("step %d: %v, want ErrReadOnlyStore", done, err)
			}
			if err != nil {
				steps[done] = true
			}
			if err != nil && (got != (Reclaimed{}) || d.db.floor.Load() != floor) {
				t.Errorf("step %d failed and came to %+v, the log begins after %d, want %d", done, got, d.db.floor.Load(), floor)
			}
			d.fs.SetFree(4 * kv.DefaultMinFreeBytes)
			d.sound()
			if diff := cmp.Diff(rows, d.heads()); diff != "" {
				t.Errorf("rows after the failure (-before +after):\n%s", diff)
			}
			left := d.versions("a")
			if len(left) == 0 || !slices.Equal(left, past[:len(left)]) {
				t.Errorf("of the history %v is left, not what is newest of %v", left, past)
			}
			if room%300 == 0 { // otherwise the daemon goes on
				d.crash()
				d.sound()
			}
			d.reclaim(d.everything())
			if diff := cmp.Diff(rows, d.heads()); diff != "" {
				t.Errorf("rows in the end (-before +after):\n%s", diff)
			}
			if n := d.logSize(); n != 4 {
				t.Errorf("%d records are left in the log, want those of a, b, last and the collection", n)
			}
			if left := d.versions("a"); len(left) != 1 || left[0] != past[0] {
				t.Errorf("of the history %v is left, want the head %s", left, past[0])
			}
		})
	}
	if len(steps) < 3 || !steps[0] {
		t.Errorf("steps %v failed, want the first and two others", steps)
	}
}
