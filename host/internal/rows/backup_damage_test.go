package rows

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/perm"
)

// A store with a table that is damaged is not backed up: the copy would be damaged, too.
func TestNoBackupOfWhatIsDamaged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "db")
	open := func() (*kv.Store, *Store) {
		store, err := kv.Open(dir, kv.Options{MemTableBytes: 64 << 10})
		if err != nil {
			t.Fatal(err)
		}
		s, err := Open(store, Options{Now: time.Now, NewDevice: func() id.Device { return id.Device{1} }})
		if err != nil {
			t.Fatal(err)
		}
		return store, s
	}
	store, s := open()
	db, err := s.Create(dbName, perm.For(owner, perm.DatabaseTags))
	if err == nil {
		err = db.CreateCollection(notes, perm.For(owner, perm.CollectionTags))
	}
	for i := range 2000 {
		if err == nil {
			_, err = db.Commit([]Op{{Collection: notes, Key: benchKey(i), Value: benchValue(i)}}, nil)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Backup(t.Context(), filepath.Join(t.TempDir(), "whole")); err != nil {
		t.Errorf("backup of a whole store: %v", err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	var largest string
	var size int64
	tables, _ := filepath.Glob(filepath.Join(dir, "*.sst"))
	for _, name := range tables {
		if info, err := os.Stat(name); err == nil && info.Size() > size {
			largest, size = name, info.Size()
		}
	}
	data, err := os.ReadFile(largest)
	if err != nil {
		t.Fatal(err)
	}
	copy(data[len(data)/2:], "XXXXXXXX")
	if err := os.WriteFile(largest, data, 0o600); err != nil {
		t.Fatal(err)
	}
	store, s = open()
	defer store.Close()
	to := filepath.Join(t.TempDir(), "copy")
	if _, err := s.Backup(t.Context(), to); !errors.Is(err, kv.ErrDamaged) || !strings.Contains(err.Error(), filepath.Base(largest)) {
		t.Errorf("backup of a damaged store: %v", err)
	}
	if _, err := os.Stat(to); err == nil {
		t.Error("the backup has begun all the same")
	}
}
