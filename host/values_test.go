package host_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/syncbase/syncbase/sdk/client"
)

// Also a daemon without a blobstore knows what a reference is: its rows may name blobs that others keep.
func TestMalformedValuesAreRefused(t *testing.T) {
	d := newDaemon(t, "box", "")
	db := d.client.Database("db")
	_, err := db.Create(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.notes().Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]string{
		`{"file":{"$blob":"garbage"}}`: "garbage",
		`[{"$blob":5}]`:                "5",
		"{\"x\":\"a\xff\"}":            "raw",
	} {
		_, err := d.notes().Put(t.Context(), "k", client.Value{Bytes: []byte(value)})
		if !errors.Is(err, client.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("put %q: %v, want ErrInvalid with %q", value, err, want)
		}
		err = db.RunInBatch(t.Context(), client.RunOptions{}, func(tx *client.Tx) error {
			return tx.Put(t.Context(), d.notes(), "k", client.Value{Bytes: []byte(value)})
		})
		if !errors.Is(err, client.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("batch %q: %v, want ErrInvalid with %q", value, err, want)
		}
	}
	if rows := d.rows(); len(rows) != 0 {
		t.Errorf("rows after refused puts: %v", rows)
	}
	d.put("k", map[string]any{"$blob": "blob1-" + strings.Repeat("0", 64)})
}
