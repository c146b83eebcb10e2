package rows

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// reference: sync-001 five commits of five records take five generations and one place in the log each, in each of three
// databases by itself.
func TestCommitsTakeGenerationsAndPlaces(t *testing.T) {
	d := newDevice(t, 1)
	for _, local := range []string{"x", "y", "z"} {
		db, err := d.s.Create(id.Name{Owner: owner, Local: local}, allTags)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.CreateCollection(notes, allTags); err != nil {
			t.Fatal(err)
		}
		before := db.Published()
		for i := range uint64(5) {
			var ops []Op
			for j := range 5 {
				ops = append(ops, put(fmt.Sprint(i, j), `1`))
			}
			versions, err := db.Commit(ops, nil)
			if err != nil {
				t.Fatal(err)
			}
			for j, v := range versions {
				if want := before.Know.Own().Gen + 5*i + uint64(j) + 1; v.Gen != want {
					t.Errorf("record %d of commit %d in %s has generation %d, want %d", j, i, local, v.Gen, want)
				}
			}
			if seq := db.Published().Seq; seq != before.Seq+i+1 {
				t.Errorf("commit %d of %s has place %d, want %d", i, local, seq, before.Seq+i+1)
			}
		}
	}
}

// reference: sync-002 a new database knows nothing of others and is not paused; what it comes to know of rows and of a syncgroup,
// and that it is paused, is the same after a restart.
//
// reference: sync-027 there is no marker before the first commit; the one of the last commit is what a restart finds.
func TestStateIsThereAgain(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	both := append(slices.Clone(whole), id.Scope{Collection: id.Collection{Kind: id.Syncgroup, Name: notes.Name}})
	if p := b.db.Published(); p.Seq != 0 || p.Paused || len(p.Know.Scopes()) != 0 || p.Know.Own().Gen != 0 {
		t.Errorf("a new database is at %+v", p)
	}
	a.put("k", `1`)
	if _, err := a.db.Commit([]Op{{Collection: both[1].Collection, Key: "spec", Value: []byte(`{}`)}}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := b.db.Receive(b.requestScopes(a, both)); err != nil {
		t.Fatal(err)
	}
	b.put("own", `1`)
	b.set(func(s *Settings) { s.SyncPaused = true })
	before := b.db.Published()
	b.crash()
	after := b.db.Published()
	if after.Seq != before.Seq || !after.Paused || after.Know.Own() != before.Know.Own() {
		t.Errorf("after a restart %+v, before %+v", after, before)
	}
	for _, s := range both {
		want := before.Know.At(s)
		if diff := cmp.Diff(want, after.Know.At(s)); diff != "" || !want.Dominates(id.Vector{a.db.Writer(): 1}) {
			t.Errorf("known of %s after a restart (-before +after):\n%s", s, diff)
		}
	}
}

// fullRecord has something in every field.
func fullRecord() wire.Record {
	return wire.Record{
		Version: id.Version{Writer: aWriter, Gen: 9}, Key: "k", Type: "note", Raw: true, Value: []byte{0, 1}, Round: 1,
		Parents: []id.Version{{Writer: aWriter, Gen: 3}, {Writer: bWriter, Gen: 4}}, Seen: id.Vector{bWriter: 5},
		Beside: []id.Version{{Writer: bWriter, Gen: 2}},
	}
}

var bWriter = id.Writer{Device: id.Device{8}, Epoch: 1}

// reference: sync-003 a record of the log with all its fields is absent, then stored and the same, then gone; asking whether it is
// there agrees each time.
//
// reference: sync-008 a version is not in the graph of its row, then it is, with its two parents.
//
// reference: sync-009 a version that was overwritten and reclaimed is in neither.
//
// reference: sync-011 a row has no current version, then the first, then the one that overwrote it.
func TestRecordComesAndGoes(t *testing.T) {
	d := newDevice(t, 1).create()
	rec := fullRecord()
	shown := func() id.Version {
		row, err := d.db.Get(notes, "k")
		if errors.Is(err, ErrNoRow) {
			return id.Version{}
		}
		if err != nil {
			t.Fatal(err)
		}
		return row.Version
	}
	stored := func() (wire.Record, bool) {
		got, _, err := d.db.logRecord(d.db.colls[notes].num, rec.Version)
		there := d.db.begin()
		defer there.b.Discard()
		if in := there.inLog(d.db.colls[notes], rec.Version); in != (err == nil) || err != nil && !errors.Is(err, kv.ErrNotFound) {
			t.Errorf("in the log: %v, reading it: %v", in, err)
		}
		return got, err == nil
	}
	if _, found := stored(); found || !shown().IsZero() {
		t.Error("there before it was written")
	}
	if _, _, err := d.db.History(notes, "k"); !errors.Is(err, ErrNoRow) {
		t.Errorf("history before: %v", err)
	}
	step := Step{Scopes: whole, Commits: []wire.Commit{{
		Writer: aWriter, First: 9, Count: 1, Time: hlc.Time(1), Records: []wire.Entry{{Collection: notes, Record: rec}},
	}}}
	if _, err := d.db.Receive(step); err != nil {
		t.Fatal(err)
	}
	d.crash()
	got, found := stored()
	if diff := cmp.Diff(rec, got); diff != "" || !found || shown() != rec.Version {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	if _, nodes, err := d.db.History(notes, "k"); err != nil || len(nodes) != 1 || !slices.Equal(nodes[0].Parents, rec.Parents) || !nodes[0].Head {
		t.Errorf("history: %+v, %v", nodes, err)
	}
	next := d.put("k", `1`)
	if shown() != next {
		t.Errorf("current is %s, want %s", shown(), next)
	}
	d.put("last", `0`) // the last commit always stays
	d.reclaim(d.everything())
	if _, found := stored(); found || shown() != next {
		t.Error("there after it was reclaimed")
	}
	if _, nodes, err := d.db.History(notes, "k"); err != nil || len(nodes) != 1 || nodes[0].Version != next {
		t.Errorf("history: %+v, %v; want %s alone", nodes, err, next)
	}
}

// reference: sync-018 in a graph of nine versions that parts and joins twice, the history of the row lists all ancestors of its
// current version, each once, at every stage; a record that cannot be read is the error that comes back.
func TestHistoryVisitsEachAncestorOnce(t *testing.T) {
	d := newDevice(t, 1).create()
	// Who made each version, and from which: 1 parts into 2 and 3, which join in 4; 5 and 6 stem from 4, 7 and 8 from 6, 9 joins all.
	graph := []struct {
		by      byte
		parents []int
	}{1: {1, nil}, 2: {1, []int{1}}, 3: {2, []int{1}}, 4: {1, []int{2, 3}}, 5: {1, []int{4}}, 6: {2, []int{4}}, 7: {2, []int{6}}, 8: {3, []int{6}}, 9: {1, []int{5, 7, 8}}}
	versions, gens := make([]id.Version, len(graph)), map[byte]uint64{}
	ancestors := make([]map[int]bool, len(graph))
	for i := 1; i < len(graph); i++ {
		n := graph[i]
		gens[n.by]++
		versions[i] = id.Version{Writer: id.Writer{Device: id.Device{100 + n.by}, Epoch: 1}, Gen: gens[n.by]}
		rec := wire.Record{Version: versions[i], Key: "k", Value: fmt.Append(nil, i), Seen: id.Vector{}}
		ancestors[i] = map[int]bool{i: true}
		for _, p := range n.parents {
			rec.Parents = append(rec.Parents, versions[p])
			for a := range ancestors[p] {
				ancestors[i][a] = true
				rec.Seen.Add(versions[a])
			}
		}
		delete(rec.Seen, versions[i].Writer)
		c := wire.Commit{Writer: versions[i].Writer, First: versions[i].Gen, Count: 1, Time: hlc.Time(i), Records: []wire.Entry{{Collection: notes, Record: rec}}}
		if _, err := d.db.Receive(Step{Scopes: whole, Commits: []wire.Commit{c}}); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains([]int{1, 4, 6, 9}, i) {
			continue
		}
		shown, nodes, err := d.db.History(notes, "k")
		if err != nil {
			t.Fatal(err)
		}
		seen := map[int]int{}
		for _, n := range nodes {
			seen[slices.Index(versions, n.Version)]++
		}
		want := map[int]int{}
		for a := 1; a <= i; a++ {
			want[a] = 1 // what is in conflict with it is in the history, too
		}
		if at := slices.Index(versions, shown); seen[-1] > 0 || i == 9 && at != 9 {
			t.Errorf("current is version %d", at)
		}
		for a := range ancestors[i] {
			if seen[a] != 1 {
				t.Errorf("from version %d, ancestor %d is visited %d times", i, a, seen[a])
			}
		}
		for v, times := range seen {
			if v > 0 && times > want[v] {
				t.Errorf("from version %d, version %d is visited %d times", i, v, times)
			}
		}
	}
	b := d.kv.NewBatch()
	b.Set(logKey(d.db.num, d.db.colls[notes].num, versions[1]), []byte{0xff})
	if err := b.Commit(kv.Sync); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.db.History(notes, "k"); !errors.Is(err, ErrCorrupt) {
		t.Errorf("with a record that cannot be read: %v, want ErrCorrupt", err)
	}
}
