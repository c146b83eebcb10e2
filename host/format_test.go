package host_test

import (
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// TestNewerDataDirectoryIsRefused stores a format version of the future in a data directory. The daemon says so, and leaves
// every file alone but those that have to be opened for the version to be read.
func TestNewerDataDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	config, err := host.LoadConfig(host.ConfigSources{DefaultName: "a", DefaultDataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	h, err := host.New(host.Options{Config: config, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	change(t, dir, func(b *kv.Batch) { b.Set([]byte("\x00format"), []byte("999")) })
	files := outside(t, dir)

	for range 2 {
		h, err := host.New(host.Options{Config: config, Version: "test"})
		if err == nil {
			t.Fatalf("a data directory of format 999 is opened, and closed with %v", h.Close())
		}
		for _, want := range []string{"newer format", "999", dir} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("the message %q lacks %q", err, want)
			}
		}
	}
	if diff := cmp.Diff(files, outside(t, dir)); diff != "" {
		t.Errorf("files changed (-before +after):\n%s", diff)
	}
}

// change commits a batch to the store of a data directory that nobody runs.
func change(t *testing.T, dir string, with func(*kv.Batch)) {
	t.Helper()
	store, err := kv.Open(filepath.Join(dir, "store"), kv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := store.NewBatch()
	with(b)
	if err := errors.Join(b.Commit(kv.Sync), store.Close()); err != nil {
		t.Fatal(err)
	}
}

// outside returns the digests of all files of a data directory but those of the store.
func outside(t *testing.T, dir string) map[string][32]byte {
	t.Helper()
	files := map[string][32]byte{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && entry.Name() == "store" {
			return fs.SkipDir
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		data, err := os.ReadFile(path)
		files[path] = sha256.Sum256(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
