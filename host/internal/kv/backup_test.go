package kv

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestBackupCoversWhatLiesBesideTheStore damages a file beside the copy of the store, and leads another one out of the backup.
func TestBackupCoversWhatLiesBesideTheStore(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	dir := filepath.Join(t.TempDir(), "copy")
	m, err := s.Backup(t.Context(), dir, time.Unix(1, 0), func(w *Beside) error { return w.Add("blobs", "00ff", []byte("bytes")) })
	if err != nil || len(m.Beside) != 1 || m.Beside[0].Name != "blobs/00ff" {
		t.Fatalf("%+v, %v", m, err)
	}
	if _, err := VerifyBackup(t.Context(), dir, Options{}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "blobs", "00ff"), []byte("bytez"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyBackup(t.Context(), dir, Options{}); !errors.Is(err, ErrBackup) {
		t.Errorf("a damaged file: %v; want ErrBackup", err)
	}
	for _, name := range []string{"../out", "/etc/passwd", "store/000001.log", "MANIFEST.json"} {
		m.Beside[0].Name = name
		if err := writeManifest(s.fs, dir, m); err != nil {
			t.Fatal(err)
		}
		if _, err := VerifyBackup(t.Context(), dir, Options{}); !errors.Is(err, ErrBackup) {
			t.Errorf("%s: %v; want ErrBackup", name, err)
		}
	}
	failed := errors.New("no blob store")
	other := filepath.Join(t.TempDir(), "other")
	if _, err := s.Backup(t.Context(), other, time.Unix(1, 0), func(*Beside) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(other); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of a backup that failed something is left: %v", err)
	}
}

// A backup that fails leaves what was there before, and nothing else; and none is made in the directory of the store.
func TestBackupThatFailsLeavesNothing(t *testing.T) {
	base := t.TempDir()
	s, err := Open(filepath.Join(base, "db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	failed := errors.New("no blob store")
	fail := func(w *Beside) error { return errors.Join(w.Add("blobs", "00ff", []byte("bytes")), failed) }
	empty := filepath.Join(base, "empty")
	if err := os.Mkdir(empty, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{empty, filepath.Join(base, "new"), filepath.Join(base, "new", "of", "several")} {
		if _, err := s.Backup(t.Context(), dir, time.Unix(1, 0), fail); !errors.Is(err, failed) {
			t.Errorf("%s: got %v", dir, err)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Backup(gone, filepath.Join(base, "interrupted"), time.Unix(1, 0)); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: got %v", err)
	}
	for _, dir := range []string{filepath.Join(base, "db"), filepath.Join(base, "db", "copy"), filepath.Join(base, "empty", "..", "db", "a", "b")} {
		if _, err := s.Backup(t.Context(), dir, time.Unix(1, 0)); err == nil || !strings.Contains(err.Error(), "is in that of the store") {
			t.Errorf("a backup into %s: %v", dir, err)
		}
	}
	entries, err := os.ReadDir(base)
	if err != nil || len(entries) != 2 || entries[0].Name() != "db" || entries[1].Name() != "empty" {
		t.Errorf("%v, %v; want db and empty alone", entries, err)
	}
	if inside, err := os.ReadDir(empty); err != nil || len(inside) != 0 {
		t.Errorf("%v, %v; want nothing", inside, err)
	}
	// What somebody else has put there meanwhile stays, and what is there is no place for a backup.
	foreign := filepath.Join(empty, "mine")
	_, err = s.Backup(t.Context(), empty, time.Unix(1, 0), func(*Beside) error {
		return errors.Join(os.WriteFile(foreign, nil, 0o600), failed)
	})
	if !errors.Is(err, failed) {
		t.Errorf("got %v", err)
	}
	if _, err := s.Backup(t.Context(), empty, time.Unix(1, 0)); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("into what is not empty: %v", err)
	}
	if inside, err := os.ReadDir(empty); err != nil || len(inside) != 1 {
		t.Errorf("%v, %v; want what somebody else has put there", inside, err)
	}
}
