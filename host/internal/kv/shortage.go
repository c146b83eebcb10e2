package kv

import "github.com/cockroachdb/pebble/v2/vfs"

// Space is how much room a store has. The zero value is that of a file system that cannot tell.
type Space struct {
	// Free are the bytes that are left on the disk.
	Free uint64
	// Reserve is what the store keeps free: a write fails with ErrFull when less would be left after it.
	Reserve uint64
	// Short: so little is left that a large write may be refused now, and any write soon.
	Short bool
}

// Refuses reports whether every write is refused but those that make room.
func (s Space) Refuses() bool { return s.Free < s.Reserve }

// shortAt is how many reserves are still free when the space is called short: the reserve, and what the largest write takes.
const shortAt = 3

// Space looks how much room there is.
func (s *Store) Space() Space {
	usage, err := s.fs.GetDiskUsage(s.dir)
	if err != nil || s.minFree == 0 {
		return Space{}
	}
	return s.space(usage)
}

// Free returns what is left of the disk, if the file system can tell.
func (s *Store) Free() (bytes uint64, known bool) {
	usage, err := s.fs.GetDiskUsage(s.dir)
	return usage.AvailBytes, err == nil
}

// space judges what the disk says, and tells when that is another judgement than the last one.
func (s *Store) space(usage vfs.DiskUsage) Space {
	now := Space{Free: usage.AvailBytes, Reserve: s.minFree, Short: usage.AvailBytes < shortAt*s.minFree}
	if s.short.Swap(now.Short) != now.Short && s.shortage != nil {
		s.shortage(now)
	}
	return now
}

// Failed returns why the store takes no more writes, wrapping ErrFailed; nil while it does.
func (s *Store) Failed() error { return s.broken() }
