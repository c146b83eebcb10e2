package rows

import (
	"fmt"
	"testing"
)

// TestBatchesDoNotSeeEachOther: batches of many sizes use the same memory one after another, with rows that are there, that
// are not, that are deleted, and that come twice, in order and not.
func TestBatchesDoNotSeeEachOther(t *testing.T) {
	t.Parallel()
	d := newDevice(t, 1).create()
	want := map[string]string{}
	for round := range 60 {
		n := []int{1, 3, 8, 9, 200, 40, 1}[round%7]
		var ops []Op
		after := map[string]string{}
		for i := range n {
			key := fmt.Sprintf("%04d", (i*(1+round%3)+round*7)%257)
			if round%5 == 1 {
				key = fmt.Sprintf("%04d", (i*101+round)%97)
			}
			op := Op{Collection: notes, Key: key, Value: fmt.Appendf(nil, "%d", round*1000+i)}
			if (i+round)%4 == 0 {
				op.Kind, op.Value = OpDelete, nil
			}
			ops, after[key] = append(ops, op), string(op.Value)
		}
		versions, err := d.db.Commit(ops, nil)
		if err != nil {
			t.Fatal(err)
		}
		for key, value := range after {
			if want[key] = value; value == "" {
				delete(want, key)
			}
		}
		for i, op := range ops {
			row, err := d.db.Get(notes, op.Key)
			if got := string(row.Value); got != want[op.Key] {
				t.Fatalf("round %d: row %s is %q (%v), want %q", round, op.Key, got, err, want[op.Key])
			}
			if err == nil && row.Version != versions[i] {
				t.Fatalf("round %d: row %s has version %s, the batch said %s", round, op.Key, row.Version, versions[i])
			}
		}
	}
	rows := 0
	if err := d.db.Scan(notes, ScanRange{}, func(r *RowView) (bool, error) { rows++; return true, nil }); err != nil || rows != len(want) {
		t.Errorf("%d rows (%v), want %d", rows, err, len(want))
	}
}
