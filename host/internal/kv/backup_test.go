package kv

import (
	"errors"
	"os"
	"path/filepath"
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
	if _, err := VerifyBackup(t.Context(), other, Options{}); !errors.Is(err, ErrBackup) {
		t.Errorf("a backup that was not finished: %v; want ErrBackup", err)
	}
}
