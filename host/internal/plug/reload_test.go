package plug

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestUnchangedInstanceIsLeftAlone(t *testing.T) {
	r := newRig(t, nil)
	in := store("disk", "good", storeConfig{HotSwappable: "a"})
	r.set(in)
	st := r.ready("disk")
	in.Config = []byte(`{ "hot" : "a" }`) // the same, written differently
	r.set(in, store("other", "good", storeConfig{}))
	r.ready("other")
	if now := r.status("disk"); now.PID != st.PID {
		t.Errorf("process %d was replaced by %d", st.PID, now.PID)
	}
}

func TestConfigurationIsTakenByTheRunningProcess(t *testing.T) {
	r := newRig(t, nil)
	r.set(store("disk", "good", storeConfig{HotSwappable: "a"}))
	st := r.ready("disk")
	in := store("disk", "good", storeConfig{HotSwappable: "b"})
	r.set(in)
	m := r.members["disk"]
	r.until("acceptance", func() bool { return string(m.front.wanted().json) == string(in.Config) })
	if now := r.status("disk"); now.PID != st.PID || now.Message != "" {
		t.Errorf("status %+v", now)
	}
}

func TestRefusedConfigurationLeavesTheOldInForce(t *testing.T) {
	r := newRig(t, nil)
	r.set(store("disk", "good", storeConfig{}))
	st := r.ready("disk")
	r.set(store("disk", "good", storeConfig{Refuse: "no thanks"}))
	r.until("refusal", func() bool { return strings.Contains(r.status("disk").Message, "no thanks") })
	if now := r.status("disk"); now.PID != st.PID || now.State != StateReady {
		t.Errorf("status %+v", now)
	}
	r.set(store("disk", "good", storeConfig{}))
	r.until("the remark to go", func() bool { return r.status("disk").Message == "" })
}

// A change that needs a new process: the new one serves before the old one is stopped, and no call fails.
func TestReplacementIsSeamless(t *testing.T) {
	r := newRig(t, nil)
	r.set(store("disk", "good", storeConfig{}))
	st := r.ready("disk")
	blobs := r.BlobStore("disk")
	ctx, cancel := context.WithCancel(context.Background())
	var callers sync.WaitGroup
	for i := range 4 {
		callers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if err := blobs.Put(r.context(), []byte{byte(i), byte(n)}, make([]byte, 10_000)); err != nil {
					t.Errorf("put: %v", err)
					return
				}
			}
		})
	}
	for i, closed := range []string{"a", "b", "c"} {
		r.set(store("disk", "good", storeConfig{Closed: filepath.Join(r.dir, closed)}))
		r.until("replacement", func() bool {
			now := r.status("disk")
			return now.PID != 0 && now.PID != st.PID && now.State == StateReady && now.Message == ""
		})
		st = r.status("disk")
		if st.Restarts != 0 {
			t.Errorf("replacement %d counts as a restart", i)
		}
	}
	until(t, "the clean end of the second process", func() bool {
		_, err := os.Stat(filepath.Join(r.dir, "b"))
		return err == nil
	})
	cancel()
	callers.Wait()
}

// A replacement that cannot start leaves the old process in service.
func TestFailedReplacementLeavesTheOldInService(t *testing.T) {
	r := newRig(t, nil)
	r.set(store("disk", "good", storeConfig{}))
	st := r.ready("disk")
	r.set(store("disk", "exit3", storeConfig{}))
	r.until("news of the failure", func() bool { return strings.Contains(r.status("disk").Message, "no capacitor") })
	now := r.status("disk")
	if now.PID != st.PID || now.State != StateReady || !strings.Contains(now.Message, "replacement is") {
		t.Errorf("status %+v", now)
	}
	if _, err := r.BlobStore("disk").Usage(r.context()); err != nil {
		t.Error(err)
	}
	r.set(store("disk", "good", storeConfig{}))
	r.until("the end of the attempt", func() bool { return r.status("disk").Message == "" })
	if now := r.status("disk"); now.PID != st.PID {
		t.Errorf("status %+v", now)
	}
}

// Two processes of an exclusive plugin never meet: the store refuses to open while its file is there.
func TestExclusivePluginIsReplacedOldFirst(t *testing.T) {
	r := newRig(t, nil)
	running := filepath.Join(r.dir, "running")
	r.set(store("disk", "exclusive", storeConfig{Running: running}))
	st := r.ready("disk")
	in := store("disk", "exclusive", storeConfig{Running: running})
	in.Env = map[string]string{"A": "b"}
	r.set(in)
	r.until("replacement", func() bool {
		now := r.status("disk")
		return now.State == StateReady && now.PID != st.PID
	})
	if now := r.status("disk"); now.Restarts != 0 {
		t.Errorf("the new process met the old one: %+v", now)
	}
}

// A name that is removed and comes back does not meet its former process either.
func TestReturningNameWaitsForItsPredecessor(t *testing.T) {
	r := newRig(t, nil)
	in := store("disk", "exclusive", storeConfig{Running: filepath.Join(r.dir, "running"), CloseTime: "300ms"})
	r.set(in)
	st := r.ready("disk")
	r.set()
	r.set(in)
	if now := r.ready("disk"); now.PID == st.PID || now.Restarts != 0 {
		t.Errorf("status %+v", now)
	}
}

func TestRemovedInstanceIsStopped(t *testing.T) {
	r := newRig(t, nil)
	r.set(store("disk", "good", storeConfig{}))
	st := r.ready("disk")
	r.set()
	until(t, "end of the process", func() bool { return !alive(st.PID) })
	if got := r.Status(); len(got) > 0 {
		t.Errorf("status %v", got)
	}
	if _, err := r.BlobStore("disk").Usage(r.context()); !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v", err)
	}
	r.set(store("disk", "good", storeConfig{}))
	r.ready("disk")
}

func TestKindOfANameMayChange(t *testing.T) {
	r := newRig(t, nil)
	r.set(store("x", "good", storeConfig{}))
	r.ready("x")
	r.set(Instance{Name: "x", Kind: KindDiscovery, Path: "self/discovery"})
	if st := r.ready("x"); st.Kind != KindDiscovery || st.Plugin != "discovery" {
		t.Errorf("status %+v", st)
	}
	if _, err := r.BlobStore("x").Usage(r.context()); !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v", err)
	}
}

// Any sequence of changes ends in what was asked for last.
func TestChangesInQuickSuccession(t *testing.T) {
	r := newRig(t, nil)
	for i := range 20 {
		in := store("disk", "good", storeConfig{HotSwappable: string(rune('a' + i))})
		if i%3 == 0 {
			in.Env = map[string]string{"ROUND": in.Name}
		}
		if i%5 == 4 {
			r.set()
		}
		r.set(in)
		time.Sleep(time.Duration(i%4) * 3 * time.Millisecond)
	}
	last := store("disk", "good", storeConfig{HotSwappable: "last"})
	r.set(last)
	m := r.members["disk"]
	r.until("the last configuration", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.front != nil && m.next == nil && m.front.ready() && string(m.front.wanted().json) == string(last.Config)
	})
}
