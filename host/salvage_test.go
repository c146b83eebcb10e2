package host_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/syncbase/syncbase/host"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// TestSalvage loses or damages each file of a store in turn. A repair that accepts loss leaves a store that is sound and takes
// writes, or says why it cannot; the damaged one is put aside as it was; and one that does not accept loss touches nothing.
// reference: store-096 a daemon refuses to start on a damaged store and names what repairs it. The store is moved aside on request
// instead of by itself; a daemon starts on what takes its place, which is usable and has what could be read.
func TestSalvage(t *testing.T) {
	whole := t.TempDir()
	if err := unpack(filepath.Join("testdata", "format", "v1.tar.gz"), whole); err != nil {
		t.Fatal(err)
	}
	openGolden(t, whole).close() // what was in the log lies in tables now
	sound, err := host.CheckStore(t.Context(), whole, host.CheckOptions{}, func(f host.Finding) { t.Errorf("%+v", f) })
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(whole, "store"))
	if err != nil {
		t.Fatal(err)
	}
	remove := func(name string) error { return os.Remove(name) }
	garble := func(name string) error {
		data, err := os.ReadFile(name)
		if err == nil && len(data) > 0 {
			data[len(data)/2] ^= 0x10
			err = os.WriteFile(name, data, 0o600)
		}
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		for what, damage := range map[string]func(string) error{"gone": remove, "garbled": garble} {
			t.Run(e.Name()+" "+what, func(t *testing.T) {
				dir := t.TempDir()
				if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
					t.Fatal(err)
				}
				if err := damage(filepath.Join(dir, "store", e.Name())); err != nil {
					t.Fatal(err)
				}
				err := starts(t, dir)
				if err != nil && (!errors.Is(err, kv.ErrDamaged) || !strings.Contains(err.Error(), "'syncbase doctor --repair'")) {
					t.Errorf("a daemon says %v, not that the store is damaged and what to do", err)
				}
				refused := err != nil
				found, err := host.CheckStore(t.Context(), dir, host.CheckOptions{}, func(host.Finding) {})
				if err == nil && found.Findings == 0 {
					if refused {
						t.Error("a daemon refuses a store that is sound")
					}
					return // it was not needed
				}
				// What one table holds of rows is missed by those who read it, and reported then.
				if table := strings.HasSuffix(e.Name(), ".sst") && what == "garbled"; !refused && !table {
					t.Error("a daemon starts on the damaged store")
				}
				if err != nil {
					t.Logf("check: %v", err)
				}
				if r := repair(t, dir, host.RepairOptions{}); r.Repaired > 0 || r.Copy != "" {
					t.Errorf("repaired without accepting loss: %+v", r)
				}
				var doing []string
				r := repair(t, dir, host.RepairOptions{AcceptLoss: true, Progress: func(p host.Progress) {
					if !slices.Contains(doing, p.Doing) {
						doing = append(doing, p.Doing)
					}
				}})
				for _, want := range []string{"reading the files of the damaged store", "saving what can be read", "repairing, and checking again"} {
					if !slices.Contains(doing, want) {
						t.Errorf("it told of %q, want %q", doing, want)
					}
				}
				// What is known of others' writes comes back by syncing, and nothing else is left.
				if r.Left.Findings > 3 || r.Saved == 0 || r.Left.Rows != sound.Rows {
					t.Errorf("%+v, want all %d rows", r, sound.Rows)
				}
				if _, err := os.Stat(filepath.Join(r.Copy, "store")); err != nil {
					t.Errorf("the damaged store was not put aside: %v", err)
				}
				if again := repair(t, dir, host.RepairOptions{AcceptLoss: true}); again.Repaired > 0 {
					t.Errorf("there was something left: %+v", again)
				}
				if err := starts(t, dir); err != nil {
					t.Errorf("a daemon after the repair: %v", err)
				}
				g := openGolden(t, dir)
				dbs, _ := g.rows.Databases()
				for _, db := range dbs {
					for _, c := range db.Collections() {
						if _, err := db.Commit([]rows.Op{{Collection: c, Key: "after", Value: []byte("1")}}, nil); err != nil && c.Kind == id.Rows {
							t.Errorf("a write to %s %s: %v", db.Name(), c, err)
						}
					}
				}
				g.close()
			})
		}
	}
}

// starts returns why a daemon does not start on a copy of a data directory.
func starts(t *testing.T, dataDir string) error {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(dataDir)); err != nil {
		t.Fatal(err)
	}
	config, err := host.LoadConfig(host.ConfigSources{DefaultDataDir: dir, Flags: map[string]any{
		"identity.dir": filepath.Join(dir, "identity"), "node.listen": []string{"127.0.0.1:0"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	config.Plugins, config.Blobs.Store, config.Discovery = nil, "", nil
	h, err := host.New(host.Options{Config: config, Version: "test"})
	if err != nil {
		return err
	}
	return h.Close()
}
