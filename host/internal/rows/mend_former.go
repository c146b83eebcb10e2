package rows

import (
	"cmp"
	"slices"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// noteMade remembers in which epochs the device made the commits of a value of the sequence. An epoch lasts to where the next one
// begins, and all generations that were counted in it are its own: those of links are in no commit of the device.
func (d *checkedDB) noteMade(seq, ownGen uint64, commits []learned) {
	for i := range commits {
		l := &commits[i]
		if l.fromSync || l.writer.Device != d.writer.Device {
			continue
		}
		if !slices.ContainsFunc(d.made, func(f formerEpoch) bool { return f.Epoch == l.writer.Epoch }) {
			d.made = append(d.made, formerEpoch{Epoch: l.writer.Epoch})
		}
	}
	if n := len(d.made); n > 0 {
		f := &d.made[n-1]
		f.Gen, f.Seq = max(f.Gen, ownGen), seq+uint64(len(commits))-1
	}
}

// lostEpochs finds a database that was named anew by a repair that did not know which device this is. It does not name the epochs
// before that, and what the device made there is taken for that of a stranger, never to be sent. The commits tell the epochs.
func (d *checkedDB) lostEpochs() {
	if d.writer.Device == (id.Device{}) || d.rec.epoch != restoredEpochs && !d.rec.hasFormer(restoredEpochs) {
		return
	}
	rec, key := d.rec, databaseKey(d.name)
	if n := len(d.made); n > 0 && len(rec.Former) == 0 {
		// If nothing was made in the present epoch, the last one becomes it again: peers may have been told that generations of
		// the present one are held which were never made, so it must not begin anew.
		rec.epoch = d.made[n-1].Epoch
	}
	missing := slices.DeleteFunc(slices.Clone(d.made), func(f formerEpoch) bool { return f.Epoch == rec.epoch || rec.hasFormer(f.Epoch) })
	if len(missing) == 0 && rec.epoch == d.rec.epoch {
		return
	}
	rec.Former = append(missing, rec.Former...)
	slices.SortStableFunc(rec.Former, func(a, b formerEpoch) int { return cmp.Compare(a.Seq, b.Seq) })
	m := mend{what: "take them from the commits", apply: func(_ *repairer, b *kv.Batch) error {
		data, err := rec.encode()
		b.Set(key, data)
		return err
	}}
	d.mendable(d.name, m, RuleOwner, key, "epochs in which this device wrote were lost")
}

func (r *databaseRecord) hasFormer(epoch uint32) bool {
	return slices.ContainsFunc(r.Former, func(f formerEpoch) bool { return f.Epoch == epoch })
}
