package host_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/syncbase/syncbase/host"
)

// A restore that fails leaves nothing that looks like a data directory, and takes away nothing that was there.
func TestFailedRestoreLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	target := filepath.Join(dir, "new", "data")
	if _, err := host.RestoreStore(context.Background(), filepath.Join(dir, "none"), target); err == nil {
		t.Fatal("restored from a backup that is not there")
	}
	if _, err := os.Stat(filepath.Join(dir, "new")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after a restore that failed: %v, want no directory", err)
	}

	file := filepath.Join(dir, "there", "file")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := host.RestoreStore(context.Background(), filepath.Join(dir, "none"), filepath.Dir(file)); err == nil {
		t.Fatal("restored from a backup that is not there")
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != "kept" {
		t.Errorf("what was there is %q, %v", got, err)
	}
}

// The daemon of a store sweeps away what it does not know in there.
func TestRestoreKeepsOutOfStores(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store := filepath.Join(dir, "data", "store")
	if err := os.MkdirAll(store, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(store, "MANIFEST-000001"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{store, filepath.Join(store, "a", "b")} {
		_, err := host.RestoreStore(context.Background(), filepath.Join(dir, "none"), target)
		if err == nil || !strings.Contains(err.Error(), "lies in the store") {
			t.Errorf("restore into %s: %v", target, err)
		}
	}
	if _, err := os.Stat(filepath.Join(store, "a")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory was made in the store: %v", err)
	}
}
