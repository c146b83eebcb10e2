package kv

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// hurt makes a store of tables with random values, and changes a byte in the middle of its greatest table.
func hurt(t *testing.T) (s *Store, file string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "db")
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	random := rand.NewChaCha8([32]byte{1})
	b := s.NewBatch()
	for i := range 2000 {
		value := make([]byte, 100)
		_, _ = random.Read(value)
		b.Set(fmt.Appendf(nil, "k%05d", i), value)
	}
	if err := errors.Join(b.Commit(Sync), s.db.Flush(), s.Close()); err != nil {
		t.Fatal(err)
	}
	file = greatest(t, dir)
	spoil(t, file)
	if s, err = Open(dir, Options{ReadOnly: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, filepath.Base(file)
}

func greatest(t *testing.T, dir string) (file string) {
	t.Helper()
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal(tables, err)
	}
	size := func(name string) int64 {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	return slices.MaxFunc(tables, func(a, b string) int { return int(size(a) - size(b)) })
}

func spoil(t *testing.T, file string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err == nil {
		data[len(data)/2] ^= 0x10
		err = os.WriteFile(file, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Once a damaged block was found, whoever comes upon it is told so without Pebble looking for what is wrong with it; and when the table is
// whole again, it is read.
func TestKnownDamageIsRefusedAtOnce(t *testing.T) {
	s, file := hurt(t)
	told := 0
	losses, err := s.Losses(t.Context(), func(done, of int) {
		if told++; done != told-1 || of < told {
			t.Errorf("told of table %d of %d at call %d", done, of, told)
		}
	})
	if err != nil || len(losses) != 1 || losses[0].File != file || !strings.HasSuffix(losses[0].Cause, "checksum mismatch") || losses[0].Writes <= 0 || told == 0 {
		t.Fatalf("%+v, %v, told %d times", losses, err, told)
	}
	lost := 0
	for fmt.Sprintf("k%05d", lost) <= string(losses[0].After) {
		lost++
	}
	if _, err := s.Get(fmt.Appendf(nil, "k%05d", lost)); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), file) || strings.Contains(err.Error(), "!=") {
		t.Errorf("a lost key: %v, want what is known, and no sums", err)
	}
	n := 0
	it, err := Around(s, losses).Iter([]byte("k"), []byte("l"))
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	if err := it.Close(); err != nil || n != 2000-losses[0].Writes {
		t.Errorf("%d keys around %d lost ones, %v", n, losses[0].Writes, err)
	}
	spoil(t, filepath.Join(s.dir, file)) // and back
	if losses, err := s.Losses(t.Context(), nil); err != nil || len(losses) != 0 {
		t.Errorf("%+v, %v", losses, err)
	}
	if _, err := s.Get(fmt.Appendf(nil, "k%05d", lost)); err != nil {
		t.Errorf("a key that was lost: %v", err)
	}
}
