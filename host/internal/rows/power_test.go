package rows

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/syncbase/syncbase/host/internal/kv"
)

// moment is a disk as power left it, and how many steps had returned by then.
type moment struct {
	fs   *kv.MemFS
	done int
}

// reference: store-304 at whatever write of commits, receiving and reclaiming power fails, the store that is opened afterwards is sound,
// has everything that was acknowledged, and of the step that was under way all or nothing.
func TestPowerFailsAtEveryWrite(t *testing.T) {
	d, peer := newDevice(t, 1).create(), newDevice(t, 2)
	peer.pull(d)
	commit := func(ops ...Op) {
		t.Helper()
		if _, err := d.db.Commit(ops, nil); err != nil {
			t.Fatal(err)
		}
	}
	var steps []func()
	for i := range 4 {
		n := fmt.Sprint(i)
		steps = append(steps,
			func() { commit(put("a", n)) },
			func() { commit(put("b"+n, n), put("c", n), put("d", n)) },
			func() { commit(Op{Kind: OpDelete, Collection: notes, Key: "b" + n}, put("c", "9")) },
			func() { peer.now = d.now.Add(time.Second); peer.put("c", "8"+n); peer.put("theirs"+n, n) },
			func() { d.pull(peer) },
			func() { peer.pull(d) },
			func() { d.reclaim(d.everything()) },
		)
	}
	// mu guards left and done: Pebble writes in goroutines of its own.
	var mu sync.Mutex
	var left []moment
	done := 0
	d.fs.OnWrite(func() {
		mu.Lock()
		defer mu.Unlock()
		left = append(left, moment{d.fs.CrashClone(), done})
	})
	states := []map[string]string{d.contents()}
	for _, step := range steps {
		step()
		states = append(states, d.contents())
		mu.Lock()
		done++
		mu.Unlock()
	}
	d.kv.Close()
	d.fs.OnWrite(nil)
	d.kv = nil
	if len(left) < len(steps) {
		t.Fatalf("%d writes were seen in %d steps", len(left), len(steps))
	}
	for i, at := range left {
		after := &device{t: t, num: 1, fs: at.fs, now: d.now}
		after.open()
		var err error
		if after.db, err = after.s.Database(dbName); err != nil {
			t.Fatalf("write %d: %v", i, err)
		}
		got := after.contents()
		next := states[min(at.done+1, len(states)-1)]
		if !maps.Equal(got, states[at.done]) && !maps.Equal(got, next) {
			t.Errorf("write %d, in step %d: %v is there, want %v or %v", i, at.done, got, states[at.done], next)
		}
		after.sound()
		after.put("after", `1`)
		after.close()
	}
	seen := slices.Collect(maps.Values(states[len(states)-1]))
	if len(seen) < 5 {
		t.Errorf("at the end %v is there, which shows little", states[len(states)-1])
	}
}
