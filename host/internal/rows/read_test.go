package rows

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/syncbase/syncbase/host/internal/id"
)

// A scan shows each row once, in both directions, however long the keys are.
func TestScanInBothDirections(t *testing.T) {
	d := newDevice(t, 1).create()
	var want []string
	var ops []Op
	for i := range 3000 {
		key := fmt.Sprintf("%05d%s", i, strings.Repeat("x", i%37))
		if i%1000 == 999 {
			key += strings.Repeat("y", 3000)
		}
		want = append(want, key)
		ops = append(ops, Op{Kind: OpPut, Collection: notes, Key: key, Value: []byte(`1`)})
	}
	if _, err := d.db.Commit(ops, nil); err != nil {
		t.Fatal(err)
	}
	for _, reverse := range []bool{false, true} {
		var got []string
		err := d.db.Scan(notes, ScanRange{Reverse: reverse}, func(r *RowView) (bool, error) {
			got = append(got, string(r.Key))
			return true, nil
		})
		if reverse {
			slices.Reverse(got)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("reverse %t: %d keys, error %v, want %d", reverse, len(got), err, len(want))
		}
	}
}

// What one row of a scan has besides its value does not show in the next, which may be read another way.
func TestRowsOfAScanAreApart(t *testing.T) {
	d := newDevice(t, 1).create()
	ops := []Op{
		{Kind: OpPut, Collection: notes, Key: "a", Value: []byte("bytes"), Raw: true},
		{Kind: OpPut, Collection: notes, Key: "b", Value: []byte(`1`)},
		{Kind: OpPut, Collection: notes, Key: "c", Value: []byte(`2`), Type: "t"},
		{Kind: OpPut, Collection: notes, Key: "d", Value: []byte(`3`)},
	}
	versions, err := d.db.Commit(ops, nil)
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	err = d.db.Scan(notes, ScanRange{}, func(r *RowView) (bool, error) {
		op := ops[i]
		if string(r.Key) != op.Key || string(r.Value) != string(op.Value) || r.Raw != op.Raw || r.Type != op.Type ||
			r.Version != versions[i] || r.Version == (id.Version{}) || r.Time == 0 {
			t.Errorf("row %+v, want %+v of version %s", r, op, versions[i])
		}
		i++
		return true, nil
	})
	if err != nil || i != len(ops) {
		t.Errorf("%d rows, error %v, want %d", i, err, len(ops))
	}
}
