package rows

import (
	"context"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/delta"
)

// meddler is a context that does something when it is first looked at.
type meddler struct {
	context.Context
	once sync.Once
	do   func()
}

func (m *meddler) Err() error {
	m.once.Do(m.do)
	return m.Context.Err()
}

// Sums that are made by going through the rows have what is written meanwhile.
func TestSumsOfWhatIsWrittenMeanwhile(t *testing.T) {
	a := newDevice(t, 1).create()
	for _, key := range []string{"changed", "deleted", "stays"} {
		a.put(key, `1`)
	}
	ctx := &meddler{Context: t.Context(), do: func() {
		a.put("changed", `2`)
		a.del("deleted")
		a.put("new", `1`)
	}}
	if _, err := a.db.Fingerprint(ctx, whole[0], delta.CountContested); err != nil {
		t.Fatal(err)
	}
	a.want2("changed=2", "new=1", "stays=1")
	a.sound()
	a.crash()
	a.sound()
}

// Rows that were destroyed with their collection and are still on the disk are in no sums.
func TestSumsWithoutTheBuried(t *testing.T) {
	a := newDevice(t, 1).create()
	for _, key := range []string{"once", "twice"} {
		a.put(key, `1`)
	}
	a.renewCollection()
	a.put("twice", `2`)
	before := a.fingerprint(whole[0])
	a.sound()
	a.sweep()
	if diff := cmp.Diff(before, a.fingerprint(whole[0])); diff != "" {
		t.Errorf("before and after sweeping (-before +after):\n%s", diff)
	}
	a.sound()
}

// Sums that are made by going through the rows are those that were kept all along, also of rows in conflict.
func TestSumsWithConflicts(t *testing.T) {
	a, b := deferring(t)
	a.fingerprint(whole[0])
	a.put("k", `1`)
	b.put("k", `2`)
	for range 3 {
		a.pull(b)
		b.pull(a)
	}
	if n := len(b.conflicts()); n != 1 {
		t.Fatalf("%d conflicts", n)
	}
	if diff := cmp.Diff(a.fingerprint(whole[0]), b.fingerprint(whole[0])); diff != "" {
		t.Errorf("kept and made (-kept +made):\n%s", diff)
	}
}
