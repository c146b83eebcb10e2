package kv

import (
	"bytes"
	"fmt"
	"testing"
)

// Batches that no memory table takes do not stay in memory, however many there are, and are there as any other, also after power fails.
func TestLargeBatchesDoNotStayInMemory(t *testing.T) {
	fs := NewMemFS()
	const table = 1 << 20
	s, err := Open("db", Options{FS: fs, MemTableBytes: table})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	value := bytes.Repeat([]byte("v"), table)
	for i := range 8 {
		b := s.NewBatch()
		for _, space := range "ab" {
			b.Set(fmt.Appendf(nil, "%c%d", space, i), value)
			b.Set(fmt.Appendf(nil, "%c", space), fmt.Append(nil, i))
		}
		if err := b.Apply(); err != nil {
			t.Fatal(err)
		}
		if err := b.Wait(); err != nil {
			t.Fatal(err)
		}
		if held := s.db.Metrics().MemTable.Size; held > table {
			t.Fatalf("after %d batches %d bytes of them are in memory, and a memory table has %d", i+1, held, table)
		}
	}
	after, err := Open("db", Options{FS: fs.CrashClone()})
	if err != nil {
		t.Fatal(err)
	}
	defer after.Close()
	for _, space := range "ab" {
		if got, err := after.Get(fmt.Appendf(nil, "%c", space)); err != nil || string(got) != "7" {
			t.Errorf("after a crash %c is %q (%v), want that of the last batch", space, got, err)
		}
		for i := range 8 {
			if got, err := after.Get(fmt.Appendf(nil, "%c%d", space, i)); err != nil || !bytes.Equal(got, value) {
				t.Errorf("after a crash %c%d has %d bytes (%v)", space, i, len(got), err)
			}
		}
	}
}
