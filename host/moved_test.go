package host_test

import (
	"os"
	"path/filepath"
	"testing"
)

// reference: store-098 a daemon on a data directory that was moved elsewhere has what it had, is who it was, and goes on.
func TestMovedDataDirectory(t *testing.T) {
	d := newDaemon(t, "a", "")
	db := d.client.Database("db")
	if _, err := db.Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := d.notes().Create(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	d.put("k", 1)
	was, err := d.client.Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d.stop()
	moved := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.Rename(d.dir, moved); err != nil {
		t.Fatal(err)
	}
	d.dir, d.identity = moved, filepath.Join(moved, "identity")
	d.start()
	is, err := d.client.Identity(t.Context())
	if err != nil || is != was {
		t.Errorf("it was %+v, and is %+v, %v", was, is, err)
	}
	d.put("l", 2)
	if got := d.rows(); len(got) != 2 || got["k"] != "1" || got["l"] != "2" {
		t.Errorf("it has %v", got)
	}
}
