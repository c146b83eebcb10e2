package rows

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// reopenRecovered opens the store and its only database, by whatever name it has now.
func (d *device) reopenRecovered() {
	d.t.Helper()
	var err error
	if d.s, err = Open(d.kv, d.s.opts); err != nil {
		d.t.Fatal(err)
	}
	dbs, _ := d.s.Databases()
	if len(dbs) != 1 {
		d.t.Fatalf("%d databases", len(dbs))
	}
	d.db = dbs[0]
}

// TestRepairOfTheDeviceAndItsDatabases loses both tables of names at once. All that the device wrote, also in epochs that have
// ended, is its own again, and a peer that knows nothing gets all of it.
func TestRepairOfTheDeviceAndItsDatabases(t *testing.T) {
	d := soundDevice(t)
	before, made := d.shown(), d.db.madeHere()
	b := d.kv.NewBatch()
	b.Delete(keyWriter)
	b.Delete(databaseKey(dbName))
	if err := b.Commit(kv.Sync); err != nil {
		t.Fatal(err)
	}
	if repaired, left, _ := d.repair(RepairOptions{AcceptLoss: true}); len(repaired) == 0 || len(left) > 0 {
		t.Fatalf("repaired %v, left %v", repaired, left)
	}
	d.reopenRecovered()
	d.hasShown(before)
	if diff := cmp.Diff(made, d.db.madeHere()); diff != "" {
		t.Errorf("made here (-before +after):\n%s", diff)
	}
}

// TestRepairOfLostEpochs finds a database that was named anew without the epochs in which the device wrote there, as repairs
// once left it. They are found again without loss, also where the device wrote since.
func TestRepairOfLostEpochs(t *testing.T) {
	for name, since := range map[string]func(d *device){
		"nothing was written since": func(*device) {},
		"the device wrote since": func(d *device) {
			d.put("since", `1`)
			d.put("since", `2`)
		},
		"the epoch ended": func(d *device) {
			d.backup("again")
			d.restore("again", 7)
		},
		"the epoch ended and the device wrote since": func(d *device) {
			d.backup("again")
			d.restore("again", 7)
			d.put("since", `1`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := soundDevice(t)
			made := d.db.madeHere()
			rec := databaseRecord{num: 1, listVer: 1, epoch: restoredEpochs, databaseDoc: databaseDoc{Permissions: perm.For(owner, perm.DatabaseTags)}}
			data, err := rec.encode()
			if err != nil {
				t.Fatal(err)
			}
			b := d.kv.NewBatch()
			b.Set(databaseKey(dbName), data)
			if err := b.Commit(kv.Sync); err != nil {
				t.Fatal(err)
			}
			d.reopenRecovered()
			since(d)
			own, before := d.db.know.Own(), d.rows()
			repaired, left, opened := d.repair(RepairOptions{})
			if !slices.Contains(repaired, RuleOwner) || len(left) > 0 || !opened {
				t.Fatalf("repaired %v, left %v, opened %t", repaired, left, opened)
			}
			if diff := cmp.Diff(before, d.rows()); diff != "" {
				t.Errorf("rows changed (-before +after):\n%s", diff)
			}
			if got := d.db.madeHere(); !got.Dominates(made) {
				t.Errorf("made here is %v, want %v", got, made)
			}
			d.put("after", `1`)
			if now := d.db.know.Own(); now.Gen != own.Gen+1 {
				t.Errorf("wrote %v after %v: a generation was used twice", now, own)
			}
			if rules, _ := d.check(); rules != nil {
				t.Errorf("found %v after a write", rules)
			}
		})
	}
}

// TestLostWriterOfNothing does not take what another device wrote for its own.
func TestLostWriterOfNothing(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	a.put("k", `1`)
	b.pull(a)
	batch := b.kv.NewBatch()
	batch.Delete(keyWriter)
	batch.Delete(databaseKey(dbName))
	if err := batch.Commit(kv.Sync); err != nil {
		t.Fatal(err)
	}
	b.repair(RepairOptions{AcceptLoss: true})
	if data, err := b.kv.Get(keyWriter); err == nil && wire.DecodeWriter(data).Device == a.s.writer.Device {
		t.Errorf("became %x", data)
	}
}
