//go:build unix

package host

import (
	"fmt"
	"os"
	"syscall"
)

// inode names a file on this machine, empty if it cannot be told.
func inode(path string) string {
	st, err := os.Stat(path)
	if err != nil {
		return ""
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%d:%d", sys.Dev, sys.Ino)
}
