package api

import (
	"errors"
	"strings"
	"testing"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
	"github.com/syncbase/syncbase/sdk/client"
)

// A check of a value compares the type, too, if the value names one; a type alone, or beside something else, is refused.
func TestCheckOfType(t *testing.T) {
	w := newTxWorld(t)
	ctx := t.Context()
	if _, err := w.c.Put(ctx, "k", client.Value{Bytes: []byte(`1`), Type: "note"}); err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[string]string{"": "", "note": "", "task": `"note", not "task"`} {
		op, err := w.c.CheckValueOp("k", client.Value{Bytes: []byte(`1`), Type: kind})
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.db.Commit(ctx, op)
		if (err == nil) != (want == "") || err != nil && (!errors.Is(err, client.ErrConflict) || !strings.Contains(err.Error(), want)) {
			t.Errorf("type %q: %v, want %s", kind, err, want)
		}
	}
	for what, check := range map[string]*nodev1.Check{
		"absence": {Collection: "c", Key: "k", Type: "note", Expected: &nodev1.Check_Absent{Absent: true}},
		"nothing": {Collection: "c", Key: "k", Type: "note"},
	} {
		_, err := w.raw.Commit(ctx, &nodev1.CommitRequest{Database: "db", Ops: []*nodev1.Op{{Op: &nodev1.Op_Check{Check: check}}}})
		if reasonOf(err) != "InvalidArgument INVALID" {
			t.Errorf("a type with %s: %v", what, err)
		}
	}
}

// What fits into no message is told in plain words, whichever call it was.
func TestMessageTooLarge(t *testing.T) {
	w := newTxWorld(t)
	err := w.db.SetSchema(t.Context(), client.Schema{Version: 1, Policy: make([]byte, 49<<20)})
	if !errors.Is(err, client.ErrInvalid) || !strings.HasSuffix(err.Error(), "bytes, the limit is 50331648") || strings.Contains(err.Error(), "max (") {
		t.Errorf("%v", err)
	}
}
