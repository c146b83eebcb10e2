package rows

import (
	"testing"
	"time"
)

// renewedAfter lets a device do something after it was set back, and become another writer then.
func renewedAfter(t *testing.T, do func(a *device)) *device {
	t.Helper()
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	a.put("early", `1`)
	b.pull(a)
	early := a.fs.CrashClone()
	for range 20 {
		a.put("lost", `1`)
	}
	b.pull(a)
	a.setBack(early)
	do(a)
	before := a.contents()
	if !a.examine(b) {
		t.Fatal("what the other device holds was no proof")
	}
	a.holds(before)
	a.sound()
	return a
}

// Rows that were destroyed with their collection, and are still on the disk, stay destroyed under their new names.
func TestRenewalKeepsTheBuriedBuried(t *testing.T) {
	a := renewedAfter(t, func(a *device) {
		a.put("gone", `1`)
		a.renewCollection()
		a.put("new", `1`)
	})
	a.crash()
	a.want2("new=1")
	a.sweep()
	a.want2("new=1")
	a.sound()
}

// That deletes were forgotten is known of their new names, so whoever was away for long is told.
func TestRenewalKeepsWhatWasForgotten(t *testing.T) {
	var last uint64
	a := renewedAfter(t, func(a *device) {
		a.put("gone", `1`)
		a.del("gone")
		a.now = a.now.Add(time.Hour)
		a.forget()
		last = a.db.colls[notes].dropped[a.db.Writer()]
	})
	for range 2 {
		if got := a.db.colls[notes].dropped[a.db.Writer()]; last == 0 || got == 0 || got > last {
			t.Errorf("forgotten are deletes up to %d of the new writer, %d of the former", got, last)
		}
		a.crash()
	}
}
