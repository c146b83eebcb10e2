package host_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// firstWith returns the first key that begins with a byte, and its value.
func firstWith(t *testing.T, s *kv.Store, space byte) (key, value []byte) {
	t.Helper()
	it, err := s.Iter([]byte{space}, []byte{space + 1})
	if err != nil {
		t.Fatal(err)
	}
	if !it.First() {
		t.Fatalf("nothing in space %x", space)
	}
	key, value = append(key, it.Key()...), append(value, it.Value()...)
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return key, value
}

// TestRepairStore damages what is kept of blobs, each time in one way, finds it, repairs it, and finds nothing any more; and so
// with rows whose index of references is made anew after them. Before it changes anything there is a copy.
func TestRepairStore(t *testing.T) {
	const chunk, blob, recipe, reference, signpost, missing = 0x40, 0x42, 0x43, 0x44, 0x45, 0x46
	remove := func(space byte) func(*goldenStore, *kv.Batch) {
		return func(g *goldenStore, b *kv.Batch) {
			key, _ := firstWith(t, g.kv, space)
			b.Delete(key)
		}
	}
	garble := func(space byte) func(*goldenStore, *kv.Batch) {
		return func(g *goldenStore, b *kv.Batch) {
			key, _ := firstWith(t, g.kv, space)
			b.Set(key, []byte{0xee})
		}
	}
	for name, c := range map[string]struct {
		plant func(g *goldenStore, b *kv.Batch)
		rule  string
		loses bool
		// changed: the store says something else afterwards.
		changed bool
	}{
		"a reference is lost": {func(g *goldenStore, b *kv.Batch) {
			it, err := g.kv.Iter([]byte{reference}, []byte{reference + 1})
			g.ok(err)
			it.Last() // that of a row; the first one is kept by the database
			b.Delete(it.Key())
			g.ok(it.Close())
		}, "blob-reference", false, false},
		"a reference has no row": {func(g *goldenStore, b *kv.Batch) {
			key, _ := firstWith(t, g.kv, reference)
			b.Set(append(key[:33], 0, 0, 0, 1, 0, 0, 0, 1, 'x'), nil)
		}, "blob-reference", false, false},
		"a reference has no database": {func(g *goldenStore, b *kv.Batch) {
			key, _ := firstWith(t, g.kv, reference)
			b.Set(append(binary.BigEndian.AppendUint32(key[:33], 77), 0, 0, 0, 0), nil)
		}, "blob-reference", false, false},
		"a missing blob is not listed": {remove(missing), "blob-missing", false, false},
		"a chunk is lost":              {remove(chunk), "blob-whole", false, true},
		"a recipe is damaged":          {garble(recipe), "blob-whole", true, true},
		"a blob record is damaged":     {garble(blob), "blob-encoding", false, false},
		"a signpost is damaged":        {garble(signpost), "blob-encoding", true, true},
		"a row and its reference are lost": {func(g *goldenStore, b *kv.Batch) {
			coll, _ := g.db(goldenDB).CollectionNum(goldenThing)
			b.Delete(append(binary.BigEndian.AppendUint32([]byte{0x12, 0, 0, 0, 1}, coll), "elsewhere"...))
			remove(missing)(g, b)
		}, string(rows.RuleLog), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := unpack(filepath.Join("testdata", "format", "v1.tar.gz"), dir); err != nil {
				t.Fatal(err)
			}
			g := openGolden(t, dir)
			before := g.text()
			b := g.kv.NewBatch()
			c.plant(g, b)
			g.ok(b.Commit(kv.Sync))
			g.close()

			var found []host.Finding
			if _, err := host.CheckStore(t.Context(), dir, host.CheckOptions{}, func(f host.Finding) { found = append(found, f) }); err != nil {
				t.Fatal(err)
			}
			if len(found) == 0 || found[0].Rule != c.rule || found[0].Loses != c.loses || found[0].Remedy == "" {
				t.Fatalf("found %+v, want %s", found, c.rule)
			}
			r := repair(t, dir, host.RepairOptions{})
			if c.loses {
				if r.Left.Findings == 0 || r.Copy != "" || r.Repaired > 0 {
					t.Errorf("repaired without accepting loss: %+v", r)
				}
				r = repair(t, dir, host.RepairOptions{AcceptLoss: true})
			}
			if r.Left.Findings > 0 || r.Repaired == 0 {
				t.Errorf("%+v", r)
			}
			if _, err := os.Stat(filepath.Join(r.Copy, "MANIFEST.json")); err != nil {
				t.Errorf("no copy was put aside: %v", err)
			}
			if again := repair(t, dir, host.RepairOptions{AcceptLoss: true}); again.Repaired > 0 || again.Copy != "" {
				t.Errorf("there was something left: %+v", again)
			}
			g = openGolden(t, dir)
			if diff := cmp.Diff(before, g.text()); (diff != "") != c.changed {
				t.Errorf("changed (-before +after):\n%s", diff)
			}
			g.write()
			g.close()
		})
	}
}

func repair(t *testing.T, dir string, opts host.RepairOptions) host.Repair {
	t.Helper()
	r, err := host.RepairStore(t.Context(), dir, opts, func(f host.Finding) { t.Logf("%+v", f) })
	if err != nil {
		t.Fatal(err)
	}
	return r
}
