package kv

import (
	"errors"
	"io"
	"io/fs"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// readersFS is for who only reads: where the file that locks a directory cannot be written, such as on a disk that is mounted
// read-only, it is locked as it is. That keeps out who writes all the same, and a directory without the file is nobody's.
type readersFS struct{ vfs.FS }

// Lock implements vfs.FS.
func (r readersFS) Lock(name string) (io.Closer, error) {
	held, err := r.FS.Lock(name)
	if !errors.Is(err, syscall.EROFS) && !deniedFile(err) {
		return held, err
	}
	f, err := r.FS.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return unlocked{}, nil
	}
	if err != nil {
		return nil, err
	}
	if f.Fd() != vfs.InvalidFd {
		if err := lockToRead(f.Fd()); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	return f, nil
}

// deniedFile tells a file that the user may not open from a lock that somebody else holds, which has the same number.
func deniedFile(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path) && errors.Is(err, fs.ErrPermission)
}

type unlocked struct{}

func (unlocked) Close() error { return nil }
