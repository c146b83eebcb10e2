package host_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// values are the rows of the collection that the databases of the test below have.
func (g *goldenStore) values(name id.Name) map[string]string {
	g.t.Helper()
	all := map[string]string{}
	g.ok(g.db(name).Scan(goldenTodo, rows.ScanRange{}, func(r *rows.RowView) (bool, error) {
		all[string(r.Key)] = string(r.Value)
		return true, nil
	}))
	return all
}

// spoil changes a byte of a value wherever it lies in the tables of a store that is closed.
func spoil(t *testing.T, dir string, value []byte) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "store", "*.sst"))
	if err != nil {
		t.Fatal(err)
	}
	spoiled := 0
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for at := bytes.Index(data, value); at >= 0; at = bytes.Index(data, value) {
			data[at] ^= 1
			spoiled++
		}
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if spoiled < 2 {
		t.Fatalf("the value was found %d times, want it as a row and in the log", spoiled)
	}
}

// reference: store-097 damage to what lies in the store of one database costs that one what cannot be read, and no other anything:
// the others are whole after a repair, what was lost can be written again, and the database destroyed and made anew.
func TestDamageOfOneDatabase(t *testing.T) {
	dir := t.TempDir()
	hurt, intact := goldenDB, id.Name{Owner: goldenOwner, Local: "intact"}
	g := openGolden(t, dir)
	random, want := rand.NewChaCha8([32]byte{}), map[id.Name]map[string]string{}
	for _, name := range []id.Name{hurt, intact} {
		_, err := g.rows.Create(name, perm.For(goldenOwner, perm.DatabaseTags))
		g.ok(err)
		g.ok(g.db(name).CreateCollection(goldenTodo, perm.For(goldenOwner, perm.CollectionTags)))
		want[name] = map[string]string{}
		for i := range 12 {
			value := make([]byte, 40_000)
			_, _ = random.Read(value) // never fails
			key := fmt.Sprintf("k%02d", i)
			_, err := g.db(name).Commit([]rows.Op{{Collection: goldenTodo, Key: key, Value: value, Raw: true}}, nil)
			g.ok(err)
			want[name][key] = string(value)
		}
	}
	g.close()
	openGolden(t, dir).close() // what was in the log lies in tables now
	spoil(t, dir, []byte(want[hurt]["k07"][1000:1100]))

	found, err := host.CheckStore(t.Context(), dir, host.CheckOptions{}, func(host.Finding) {})
	if err == nil && found.Findings == 0 {
		t.Error("a check finds nothing")
	}
	if r := repair(t, dir, host.RepairOptions{AcceptLoss: true}); r.Copy == "" {
		t.Errorf("%+v, want the damaged store put aside", r)
	}
	g = openGolden(t, dir)
	defer g.close()
	left := maps.Clone(want[hurt])
	delete(left, "k07")
	for name, rows := range map[id.Name]map[string]string{hurt: left, intact: want[intact]} {
		if diff := cmp.Diff(sizes(rows), sizes(g.values(name))); diff != "" || !maps.Equal(rows, g.values(name)) {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	_, err = g.db(hurt).Commit([]rows.Op{{Collection: goldenTodo, Key: "k07", Value: []byte(`"again"`)}}, nil)
	g.ok(err)
	if row, err := g.db(hurt).Get(goldenTodo, "k07"); err != nil || string(row.Value) != `"again"` {
		t.Errorf("written again: %+v, %v", row, err)
	}
	g.ok(g.rows.Destroy(hurt))
	if _, err := g.rows.Database(hurt); !errors.Is(err, rows.ErrNoDatabase) {
		t.Errorf("destroyed: %v", err)
	}
	_, err = g.rows.Create(hurt, perm.For(goldenOwner, perm.DatabaseTags))
	g.ok(err)
	g.ok(g.db(hurt).CreateCollection(goldenTodo, perm.For(goldenOwner, perm.CollectionTags)))
	if len(g.values(hurt)) > 0 || !maps.Equal(g.values(intact), want[intact]) {
		t.Errorf("made anew it has %d rows, and the other one %d", len(g.values(hurt)), len(g.values(intact)))
	}
}

// sizes are values as a person can look at them.
func sizes(rows map[string]string) map[string]int {
	all := map[string]int{}
	for key, value := range rows {
		all[key] = len(value)
	}
	return all
}
