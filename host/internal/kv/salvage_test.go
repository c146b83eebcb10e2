package kv

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// wrecked makes a store in several tables and logs, in which keys were overwritten, removed one by one and in ranges, and
// returns what it holds. After each so many writes they are flushed,
// and a table comes in.
func wrecked(t *testing.T, flush, enter int) (dir string, holds map[string]string) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	dir = filepath.Join(t.TempDir(), "db")
	s, err := Open(dir, Options{MemTableBytes: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	holds = map[string]string{}
	for i := range 3000 {
		key, value := fmt.Sprintf("%c%05d", 'k'+random.IntN(3), random.IntN(1500)), strings.Repeat(fmt.Sprint(i, "."), 40)
		b := s.NewBatch()
		switch {
		case i%500 == 499:
			hi := key + "0"
			if len(key) > 2 {
				hi = key[:3] + "~"
			}
			b.DeleteRange([]byte(key), []byte(hi))
			maps.DeleteFunc(holds, func(k, _ string) bool { return k >= key && k < hi })
		case i%7 == 0:
			b.Delete([]byte(key))
			delete(holds, key)
		default:
			b.Set([]byte(key), []byte(value))
			holds[key] = value
		}
		if err := b.Commit(NoSync); err != nil {
			t.Fatal(err)
		}
		if i%enter == enter-1 {
			tables := s.NewTables()
			for k := range 20 {
				key, value := fmt.Sprintf("k%05d", random.IntN(50)+k*70), fmt.Sprint("entered", i, k)
				if err := tables.Set([]byte(key), []byte(value)); err != nil {
					t.Fatal(err)
				}
				holds[key] = value
			}
			if err := tables.Ingest(); err != nil {
				t.Fatal(err)
			}
		}
		if i%flush == flush-1 {
			if err := s.db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, holds
}

// saved salvages a directory and returns what came out.
func saved(t *testing.T, dir string) (holds map[string]string, s Salvaged, losses []Loss) {
	t.Helper()
	before := contents(t, dir)
	aside := filepath.Join(t.TempDir(), "aside", "store")
	s, err := Salvage(t.Context(), dir, aside, Options{}, func(l Loss) { losses = append(losses, l) }, func(*Store) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	if after := contents(t, aside); !maps.Equal(before, after) {
		t.Error("the damaged store was touched")
	}
	store, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	it, err := store.Iter([]byte("k"), []byte("z"))
	if err != nil {
		t.Fatal(err)
	}
	holds = map[string]string{}
	for ok := it.First(); ok; ok = it.Next() {
		holds[string(it.Key())] = string(it.Value())
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return holds, s, losses
}

// contents are all files of a directory but the lock.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if e.Name() != "LOCK" {
			files[e.Name()] = string(data)
		}
	}
	return files
}

func filesOf(t *testing.T, dir, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(names) == 0 {
		t.Fatalf("no %s: %v", pattern, err)
	}
	return names
}

// TestSalvageWithoutAManifest has everything again where nothing but the manifest was lost, by the tables and logs alone.
func TestSalvageWithoutAManifest(t *testing.T) {
	for _, what := range []string{"nothing", "MANIFEST-*", "marker.manifest*", "a byte"} {
		t.Run(what, func(t *testing.T) {
			enter := 700
			if what != "nothing" {
				enter = 1 << 30 // without a manifest nothing tells when a table came in
			}
			dir, want := wrecked(t, 900, enter)
			switch what {
			case "nothing":
			case "a byte":
				for _, f := range filesOf(t, dir, "MANIFEST-*") {
					flipByte(t, f, 200)
				}
			default:
				for _, f := range filesOf(t, dir, what) {
					if err := os.Remove(f); err != nil {
						t.Fatal(err)
					}
				}
			}
			got, s, losses := saved(t, dir)
			if !maps.Equal(got, want) {
				t.Errorf("%d keys, want %d", len(got), len(want))
			}
			if blind := what != "nothing"; s.Blind != blind || (len(losses) > 0) != blind {
				t.Errorf("%+v, %+v", s, losses)
			}
		})
	}
}

func flipByte(t *testing.T, name string, at int) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if at < 0 {
		at += len(data)
	}
	data[at] ^= 0x10
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestSalvageNamesWhatIsLost damages one file after the other in one place. All keys outside of what is named are as they were.
func TestSalvageNamesWhatIsLost(t *testing.T) {
	dir, want := wrecked(t, 1000, 700)
	for i, name := range filesOf(t, dir, "*.sst") {
		if i%3 != 0 {
			continue // the spaces of keys come in turns
		}
		size, _ := os.Stat(name)
		for _, at := range []int{-1, 10, int(size.Size() / 2), int(size.Size()) - 30} {
			t.Run(fmt.Sprint(filepath.Base(name), at), func(t *testing.T) {
				copied := filepath.Join(t.TempDir(), "db")
				if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
					t.Fatal(err)
				}
				for _, log := range filesOf(t, copied, "*.log") {
					if err := os.Remove(log); err != nil { // they would make up for it
						t.Fatal(err)
					}
				}
				damaged := filepath.Join(copied, filepath.Base(name))
				if at < 0 {
					if err := os.Remove(damaged); err != nil {
						t.Fatal(err)
					}
				} else {
					flipByte(t, damaged, at)
				}
				got, s, losses := saved(t, copied)
				if s.Blind {
					t.Errorf("blind: %+v", losses)
				}
				lost := func(key string) bool {
					return slices.ContainsFunc(losses, func(l Loss) bool {
						return l.UpTo != nil && bytes.Compare([]byte(key), l.After) > 0 && bytes.Compare([]byte(key), l.UpTo) <= 0
					})
				}
				for key, value := range want {
					if got[key] != value && !lost(key) {
						t.Fatalf("%s is not what it was, and is not named in %+v", key, losses)
					}
				}
				for key := range got {
					if _, is := want[key]; !is && !lost(key) {
						t.Fatalf("%s is back, and is not named in %+v", key, losses)
					}
				}
			})
		}
	}
}
