//go:build unix

package kv

import (
	"io"
	"syscall"
)

// lockToRead fails when another process has locked the file to write, as Pebble does.
func lockToRead(fd uintptr) error {
	return syscall.FcntlFlock(fd, syscall.F_SETLK, &syscall.Flock_t{Type: syscall.F_RDLCK, Whence: io.SeekStart})
}
