package rows

import "testing"

// New names take other room than the old ones: what was counted before a renewal is counted anew.
func TestRenewalIsCountedAnew(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	a.put("before", `1`)
	b.pull(a)
	disk := a.fs.CrashClone()
	a.put("lost", `1`)
	b.pull(a)
	a.setBack(disk)
	a.put("since", `1`)
	a.put("since then", `1`)
	a.parted("before the renewal")
	if !a.examine(b) {
		t.Fatal("no proof that the device was set back")
	}
	a.parted("after the renewal")
}
