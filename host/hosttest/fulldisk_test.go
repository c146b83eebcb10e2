package hosttest

import "testing"

// A daemon starts on a full disk, and shows what it has.
func TestStartOnFullDisk(t *testing.T) {
	h := New(t, Options{Hosts: []string{"a"}}).Hosts()[0]
	h.Create()
	before := h.Rows()
	h.Stop()
	h.disk.SetFree(8 << 20)
	h.Start()
	if after := h.Rows(); len(after) != len(before) {
		t.Errorf("%v, want %v", after, before)
	}
}
