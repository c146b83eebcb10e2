package blobstorefs

import (
	"math"

	"golang.org/x/sys/unix"
)

// freeBytes is the space left to unprivileged users on the file system of a path.
func freeBytes(path string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, err
	}
	if st.Bsize <= 0 || st.Bavail > math.MaxInt64/uint64(st.Bsize) {
		return math.MaxInt64, nil
	}
	return int64(st.Bavail) * st.Bsize, nil
}
