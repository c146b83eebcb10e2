package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// visit uses the data directory as a daemon does from start to stop, and returns as whom it writes.
func visit(t *testing.T, dir string, orderly bool) id.Writer {
	t.Helper()
	store, err := kv.Open(filepath.Join(dir, storeDir), kv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	tokens := 0
	m := marker{dir: dir, store: store, token: func() string {
		tokens++
		return fmt.Sprintf("%032x", time.Now().UnixNano()+int64(tokens))
	}}
	if _, err := m.settle(); err != nil {
		t.Fatal(err)
	}
	s, err := rows.Open(store, rows.Options{Now: time.Now, NewDevice: func() id.Device { return id.Device{1} }})
	if err != nil {
		t.Fatal(err)
	}
	if orderly {
		token, err := m.read()
		if err == nil {
			err = m.mark(token)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return s.Writer()
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// A device writes as another one exactly where its data may have a past that it does not know of.
func TestPlaceOfDataDirectory(t *testing.T) {
	for name, test := range map[string]struct {
		// happen changes what is in the directory and returns where it is afterwards; earlier is a copy of the store made
		// while the daemon ran before.
		happen  func(t *testing.T, dir, earlier string) string
		another bool
	}{
		"nothing": {func(_ *testing.T, dir, _ string) string { return dir }, false},
		"renamed": {func(t *testing.T, dir, _ string) string {
			to := dir + "-elsewhere"
			if err := os.Rename(dir, to); err != nil {
				t.Fatal(err)
			}
			return to
		}, false},
		"copied": {func(t *testing.T, dir, _ string) string {
			copyDir(t, dir, dir+"-copy")
			return dir + "-copy"
		}, true},
		"written over by a copy": {func(t *testing.T, dir, _ string) string {
			data, err := os.ReadFile(filepath.Join(dir, placeFile))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, placeFile), data, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			return dir
		}, true},
		"store put back": {func(t *testing.T, dir, earlier string) string {
			if err := os.RemoveAll(filepath.Join(dir, storeDir)); err != nil {
				t.Fatal(err)
			}
			copyDir(t, earlier, filepath.Join(dir, storeDir))
			return dir
		}, true},
		"file lost": {func(t *testing.T, dir, _ string) string {
			if err := os.Remove(filepath.Join(dir, placeFile)); err != nil {
				t.Fatal(err)
			}
			return dir
		}, true},
	} {
		for _, orderly := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/orderly=%v", name, orderly), func(t *testing.T) {
				root := t.TempDir()
				dir, earlier := filepath.Join(root, "data"), filepath.Join(root, "earlier")
				if err := os.Mkdir(dir, 0o700); err != nil {
					t.Fatal(err)
				}
				first := visit(t, dir, orderly)
				copyDir(t, filepath.Join(dir, storeDir), earlier)
				if again := visit(t, dir, orderly); again != first {
					t.Fatalf("after a restart it writes as %s, before as %s", again, first)
				}
				dir = test.happen(t, dir, earlier)
				now := visit(t, dir, orderly)
				if (now != first) != test.another || now.Device != first.Device {
					t.Errorf("it writes as %s, before as %s; want another: %v", now, first, test.another)
				}
				if again := visit(t, dir, orderly); again != now {
					t.Errorf("and after one more restart as %s, before as %s", again, now)
				}
			})
		}
	}
}

// Power may fail between the entry in the store and the file.
func TestPlaceSurvivesPowerLoss(t *testing.T) {
	dir := t.TempDir()
	first := visit(t, dir, true)
	store, err := kv.Open(filepath.Join(dir, storeDir), kv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m := marker{dir: dir, store: store}
	token, err := m.read()
	if err == nil {
		err = m.note(place{Tokens: []string{token, "the next one, which the file has not got"}})
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if now := visit(t, dir, true); now != first {
		t.Errorf("it writes as %s, before as %s", now, first)
	}
}

// A full disk keeps nobody from reading: the old token stays, unless another writer is needed, which nobody may go on without.
func TestPlaceOnFullDisk(t *testing.T) {
	disk, dir := kv.NewMemFS(), t.TempDir()
	store, err := kv.Open("db", kv.Options{FS: disk})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	tokens := 0
	m := marker{dir: dir, store: store, token: func() string {
		tokens++
		return fmt.Sprintf("%032x", tokens)
	}}
	settle := func(free uint64, unmarked, failed, renewed bool) {
		t.Helper()
		disk.SetFree(free)
		why, err := m.settle()
		if errors.Is(err, errUnmarked) != unmarked || (err != nil) != (unmarked || failed) || (why != "") != renewed {
			t.Errorf("with %d MiB free: %q, %v", free>>20, why, err)
		}
	}
	settle(100<<20, false, false, false)
	s, err := rows.Open(store, rows.Options{Now: time.Now, NewDevice: func() id.Device { return id.Device{1} }})
	if err != nil {
		t.Fatal(err)
	}
	first := s.Writer()
	settle(1<<20, true, false, false)
	settle(32<<20, false, false, false)
	settle(1<<20, true, false, false)
	if err := os.Remove(m.path()); err != nil {
		t.Fatal(err)
	}
	settle(1<<20, false, true, true)
	settle(100<<20, false, false, true)
	if s, err = rows.Open(store, rows.Options{Now: time.Now}); err != nil || s.Writer() == first {
		t.Errorf("still the same writer %s, %v", first, err)
	}
	settle(100<<20, false, false, false)
}
