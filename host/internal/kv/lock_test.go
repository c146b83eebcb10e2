package kv

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// lockedAway is a disk that nothing can be written to.
type lockedAway struct {
	vfs.FS
	t   *testing.T
	err error
}

func (l lockedAway) refuse(op, name string) error {
	if filepath.Base(name) != "LOCK" {
		l.t.Errorf("%s of %s, on a disk that nothing can be written to", op, name)
	}
	return &fs.PathError{Op: op, Path: name, Err: l.err}
}

func (l lockedAway) Create(name string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	return nil, l.refuse("create", name)
}
func (l lockedAway) OpenReadWrite(name string, _ vfs.DiskWriteCategory, _ ...vfs.OpenOption) (vfs.File, error) {
	return nil, l.refuse("open to write", name)
}
func (l lockedAway) ReuseForWrite(name, _ string, _ vfs.DiskWriteCategory) (vfs.File, error) {
	return nil, l.refuse("reuse", name)
}
func (l lockedAway) Link(name, _ string) error                 { return l.refuse("link", name) }
func (l lockedAway) Remove(name string) error                  { return l.refuse("remove", name) }
func (l lockedAway) RemoveAll(name string) error               { return l.refuse("remove", name) }
func (l lockedAway) Rename(name, _ string) error               { return l.refuse("rename", name) }
func (l lockedAway) MkdirAll(name string, _ fs.FileMode) error { return l.refuse("mkdir", name) }
func (l lockedAway) Lock(name string) (io.Closer, error)       { return nil, l.refuse("lock", name) }

// A store on a disk that is mounted read-only, or that belongs to somebody else, can be read, with or without the file that locks it.
func TestOpenWhereNothingCanBeWritten(t *testing.T) {
	for what, err := range map[string]error{"read-only": syscall.EROFS, "not ours": syscall.EACCES} {
		t.Run(what, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "db")
			s, opened := Open(dir, Options{})
			if opened != nil {
				t.Fatal(opened)
			}
			b := s.NewBatch()
			b.Set([]byte("k"), []byte("v"))
			if err := errors.Join(b.Commit(Sync), s.Close()); err != nil {
				t.Fatal(err)
			}
			away := lockedAway{vfs.Default, t, err}
			for range 2 {
				s, err := Open(dir, Options{ReadOnly: true, beneath: away})
				if err != nil {
					t.Fatal(err)
				}
				value, err := s.Get([]byte("k"))
				if err = errors.Join(err, s.Close()); err != nil || string(value) != "v" {
					t.Errorf("%q, %v", value, err)
				}
				if err := vfs.Default.Remove(filepath.Join(dir, "LOCK")); err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Fatal(err)
				}
			}
		})
	}
}

// Who may not open the files is not told that the store is in use.
func TestDeniedIsNotLocked(t *testing.T) {
	err := openError("db", &fs.PathError{Op: "open", Path: "db/LOCK", Err: syscall.EACCES})
	if errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("denied: %v", err)
	}
	if err := openError("db", syscall.EACCES); !errors.Is(err, ErrLocked) {
		t.Errorf("locked by another: %v", err)
	}
}
