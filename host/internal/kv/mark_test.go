package kv

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// written makes a store in a directory with so many writes, a mark after each of the first marked, and leaves it as a crash
// would: the copy that it returns was never closed.
func written(t *testing.T, writes, marked int) string {
	t.Helper()
	dir, left := filepath.Join(t.TempDir(), "db"), filepath.Join(t.TempDir(), "db")
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range writes {
		b := s.NewBatch()
		b.Set(fmt.Appendf(nil, "k%03d", i), []byte(strings.Repeat("v", 100)))
		if err := b.Commit(Sync); err != nil {
			t.Fatal(err)
		}
		if i < marked {
			if err := s.Mark(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.CopyFS(left, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return left
}

// logFile is the log of a directory that has one.
func logFile(t *testing.T, dir string) string {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil || len(logs) != 1 {
		t.Fatalf("logs %v, %v", logs, err)
	}
	return logs[0]
}

// count opens the directory and counts the rows.
func count(t *testing.T, dir string, opts Options) (int, error) {
	t.Helper()
	s, err := Open(dir, opts)
	if err != nil {
		return 0, err
	}
	n := len(dump(t, s, "k", "l"))
	return n, s.Close()
}

// TestDamagedEndOfTheLogIsNoticed changes every byte of a log, one after the other, and cuts it at every length. What was
// written before the mark is there each time, or the store is refused and nothing is touched.
func TestDamagedEndOfTheLogIsNoticed(t *testing.T) {
	const writes = 5
	dir := written(t, writes, writes)
	log := logFile(t, dir)
	whole, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	try := func(what string, damaged []byte) {
		t.Helper()
		copied := filepath.Join(t.TempDir(), "db")
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(copied, filepath.Base(log))
		if err := os.WriteFile(name, damaged, 0o644); err != nil {
			t.Fatal(err)
		}
		n, err := count(t, copied, Options{})
		switch {
		case err == nil && n == writes:
		case !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "doctor"):
			t.Errorf("%s: %d rows, %v", what, n, err)
		default:
			refused++
			if after, err := os.ReadFile(name); err != nil || string(after) != string(damaged) {
				t.Errorf("%s: the log was touched, %v", what, err)
			}
		}
	}
	for i := 0; i < len(whole); i += 19 {
		damaged := append([]byte(nil), whole...)
		damaged[i] ^= 0x10
		try(fmt.Sprintf("byte %d of %d", i, len(whole)), damaged)
	}
	for n := 0; n < len(whole); n += 37 {
		try(fmt.Sprintf("cut to %d of %d", n, len(whole)), whole[:n])
	}
	if refused < 8 {
		t.Errorf("only %d were refused", refused)
	}
}

// TestSalvageOfALogWithoutItsEnd has what is left, says that there was more, and marks go on from there.
func TestSalvageOfALogWithoutItsEnd(t *testing.T) {
	dir := written(t, 5, 5)
	log := logFile(t, dir)
	info, err := os.Stat(log)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(log, info.Size()*2/3); err != nil {
		t.Fatal(err)
	}
	if _, err := count(t, dir, Options{ReadOnly: true}); !errors.Is(err, ErrDamaged) {
		t.Errorf("to look at: %v; want ErrDamaged", err)
	}
	holds, _, losses := saved(t, dir)
	if n := len(holds); n == 0 || n == 5 {
		t.Errorf("%d rows", n)
	}
	if len(losses) != 1 || losses[0].File != "log" || losses[0].Writes >= 0 {
		t.Errorf("losses: %+v", losses)
	}
	if again, err := count(t, dir, Options{}); err != nil || again != len(holds) {
		t.Errorf("afterwards: %d rows, %v; want %d", again, err, len(holds))
	}
}

// TestCrashBetweenMarks loses power at every write of some writes and marks: what a mark says is there each time.
func TestCrashBetweenMarks(t *testing.T) {
	fs := NewMemFS()
	s, err := Open("db", Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	var left []*MemFS
	fs.disk.wrote = func() { left = append(left, fs.CrashClone()) }
	for i := range 4 {
		b := s.NewBatch()
		b.Set(fmt.Appendf(nil, "k%d", i), nil)
		if err := errors.Join(b.Commit(Sync), s.Mark()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if len(left) < 16 {
		t.Errorf("only %d writes were seen", len(left))
	}
	for i, after := range left {
		if _, err := count(t, "db", Options{FS: after}); err != nil {
			t.Errorf("after a crash at write %d: %v", i, err)
		}
	}
}

// TestUnreadableMarkSaysNothing flips the bits of the file of marks: that is no reason to refuse anything.
func TestUnreadableMarkSaysNothing(t *testing.T) {
	for i := range markLen {
		dir := written(t, 2, 2)
		name := filepath.Join(dir, markFile)
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		data[i] ^= 0xff
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if n, err := count(t, dir, Options{}); err != nil || n != 2 {
			t.Errorf("byte %d: %d rows, %v", i, n, err)
		}
	}
}

// TestNothingToMark leaves a store alone in which nothing was written.
func TestNothingToMark(t *testing.T) {
	s := openMem(t)
	if err := s.Mark(); err != nil {
		t.Fatal(err)
	}
	<-s.Wrote()
	before := s.marks.last
	if err := s.Mark(); err != nil || s.marks.last != before {
		t.Errorf("mark %d after %d, %v", s.marks.last, before, err)
	}
	select {
	case <-s.Wrote():
		t.Error("a mark counts as a write")
	default:
	}
}

// TestDamagedManifestIsNoticed changes bytes of the manifest and cuts it, to its very end: what it forgets are whole tables.
func TestDamagedManifestIsNoticed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "db")
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := s.NewBatch()
	b.Set([]byte("k"), []byte("v"))
	if err := errors.Join(b.Commit(Sync), s.db.Flush()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, manifestFile(s.marks.manifest.Load()))
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		damaged := append([]byte(nil), whole...)
		damaged[i] ^= 1
		for what, data := range map[string][]byte{"changed": damaged, "cut": whole[:i]} {
			if err := os.WriteFile(name, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(dir, Options{}); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "MANIFEST") {
				t.Fatalf("%s at %d of %d: %v", what, i, len(whole), err)
			}
		}
	}
	if err := os.WriteFile(name, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if n, err := count(t, dir, Options{}); err != nil || n != 1 {
		t.Errorf("whole again: %d rows, %v", n, err)
	}
}

// TestLostFilesAreNoticed removes each file that Pebble cannot do without.
func TestLostFilesAreNoticed(t *testing.T) {
	for _, pattern := range []string{"MANIFEST-*", "marker.manifest.*", "*.log"} {
		dir := written(t, 3, 3)
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %v, %v", pattern, names, err)
		}
		for _, name := range names {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Open(dir, Options{}); !errors.Is(err, ErrDamaged) {
			t.Errorf("without %s: %v", pattern, err)
		}
	}
	if _, err := Open(t.TempDir(), Options{ReadOnly: true}); err == nil || errors.Is(err, ErrDamaged) {
		t.Errorf("an empty directory: %v", err)
	}
}

// TestDamagedTableIsNamed changes a byte in the middle of a table: reading from it fails with its name, and nothing else does.
func TestDamagedTableIsNamed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "db")
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := s.NewBatch()
	for i := range 5000 {
		b.Set(fmt.Appendf(nil, "k%05d", i), fmt.Appendf(nil, "%032x", i*7919))
	}
	if err := errors.Join(b.Commit(Sync), s.db.Flush(), s.Close()); err != nil {
		t.Fatal(err)
	}
	var table string
	var size int64
	names, _ := filepath.Glob(filepath.Join(dir, "*.sst"))
	for _, name := range names {
		if info, err := os.Stat(name); err == nil && info.Size() > size {
			table, size = name, info.Size()
		}
	}
	data, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 0x55
	if err := os.WriteFile(table, data, 0o600); err != nil {
		t.Fatal(err)
	}
	told := make(chan string, 10)
	if s, err = Open(dir, Options{Damaged: func(path string) { told <- path }}); err != nil {
		t.Fatal(err)
	}
	failed, read := 0, 0
	for i := 0; i < 5000; i += 150 { // a read that fails takes long, as Pebble looks for the bit that flipped
		read++
		_, err := s.Get(fmt.Appendf(nil, "k%05d", i))
		if err != nil && (!errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), filepath.Base(table))) {
			t.Fatal(err)
		}
		if err != nil {
			failed++
		}
	}
	if failed < 2 || failed == read {
		t.Errorf("%d reads of %d failed", failed, read)
	}
	if path := <-told; filepath.Base(path) != filepath.Base(table) || len(told) > 0 {
		t.Errorf("told of %s and %d more", path, len(told))
	}
	b = s.NewBatch()
	b.Set([]byte("x"), nil)
	if err := errors.Join(b.Commit(Sync), s.Close()); err != nil {
		t.Errorf("a write: %v", err)
	}
}
