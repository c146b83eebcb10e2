package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// share makes the database places with the collection cities, which the syncgroup all shares.
func share(d *daemon) {
	d.t.Helper()
	d.run("db", "create", "places")
	d.run("collection", "create", "places", "cities")
	d.run("syncgroup", "create", "places", "all", "--collection", "cities")
}

// importCities fills the collection of a daemon that shares it.
func importCities(d *daemon, file string, rows int) {
	d.t.Helper()
	var imported struct{ Rows int }
	d.query(&imported, "import", "places", "cities", file)
	if imported.Rows != rows {
		d.t.Fatalf("%d rows are imported, the file has %d", imported.Rows, rows)
	}
}

// join makes d a member of the syncgroup that other has made.
func join(d, other *daemon, memberType string) {
	d.t.Helper()
	d.run("syncgroup", "join", "places", "all", "--peer", other.address(), "--member-type", memberType)
}

// level waits until each of the daemons holds what the others hold.
func level(daemons ...*daemon) {
	for range 2 { // what the first has taken from the second, others may have to take from it
		for _, d := range daemons {
			d.t.Helper()
			d.run("syncgroup", "wait", "places", "all", "--timeout", "60s")
		}
	}
}

// sameRows checks that two daemons export the same bytes, and returns them.
func sameRows(a, b *daemon) string {
	a.t.Helper()
	want, got := a.run("export", "places", "cities"), b.run("export", "places", "cities")
	if want == got {
		return want
	}
	wantLines, gotLines := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i, line := range wantLines {
		if i >= len(gotLines) || gotLines[i] != line {
			a.t.Errorf("line %d of the exports: %s has %s, %s has %s", i+1, a.name, line, b.name, gotLines[min(i, len(gotLines)-1)])
			break
		}
	}
	a.t.Fatalf("%s exports %d rows, %s %d, and not the same", a.name, len(wantLines)-1, b.name, len(gotLines)-1)
	return ""
}

// history is what the command of that name prints.
type history struct {
	Head     string
	Versions []struct {
		Version, Device string
		Parents         []string
		Value           struct {
			By string
			N  int
		}
	}
}

// TestWalk is the whole story: many rows from one daemon to the other, edits of both while apart, and one state again.
func TestWalk(t *testing.T) {
	file, keys, rows := cities(t)
	n := newNetwork(t)
	a := n.start("a")
	share(a)
	importCities(a, file, rows)
	b := n.startWith(a, "b")
	join(b, a, "normal")
	b.run("syncgroup", "wait", "places", "all", "--timeout", "60s")
	if got := strings.Count(sameRows(a, b), "\n"); got != rows {
		t.Fatalf("both export %d rows, want %d", got, rows)
	}

	// Neither knows the port that the other has now.
	for _, d := range []*daemon{a, b} {
		d.stop()
	}
	for _, d := range []*daemon{a, b} {
		d.serve(loopback)
	}
	const edits, shared = 100, 20
	for i := range edits {
		a.run("put", "places", "cities", keys[i], fmt.Sprintf(`{"by":"a","n":%d}`, i))
		b.run("put", "places", "cities", keys[edits-shared+i], fmt.Sprintf(`{"by":"b","n":%d}`, i))
	}
	if a.connected()+b.connected() != 0 {
		t.Fatal("the daemons are not apart")
	}
	if n := countEdits(a.run("export", "places", "cities")); n != edits {
		t.Fatalf("a has %d edited rows while apart, want its own %d", n, edits)
	}

	b.stop()
	b.env = append(b.env, "SYNCBASE_NODE__PEERS="+a.address())
	b.serve(loopback)
	level(b, a)
	if got := countEdits(sameRows(a, b)); got != 2*edits-shared {
		t.Errorf("%d edited rows in the end, want %d", got, 2*edits-shared)
	}
	for _, key := range keys[edits-shared : edits] {
		conflictShows(a, b, key)
	}
	a.stop()
	b.stop()
}

func countEdits(export string) int { return strings.Count(export, `"by":`) }

// conflictShows checks that the edits of both daemons are in the history of a row, and that both agree about the head.
func conflictShows(a, b *daemon, key string) {
	a.t.Helper()
	var ofA, ofB history
	a.query(&ofA, "history", "places", "cities", key)
	b.query(&ofB, "history", "places", "cities", key)
	if ofA.Head == "" || ofA.Head != ofB.Head {
		a.t.Errorf("head of %s: %q on a, %q on b", key, ofA.Head, ofB.Head)
	}
	for name, h := range map[string]history{"a": ofA, "b": ofB} {
		var writers []string
		found := false
		for _, v := range h.Versions {
			found = found || v.Version == h.Head
			if by := v.Value.By; by != "" && !slices.Contains(writers, by) {
				writers = append(writers, by)
			}
		}
		slices.Sort(writers)
		if !slices.Equal(writers, []string{"a", "b"}) || !found {
			a.t.Errorf("history of %s on %s has edits of %v and its head: %v; want those of a and b\n%+v", key, name, writers, found, h)
		}
	}
}
