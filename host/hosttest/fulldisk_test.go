package hosttest

import (
	"strings"
	"testing"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

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
	h.wantDiskAlarm(t, "writes are refused")
}

// A disk that is full, or nearly so, is an alarm, which ends by itself when there is room.
func TestAlarmOfFullDisk(t *testing.T) {
	h := New(t, Options{Hosts: []string{"a"}}).Hosts()[0]
	h.Create()
	h.wantDiskAlarm(t, "")
	h.disk.SetFree(100 << 20)
	h.wantDiskAlarm(t, "large batches may be refused")
	h.Commit(Put("key", "1"))
	h.disk.SetFree(63 << 20)
	if _, err := h.TryCommit(h.ctx(), Put("key", "2")); err == nil {
		t.Error("a write on a full disk was accepted")
	}
	h.wantDiskAlarm(t, "63 MiB free, less than the 64 MiB that are kept free: writes are refused")
	h.disk.SetFree(1 << 30)
	h.wantDiskAlarm(t, "")
	h.Commit(Put("key", "3"))
	h.wantDiskAlarm(t, "")
}

// wantDiskAlarm wants the one alarm to say this, or none if that is nothing.
func (h *Host) wantDiskAlarm(t *testing.T, text string) {
	t.Helper()
	s, err := h.API().Status(h.ctx(), &nodev1.StatusRequest{})
	h.must(s, err)
	list := s.GetAlarms()
	switch {
	case text == "" && len(list) == 0:
	case text == "" || len(list) != 1 || list[0].GetKind() != "disk" || !strings.Contains(list[0].GetText(), text):
		t.Errorf("alarms %v, want one with %q", list, text)
	case list[0].GetSince().AsTime().IsZero() || list[0].GetSince().AsTime().Unix() <= 0:
		t.Errorf("the alarm began at %v", list[0].GetSince())
	}
}
