package kv

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// reference: store-081 a store is made where there is none, what is there is opened as it is, and who only wants to look makes
// nothing.
// reference: store-091 without a store, looking fails; a damaged one is refused each time and left in place, until a salvage puts it aside
// and an empty or saved one in its place; and what is removed with its directory is gone.
func TestOpenMakesKeepsOrRefuses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "db")
	if _, err := Open(dir, Options{ReadOnly: true}); err == nil {
		t.Fatal("a store that is not there was opened to be read")
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("looking made the directory: %v", err)
	}
	write := func(key string) {
		t.Helper()
		s, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(set(t, s, key, 10), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
	holds := func(key string, want bool) {
		t.Helper()
		s, err := Open(dir, Options{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := s.Get([]byte(key)); (err == nil) != want || err != nil && !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v, want it there: %v", key, err, want)
		}
	}
	write("first")
	write("second")
	holds("first", true)
	if err := os.WriteFile(filepath.Join(dir, "FORMAT"), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := Open(dir, Options{}); !errors.Is(err, ErrDamaged) {
			t.Fatalf("a damaged store: %v", err)
		}
	}
	aside := filepath.Join(t.TempDir(), "aside")
	if _, err := Salvage(t.Context(), dir, aside, Options{}, func(Loss) {}, func(*Store) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(aside, "FORMAT")); err != nil || string(text) != "nonsense" {
		t.Errorf("put aside: %q, %v", text, err)
	}
	write("third")
	holds("second", true)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	write("fourth")
	holds("first", false)

	// Nothing of it can be read: what takes its place is empty, and usable.
	if err := garbleAll(dir); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := Open(dir, Options{}); !errors.Is(err, ErrDamaged) {
			t.Fatalf("a store of nonsense: %v", err)
		}
	}
	aside = filepath.Join(t.TempDir(), "aside")
	if _, err := Salvage(t.Context(), dir, aside, Options{}, func(Loss) {}, func(*Store) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(aside, "FORMAT")); err != nil || string(text) != "nonsense" {
		t.Errorf("put aside: %q, %v", text, err)
	}
	holds("fourth", false)
	write("fifth")
	holds("fifth", true)
}

// garbleAll writes something else into every file of a directory.
func garbleAll(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if e.Type().IsRegular() {
			err = errors.Join(err, os.WriteFile(filepath.Join(dir, e.Name()), []byte("nonsense"), 0o600))
		}
	}
	return err
}
