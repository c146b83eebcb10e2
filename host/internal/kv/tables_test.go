package kv

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

// Two spaces that are written at their ends must not be rewritten by compactions: each table lies within one space, so
// that the next one comes after it.
func TestTablesKeepWithinTheirSpace(t *testing.T) {
	s := openMem(t)
	value := make([]byte, 100)
	const rounds, keys = 12, 200
	for round := range rounds {
		b := s.NewBatch()
		for i := range keys {
			for _, space := range []byte{0x12, 0x14, 0xff} {
				binary.BigEndian.PutUint64(value, uint64(i)*0x9e3779b97f4a7c15)
				b.Set(fmt.Appendf([]byte{space}, "%09d", round*keys+i), value)
			}
		}
		if err := b.Commit(Sync); err != nil {
			t.Fatal(err)
		}
		if err := s.db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	levels, err := s.db.SSTables()
	if err != nil {
		t.Fatal(err)
	}
	tables := 0
	for _, level := range levels {
		tables += len(level)
		for i := range level {
			if lo, hi := level[i].Smallest.UserKey[0], level[i].Largest.UserKey[0]; lo != hi {
				t.Errorf("a table from space %x to %x", lo, hi)
			}
		}
	}
	if tables < 3 {
		t.Errorf("%d tables, want some for each space", tables)
	}
	if n := rewrites(s.db.Metrics()); n > 0 {
		t.Errorf("%d bytes were rewritten by compactions, want none:\n%s", n, s.db.Metrics())
	}
	if got := len(dump(t, s, "", "\xff\xff")); got != 3*rounds*keys+1 {
		t.Errorf("%d keys, want %d and the format", got, 3*rounds*keys)
	}
}

// rewrites is how many bytes compactions have written; moving a table to another level writes none.
func rewrites(m *pebble.Metrics) (n uint64) {
	for i := range m.Levels {
		n += m.Levels[i].TableBytesCompacted
	}
	return n
}
