package rows

import (
	"fmt"
	"runtime"
	"testing"
)

// putMany writes rows in one batch.
func (d *device) putMany(n int) {
	d.t.Helper()
	ops := make([]Op, n)
	for i := range ops {
		ops[i] = Op{Collection: notes, Key: fmt.Sprintf("many/%05d", i), Value: fmt.Appendf(nil, "%d", d.num)}
	}
	if _, err := d.db.Commit(ops, nil); err != nil {
		d.t.Fatal(err)
	}
}

// clashing returns two devices with a policy that have each written the same rows in one batch, and with open have a
// conflict of another row that stays open.
func clashing(t *testing.T, rules string, n int, open bool) (a, b *device) {
	t.Helper()
	a, b = newDevice(t, 1).create(), newDevice(t, 2)
	for _, d := range []*device{a, b} {
		d.policy(1, rules)
	}
	level(a, b)
	if open {
		a.put("open/x", `1`)
		b.put("open/x", `2`)
		level(a, b)
	}
	a.putMany(n)
	b.putMany(n)
	return a, b
}

// mallocs counts what f allocates, which stands for the steps that it takes: unlike time it is nearly the same each time.
func mallocs(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs
}

const elsewhere = `{"collection":"other","resolver":"defer"}`

// Two batches over the same rows cost what their rows cost, whatever the policy makes of them: four times the rows four
// times as much, not sixteen times.
func TestConflictsOfBatchesAreLinear(t *testing.T) {
	for _, test := range []struct {
		name, rules string
		open, stay  bool
	}{
		{"a rule for another collection", elsewhere, false, false},
		{"a rule for other rows", `{"collection":"notes","prefix":"strict/","resolver":"defer"}`, false, false},
		{"another conflict is open", `{"collection":"notes","prefix":"open/","resolver":"defer"}`, true, false},
		{"one row is deferred", `{"collection":"notes","prefix":"many/00007","resolver":"defer"}`, false, true},
		{"all rows are deferred", `{"resolver":"defer"}`, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			cost := func(n int) (settle, list, group uint64) {
				a, b := clashing(t, test.rules, n, test.open)
				step := a.requestScopes(b, whole)
				settle = mallocs(func() {
					if got, err := a.db.Receive(step); err != nil || got.Conflicts != n {
						t.Fatalf("received %+v, %v; want %d conflicts", got, err, n)
					}
				})
				want := 0
				if test.open {
					want++
				}
				if test.stay {
					want += n
				}
				list = mallocs(func() {
					if got := len(a.conflicts()); got != want {
						t.Errorf("%d rows are in conflict, want %d", got, want)
					}
				})
				if test.stay {
					group = mallocs(func() {
						g, err := a.db.ConflictGroup(at("many/00001"))
						if err != nil || len(g.Conflicts) != n {
							t.Errorf("a group of %d rows, %v; want %d", len(g.Conflicts), err, n)
						}
					})
				}
				return settle, list, group
			}
			const n = 100
			settle, list, group := cost(n)
			settle4, list4, group4 := cost(4 * n)
			for _, c := range []struct {
				what        string
				once, after uint64
			}{{"settling", settle, settle4}, {"listing", list, list4}, {"the group", group, group4}} {
				t.Logf("%s: %d allocations of %d rows, %d of %d", c.what, c.once, n, c.after, 4*n)
				// What runs beside the test, such as merging tables, allocates a little, too.
				if c.after > 8*c.once+10_000 {
					t.Errorf("%s takes %d allocations for %d rows and %d for %d, want at most 8 times as many", c.what, c.once, n, c.after, 4*n)
				}
			}
		})
	}
}

// Large batches are settled in as many steps as they have rows.
func TestLargeBatchesAreSettled(t *testing.T) {
	for name, test := range map[string]struct {
		rules string
		n     int
		open  bool
	}{
		"a rule for another collection": {elsewhere, 4_000, false},
		"something open":                {`{"collection":"notes","prefix":"open/","resolver":"defer"}`, 12_000, true},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := clashing(t, test.rules, test.n, test.open)
			if got := a.pull(b); got.Conflicts != test.n {
				t.Errorf("received %+v, want %d conflicts", got, test.n)
			}
			want := 0
			if test.open {
				want = 1
			}
			if got := a.refs(); len(got) != want {
				t.Errorf("%d conflicts are open, want %d", len(got), want)
			}
		})
	}
}
