//go:build unix

package kv

import "syscall"

// maxOpenFiles bounds the tables that Pebble keeps open: a quarter of the descriptors that the process may have, since peers, plugins and
// logs need some as well.
func maxOpenFiles() int {
	const most = 1000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return most
	}
	return int(min(most, max(uint64(limit.Cur)/4, 64)))
}
