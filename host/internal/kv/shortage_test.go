package kv

import (
	"errors"
	"slices"
	"testing"
)

// Whoever watches the disk is told when it becomes short of space and when it is not any more, once each.
func TestShortage(t *testing.T) {
	fs, told := NewMemFS(), []bool{}
	s, err := Open("db", Options{FS: fs, MinFreeBytes: 1 << 20, Shortage: func(s Space) { told = append(told, s.Short) }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := s.Space(); got != (Space{}) {
		t.Errorf("a disk without an end has %+v", got)
	}
	for _, step := range []struct {
		free            uint64
		short, refuses  bool
		writes, atALook bool
	}{
		{free: 8 << 20, writes: true},
		{free: 5 << 19, short: true, writes: true},
		{free: 1 << 19, short: true, refuses: true},
		{free: 1 << 18, short: true, refuses: true},
		{free: 8 << 20, writes: true},
		{free: 2 << 20, short: true, writes: true},
		{free: 9 << 20, atALook: true},
	} {
		fs.SetFree(step.free)
		if !step.atALook {
			if err := set(t, s, "key", 10); errors.Is(err, ErrFull) == step.writes {
				t.Errorf("writing with %d bytes free: %v", step.free, err)
			}
			fs.SetFree(step.free)
		}
		if got, want := s.Space(), (Space{step.free, 1 << 20, step.short}); got != want || got.Refuses() != step.refuses {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if want := []bool{true, false, true, false}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}
