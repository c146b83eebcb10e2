package api

import (
	"runtime"
	"testing"
	"weak"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/rows"
)

// A message that was sent is let go, whatever becomes of the next ones: else a scan of large values has hundreds of them in memory.
func TestAMessageDoesNotKeepTheOnesBefore(t *testing.T) {
	var sent []weak.Pointer[nodev1.Row]
	out := rowBatch{send: func(list []*nodev1.Row) error {
		for _, row := range list {
			sent = append(sent, weak.Make(row))
		}
		return nil
	}}
	value := make([]byte, messageBytes)
	for _, size := range []int{1, 100, len(value), len(value), 1, len(value), len(value)} {
		row := &rows.RowView{Key: []byte("k"), Content: rows.Content{Value: value[:size]}}
		if err := out.add(row); err != nil {
			t.Fatal(err)
		}
	}
	if len(sent) != 7 {
		t.Fatalf("%d rows were sent, want 7", len(sent))
	}
	runtime.GC()
	for i, row := range sent {
		if row.Value() != nil {
			t.Errorf("row %d is still in memory after it was sent", i)
		}
	}
	runtime.KeepAlive(&out)
}
