package peer

import (
	"errors"
	"sync"
	"testing"
)

// Two runs of a daemon with the same keys and device know each other for copies, on both sides, and have no link.
func TestCopiesOfADeviceNoticeEachOther(t *testing.T) {
	i := newFamily(t).member(t, "a")
	var mu sync.Mutex
	met := map[Instance]Instance{}
	run := func(instance Instance) *node {
		return start(t, Options{Identity: i, Device: device(99), Instance: instance, OnTwin: func(other Instance, _ string) {
			mu.Lock()
			defer mu.Unlock()
			met[instance] = other
		}})
	}
	a, b := run(Instance{1}), run(Instance{2})
	if _, err := connect(t, a, b.address); !errors.Is(err, ErrTwin) {
		t.Fatalf("got %v, want ErrTwin", err)
	}
	mu.Lock()
	defer mu.Unlock()
	if met[Instance{1}] != (Instance{2}) || met[Instance{2}] != (Instance{1}) {
		t.Errorf("copies met: %v", met)
	}
	if len(a.Links())+len(b.Links()) != 0 {
		t.Errorf("links %v %v", a.Links(), b.Links())
	}
}
