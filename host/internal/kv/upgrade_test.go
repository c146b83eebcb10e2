package kv

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// steps for a store of counters below "c" and of texts below "t": the first adds one to each counter, which would show if it
// were done twice, and the second moves the texts into a space of their own and leaves a sum of the counters.
func steps(touched *int) []Step {
	return []Step{
		{From: 1, What: "count from one", Run: func(u *Upgrade) error {
			return u.Each([]byte("c"), []byte("d"), func(b *Batch, key, value []byte) error {
				*touched++
				b.Set(key, append(bytes.Clone(value), 'i'))
				return nil
			})
		}},
		{From: 2, What: "texts apart", Run: func(u *Upgrade) error {
			err := u.Each([]byte("t"), []byte("u"), func(b *Batch, key, value []byte) error {
				*touched++
				b.Set(append([]byte("T"), key...), value)
				b.Delete(key)
				return nil
			})
			if err != nil {
				return err
			}
			return u.Each([]byte("c"), []byte("d"), func(b *Batch, key, value []byte) error {
				sum, err := u.Reader().Get([]byte("sum"))
				if err != nil && !errors.Is(err, ErrNotFound) {
					return err
				}
				b.Set(append([]byte("s"), key...), append(sum, value...))
				return nil
			})
		}},
	}
}

// old makes a store of version 1 whose texts need several batches to be moved.
func old(t *testing.T) *MemFS {
	t.Helper()
	fs := NewMemFS()
	s, err := Open("db", Options{FS: fs, version: 1})
	if err != nil {
		t.Fatal(err)
	}
	b := s.NewBatch()
	for i := range 3 {
		b.Set(fmt.Appendf(nil, "c%d", i), []byte(strings.Repeat("i", i)))
	}
	for i := range 5 {
		b.Set(fmt.Appendf(nil, "t%d", i), bytes.Repeat([]byte{'x'}, 350<<10))
	}
	if err := errors.Join(b.Commit(Sync), s.Close()); err != nil {
		t.Fatal(err)
	}
	return fs
}

// state is what is in a store, long values shortened.
func state(t *testing.T, s *Store) []string {
	t.Helper()
	rows := slices.DeleteFunc(dump(t, s, "", "\xff"), func(r string) bool { return strings.HasPrefix(r, string(markKey)) })
	for i, r := range rows {
		if len(r) > 40 {
			rows[i] = fmt.Sprintf("%s... %d", r[:5], len(r))
		}
	}
	return rows
}

var upgraded = []string{
	"\x00format=3", "Tt0=x... 358404", "Tt1=x... 358404", "Tt2=x... 358404", "Tt3=x... 358404", "Tt4=x... 358404",
	"c0=i", "c1=ii", "c2=iii", "sc0=i", "sc1=ii", "sc2=iii",
}

// TestUpgradeSurvivesACrashAtAnyWrite loses power after every single write and sync of an upgrade of two steps, and wants the
// next start to end up where an undisturbed upgrade does, and no program of the old version to open what is half done.
func TestUpgradeSurvivesACrashAtAnyWrite(t *testing.T) {
	fs := old(t)
	var left []*MemFS
	fs.disk.wrote = func() { left = append(left, fs.CrashClone()) }
	var touched int
	var told []string
	s, err := Open("db", Options{FS: fs, version: 3, Steps: steps(&touched), Upgrading: func(from, to int, what string) {
		told = append(told, fmt.Sprintf("%d-%d: %s", from, to, what))
	}})
	if err != nil {
		t.Fatal(err)
	}
	fs.disk.wrote = nil
	if diff := cmp.Diff(upgraded, state(t, s)); diff != "" {
		t.Errorf("undisturbed (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"1-2: count from one", "2-3: texts apart"}, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if len(left) < 15 {
		t.Fatalf("only %d writes were seen", len(left))
	}
	resumed := 0
	for i, after := range left {
		begun := touched
		s, err := Open("db", Options{FS: after, version: 3, Steps: steps(&touched)})
		if err != nil {
			t.Fatalf("after a crash at write %d: %v", i, err)
		}
		if diff := cmp.Diff(upgraded, state(t, s)); diff != "" {
			t.Errorf("after a crash at write %d (-want +got):\n%s", i, diff)
		}
		if touched-begun > 0 && touched-begun < 8 {
			resumed++
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if resumed == 0 {
		t.Error("no start went on in the middle")
	}
}

func TestHalfUpgradedStoreIsRefusedByTheOlderProgram(t *testing.T) {
	fs := old(t)
	broken := []Step{{From: 1, Run: func(*Upgrade) error { return errors.New("no more") }}}
	if _, err := Open("db", Options{FS: fs, version: 2, Steps: broken}); err == nil || !strings.Contains(err.Error(), "from format 1 to 2: no more") {
		t.Fatalf("a step that fails: %v", err)
	}
	if _, err := Open("db", Options{FS: fs, version: 1}); !errors.Is(err, ErrNewerFormat) {
		t.Errorf("the older program: %v; want ErrNewerFormat", err)
	}
	if _, err := Open("db", Options{FS: fs, version: 2, ReadOnly: true}); err == nil || !strings.Contains(err.Error(), "start the daemon once") {
		t.Errorf("to look at only: %v", err)
	}
	var touched int
	s, err := Open("db", Options{FS: fs, version: 3, Steps: steps(&touched)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestMissingStepIsSaid(t *testing.T) {
	if _, err := Open("db", Options{FS: old(t), version: 2}); err == nil || !strings.Contains(err.Error(), "there is no step") {
		t.Errorf("got %v", err)
	}
}

// TestNewerFormatTouchesNothing compares every file before and after.
func TestNewerFormatTouchesNothing(t *testing.T) {
	fs := old(t)
	if err := writeSmall(fs.diskFS(), "db", formatFile, "2"); err != nil {
		t.Fatal(err)
	}
	before := fs.fs.String()
	fs.disk.wrote = func() { t.Error("something was written") }
	if _, err := Open("db", Options{FS: fs, version: 1}); !errors.Is(err, ErrNewerFormat) || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("got %v; want ErrNewerFormat", err)
	}
	if after := fs.fs.String(); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

func TestLostVersionIsNoNewStore(t *testing.T) {
	fs := old(t)
	s, err := Open("db", Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	b := s.NewBatch()
	b.Delete(formatKey)
	if err := errors.Join(b.Commit(Sync), s.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open("db", Options{FS: fs}); err == nil || !strings.Contains(err.Error(), "its own version is gone") {
		t.Errorf("got %v", err)
	}
}

func FuzzDecodeProgress(f *testing.F) {
	f.Add(progress{}.append(nil))
	f.Add(progress{stages: 3, after: []byte("key")}.append(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := decodeProgress(data)
		if err != nil {
			return
		}
		again, err := decodeProgress(p.append(nil))
		if err != nil || again.stages != p.stages || !bytes.Equal(again.after, p.after) {
			t.Errorf("%x: %+v comes back as %+v, %v", data, p, again, err)
		}
	})
}
