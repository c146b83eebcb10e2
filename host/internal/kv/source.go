package kv

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// source is a file of a store as a sorted list of writes.
type source interface {
	// next moves on, to the first one at first.
	next() (bool, error)
	// entry is valid until the next move, but its value.
	entry() write
	// file has the number of the file: a greater one was written later.
	file() uint64
	// spare: everything in it is, or was, in other files as well.
	spare() bool
}

// sources is a heap: the first one stands on the least key, and on the newest write of it.
type sources []source

func (s sources) Len() int      { return len(s) }
func (s sources) Swap(i, j int) { s[i], s[j] = s[j], s[i] }
func (s *sources) Push(x any)   { *s = append(*s, x.(source)) }
func (s *sources) Pop() any {
	old := *s
	last := old[len(old)-1]
	*s = old[:len(old)-1]
	return last
}

// Less puts newer writes first. Writes that nothing older lies under have lost their numbers, and count as 0; a log that has the
// same key has it later.
func (s sources) Less(i, j int) bool {
	a, b := s[i].entry(), s[j].entry()
	if c := bytes.Compare(a.key, b.key); c != 0 {
		return c < 0
	}
	if a.seq != b.seq {
		return a.seq > b.seq
	}
	return s[i].file() > s[j].file()
}

// tableSource is a table, as far as parts of it belong to the store; nil is all of it.
type tableSource struct {
	it     *tableIter
	parts  []bound
	number uint64
	// seq is that of all writes, if it is not 0.
	seq pebble.SeqNum
}

func (s *tableSource) next() (bool, error) {
	for {
		ok, err := s.it.next()
		if s.seq > 0 {
			s.it.at.seq = s.seq
		}
		if !ok || err != nil || s.parts == nil {
			return ok, err
		}
		for _, p := range s.parts {
			if p.has(s.it.at.key) {
				return true, nil
			}
		}
	}
}

func (s *tableSource) entry() write { return s.it.at }
func (s *tableSource) file() uint64 { return s.number }
func (s *tableSource) spare() bool  { return false }

// logSource is a log, sorted.
type logSource struct {
	entries []write
	began   bool
	isSpare bool
	number  uint64
}

func (s *logSource) next() (bool, error) {
	if s.began {
		s.entries = s.entries[1:]
	}
	s.began = true
	return len(s.entries) > 0, nil
}

func (s *logSource) entry() write { return s.entries[0] }
func (s *logSource) file() uint64 { return s.number }
func (s *logSource) spare() bool  { return s.isSpare }

// disguised is a directory with more files than there are, and without its logs unless they are wanted.
type disguised struct {
	vfs.FS
	dir  string
	more []string
	logs bool
	// first is told of the first log that is opened.
	first func(number uint64)
}

// Open implements vfs.FS.
func (f disguised) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	if n, is := logNumber(f.PathBase(name)); is && f.first != nil {
		f.first(n)
	}
	return f.FS.Open(name, opts...)
}

// List implements vfs.FS.
func (f disguised) List(dir string) ([]string, error) {
	names, err := f.FS.List(dir)
	if dir != f.dir {
		return names, err
	}
	rest := slices.Clone(f.more)
	for _, name := range names {
		if f.logs || !strings.HasSuffix(name, ".log") {
			rest = append(rest, name)
		}
	}
	return rest, err
}

func decodeNumber(data []byte) uint64 {
	if len(data) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(data)
}
