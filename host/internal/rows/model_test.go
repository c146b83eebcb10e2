package rows

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/perm"
)

// model is what a database should be: its rows, and every state it has had.
type model struct {
	d    *device
	rows map[string]string
	// past has the state after each batch, past[0] the empty one; at are the markers of the database at these points.
	past []map[string]string
	at   []uint64
}

func (m *model) moved() {
	m.past = append(m.past, maps.Clone(m.rows))
	m.at = append(m.at, m.d.db.Published().Seq)
}

func (m *model) scan() map[string]string {
	rows := map[string]string{}
	err := m.d.db.Scan(notes, ScanRange{}, func(r *RowView) (bool, error) {
		rows[string(r.Key)] = string(r.Value)
		return true, nil
	})
	if err != nil {
		m.d.t.Fatal(err)
	}
	return rows
}

// watch replays the log from a point in the past on top of the state of that time.
func (m *model) watch(t *rapid.T, from int) {
	state, batches := maps.Clone(m.past[from]), 0
	_, err := m.d.db.ReadLog(m.at[from], nil, func(b Batch) (bool, error) {
		batches++
		for _, c := range b.Changes {
			switch {
			case c.Key == "" && c.Deleted:
				clear(state)
			case c.Key == "":
			case c.Deleted:
				delete(state, c.Key)
			default:
				state[c.Key] = string(c.Value)
			}
		}
		if diff := cmp.Diff(m.past[from+batches], state); diff != "" {
			return false, fmt.Errorf("after %d batches from %d (-model +watched):\n%s", batches, from, diff)
		}
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if batches != len(m.past)-1-from {
		t.Fatalf("watched %d batches from %d, want %d", batches, from, len(m.past)-1-from)
	}
}

// batch commits random operations and says whether the model takes them.
func (m *model) batch(t *rapid.T) {
	key := rapid.SampledFrom([]string{"a", "b", "c/1", "c/2"})
	next, fails, moves := maps.Clone(m.rows), false, false
	written := map[string]string{} // by key, "" for a delete
	var ops []Op
	for range rapid.IntRange(1, 5).Draw(t, "ops") {
		op := Op{Collection: notes, Key: key.Draw(t, "key")}
		now, exists := m.rows[op.Key]
		switch rapid.SampledFrom([]string{"put", "put", "delete", "absent", "value"}).Draw(t, "kind") {
		case "put":
			op.Value = []byte(fmt.Sprint(rapid.IntRange(0, 99).Draw(t, "value")))
			written[op.Key] = string(op.Value)
		case "delete":
			op.Kind, written[op.Key] = OpDelete, ""
		case "absent":
			op.Kind, op.Expect = OpCheck, &Expect{Absent: true}
			fails = fails || exists
		case "value":
			op.Kind, op.Expect = OpCheck, &Expect{Value: []byte(`7`)}
			fails = fails || !exists || now != `7`
		}
		ops = append(ops, op)
	}
	for k, v := range written {
		if _, exists := m.rows[k]; v != "" || exists {
			moves = true
		}
		if next[k] = v; v == "" {
			delete(next, k)
		}
	}
	before := m.d.db.Published()
	_, err := m.d.db.Commit(ops, nil)
	switch {
	case fails && !errors.Is(err, ErrConflict), !fails && err != nil:
		t.Fatalf("batch %+v: %v; want failure: %t", ops, err, fails)
	case fails || !moves:
		if after := m.d.db.Published(); after.Seq != before.Seq {
			t.Fatalf("a batch that changes nothing moved the log from %d to %d", before.Seq, after.Seq)
		}
	default:
		m.rows = next
		m.moved()
	}
}

// reference: store-085 the log, read from any point, tells the operations in order: replayed, it passes through just the
// states that there were.
func TestDatabaseAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{d: newDevice(t, 1).create(), rows: map[string]string{}}
		defer m.d.close()
		m.moved()
		rt.Repeat(map[string]func(*rapid.T){
			"batch": m.batch,
			"crash": func(*rapid.T) { m.d.crash() },
			"sweep": func(*rapid.T) { m.d.sweep() },
			"watch": func(t *rapid.T) { m.watch(t, rapid.IntRange(0, len(m.past)-1).Draw(t, "from")) },
			"destroy collection": func(t *rapid.T) {
				if err := m.d.db.DestroyCollection(notes, nil); err != nil {
					t.Fatal(err)
				}
				if _, err := m.d.db.Get(notes, "a"); !errors.Is(err, ErrNoCollection) {
					t.Fatalf("get from a destroyed collection: %v", err)
				}
				clear(m.rows)
				m.moved()
				if err := m.d.db.CreateCollection(notes, perm.For(owner, perm.CollectionTags)); err != nil {
					t.Fatal(err)
				}
				m.moved()
			},
			"": func(t *rapid.T) {
				if diff := cmp.Diff(m.rows, m.scan()); diff != "" {
					t.Fatalf("rows (-model +database):\n%s", diff)
				}
			},
		})
	})
}

// Several devices exchange in any order, with crashes, cut steps and repeated steps between, and then agree.
//
// reference: sync-191 what is received twice, in another step or from another device, changes nothing.
// reference: sync-198 of values written before a device joined the later one wins everywhere.
func TestDevicesConverge(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		devices := []*device{newDevice(t, 1).create(), newDevice(t, 2).create(), newDevice(t, 3).create()}
		defer func() {
			for _, d := range devices {
				d.close()
			}
		}()
		device := rapid.SampledFrom(devices)
		value := 0
		rt.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				d, key := device.Draw(t, "at"), rapid.SampledFrom([]string{"x", "y"}).Draw(t, "key")
				value++
				v := fmt.Sprint(value)
				if rapid.IntRange(0, 4).Draw(t, "delete") == 0 {
					d.del(key)
					return
				}
				d.now = d.now.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "ms")) * time.Millisecond)
				d.put(key, v)
			},
			"pull": func(t *rapid.T) {
				to, from := device.Draw(t, "to"), device.Draw(t, "from")
				if to == from {
					return
				}
				step := to.request(from)
				cut := rapid.IntRange(0, len(step.Commits)).Draw(t, "commits")
				whole := cut == len(step.Commits)
				if step.Commits = step.Commits[:cut]; !whole {
					step.Progress = nil
				}
				for range rapid.IntRange(1, 2).Draw(t, "times") {
					if _, err := to.db.Receive(step); err != nil {
						t.Fatal(err)
					}
				}
			},
			"crash": func(t *rapid.T) { device.Draw(t, "who").crash() },
			"sweep": func(t *rapid.T) { device.Draw(t, "who").sweep() },
			"destroy": func(t *rapid.T) {
				d := device.Draw(t, "at")
				d.now = d.now.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "ms")) * time.Millisecond)
				d.renewCollection()
			},
		})
		for range 3 {
			for _, to := range devices {
				for _, from := range devices {
					if to != from {
						to.pull(from)
					}
				}
			}
		}
		for _, d := range devices {
			d.sweep()
			d.sound()
			if diff := cmp.Diff(devices[0].heads(), d.heads()); diff != "" {
				rt.Fatalf("heads of devices 1 and %d differ (-1 +%d):\n%s", d.num, d.num, diff)
			}
			state, _ := d.watched()
			if diff := cmp.Diff(d.values(), state); diff != "" {
				rt.Fatalf("what a watcher of device %d ends with (-rows +watch):\n%s", d.num, diff)
			}
			for _, from := range devices {
				if got := d.pull(from); got.Records+got.Duplicates != 0 {
					rt.Fatalf("device %d still gets %+v from %d", d.num, got, from.num)
				}
			}
		}
	})
}

// request returns everything that another device has to say.
func (d *device) request(from *device) Step {
	d.t.Helper()
	return d.requestScopes(from, whole)
}

func (d *device) values() map[string]string {
	d.t.Helper()
	values := map[string]string{}
	err := d.db.Scan(notes, ScanRange{}, func(r *RowView) (bool, error) {
		values[string(r.Key)] = string(r.Value)
		return true, nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return values
}

// heads are the rows with their versions.
func (d *device) heads() []string {
	d.t.Helper()
	var list []string
	err := d.db.Scan(notes, ScanRange{}, func(r *RowView) (bool, error) {
		list = append(list, fmt.Sprintf("%s=%s %s", r.Key, r.Value, r.Version))
		return true, nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return list
}

// reference: sync-213 opening a database reads the end of its log, not the log.
func TestOpeningDoesNotReadTheLog(t *testing.T) {
	d := newDevice(t, 1).create()
	for i := range 50 {
		d.put(fmt.Sprint("k", i), `1`)
	}
	// All but the last entry of the sequence, and every log record, is made unreadable.
	b := d.kv.NewBatch()
	for _, space := range []byte{spaceSeq, spaceLog} {
		it, err := d.kv.Iter([]byte{space}, []byte{space + 1})
		if err != nil {
			t.Fatal(err)
		}
		var keys [][]byte
		for ok := it.First(); ok; ok = it.Next() {
			keys = append(keys, slices.Clone(it.Key()))
		}
		if err := it.Close(); err != nil {
			t.Fatal(err)
		}
		if space == spaceSeq {
			keys = keys[:len(keys)-1]
		}
		for _, key := range keys {
			b.Set(key, []byte("unreadable"))
		}
	}
	if err := b.Commit(kv.Sync); err != nil {
		t.Fatal(err)
	}
	d.crash()
	if v := d.put("k", `1`); v.Gen != 52 {
		t.Errorf("the next version is %v, want generation 52", v)
	}
}
