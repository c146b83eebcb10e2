package rows

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/wire"
)

const owner = id.Principal("test.local/owner")

var (
	dbName = id.Name{Owner: owner, Local: "db"}
	notes  = id.Collection{Name: id.Name{Owner: owner, Local: "notes"}}
	whole  = []id.Scope{{Collection: notes}}
)

// device is a store of its own, on a file system that can lose what was not synced.
type device struct {
	t   *testing.T
	num byte
	fs  *kv.MemFS
	kv  *kv.Store
	s   *Store
	db  *DB
	// mu guards now.
	mu  sync.Mutex
	now time.Time
	// epochs is how many epochs were chosen.
	epochs uint32
}

func newDevice(t *testing.T, num byte) *device {
	t.Helper()
	d := &device{t: t, num: num, fs: kv.NewMemFS(), now: time.Unix(1_700_000_000, 0)}
	d.open()
	db, err := d.s.Create(dbName, perm.For(owner, perm.DatabaseTags))
	if err != nil {
		t.Fatal(err)
	}
	d.db = db
	t.Cleanup(d.close)
	return d
}

// close may be called before the test ends, by those who make many devices.
func (d *device) close() {
	if d.kv != nil {
		d.kv.Close()
		d.kv = nil
	}
}

func (d *device) open() {
	d.t.Helper()
	var err error
	if d.kv, err = kv.Open("db", kv.Options{FS: d.fs}); err != nil {
		d.t.Fatal(err)
	}
	d.s, err = Open(d.kv, Options{
		Now: func() time.Time {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.now = d.now.Add(time.Millisecond)
			return d.now
		},
		NewDevice: func() id.Device { return id.Device{d.num} },
		Random:    func() uint32 { d.epochs++; return d.epochs },
	})
	if err != nil {
		d.t.Fatal(err)
	}
}

// crash loses what was not synced and opens again.
func (d *device) crash() {
	d.t.Helper()
	clone := d.fs.CrashClone()
	d.kv.Close()
	d.fs = clone
	d.open()
	var err error
	if d.db, err = d.s.Database(dbName); err != nil {
		d.t.Fatal(err)
	}
}

func (d *device) create() *device {
	d.t.Helper()
	if err := errors.Join(d.db.CreateCollection(notes, perm.For(owner, perm.CollectionTags)), d.db.Track(whole)); err != nil {
		d.t.Fatal(err)
	}
	return d
}

func (d *device) put(key, value string) id.Version {
	d.t.Helper()
	v, err := d.db.Commit([]Op{{Collection: notes, Key: key, Value: []byte(value)}}, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	return v[0]
}

// listVersion is the version of the collection's access list.
func (d *device) listVersion() id.Version {
	d.t.Helper()
	_, v, err := d.db.CollectionPermissions(notes)
	if err != nil {
		d.t.Fatal(err)
	}
	return v
}

func (d *device) del(key string) {
	d.t.Helper()
	if _, err := d.db.Commit([]Op{{Kind: OpDelete, Collection: notes, Key: key}}, nil); err != nil {
		d.t.Fatal(err)
	}
}

// pull brings what from has of the scopes.
func (d *device) pull(from *device) Received {
	d.t.Helper()
	step := d.requestScopes(from, whole)
	got, err := d.db.Receive(step)
	if err != nil {
		d.t.Fatal(err)
	}
	return got
}

func (d *device) rows() []string {
	d.t.Helper()
	var list []string
	err := d.db.Scan(notes, ScanRange{}, func(r *RowView) (bool, error) {
		list = append(list, string(r.Key)+"="+string(r.Value))
		return true, nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return list
}

// watched replays the whole log as the final state a watcher would have, and the number of batches.
func (d *device) watched() (map[string]string, int) {
	d.t.Helper()
	state, batches := map[string]string{}, 0
	_, err := d.db.ReadLog(0, nil, func(b Batch) (bool, error) {
		batches++
		for _, c := range b.Changes {
			if c.Deleted && c.Key == "" {
				clear(state)
			} else if c.Deleted {
				delete(state, c.Key)
			} else if c.Key != "" {
				state[c.Key] = string(c.Value)
			}
		}
		return true, nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return state, batches
}

func (d *device) want(rows ...string) {
	d.t.Helper()
	if diff := cmp.Diff(rows, d.rows()); diff != "" {
		d.t.Errorf("rows of device %d (-want +got):\n%s", d.num, diff)
	}
	state, _ := d.watched()
	watched := map[string]string{}
	for _, r := range d.rows() {
		for i := range r {
			if r[i] == '=' {
				watched[r[:i]] = r[i+1:]
				break
			}
		}
	}
	if diff := cmp.Diff(watched, state); diff != "" {
		d.t.Errorf("what a watcher of device %d ends with (-rows +watch):\n%s", d.num, diff)
	}
}

func TestPutGetDeleteScan(t *testing.T) {
	d := newDevice(t, 1).create()
	d.put("b", `1`)
	v := d.put("a", `{"x":1}`)
	d.put("c", `3`)
	d.del("c")
	d.del("never")
	d.want(`a={"x":1}`, "b=1")
	row, err := d.db.Get(notes, "a")
	if err != nil || row.Version != v {
		t.Errorf("get a = %v, %v; want version %v", row, err, v)
	}
	if _, err := d.db.Get(notes, "c"); !errors.Is(err, ErrNoRow) {
		t.Errorf("get of a deleted row: %v, want ErrNoRow", err)
	}
	if _, err := d.db.Get(id.Collection{Name: dbName}, "c"); !errors.Is(err, ErrNoCollection) {
		t.Errorf("get from no collection: %v, want ErrNoCollection", err)
	}
}

func TestRefusedBatchChangesNothing(t *testing.T) {
	d := newDevice(t, 1).create()
	d.put("a", `1`)
	before := d.db.Published()
	for name, ops := range map[string][]Op{
		"not JSON":      {{Collection: notes, Key: "x", Value: []byte(`1`)}, {Collection: notes, Key: "y", Value: []byte(`{`)}},
		"empty key":     {{Collection: notes, Key: "", Value: []byte(`1`)}},
		"no collection": {{Collection: notes, Key: "x", Value: []byte(`1`)}, {Collection: id.Collection{Name: id.Name{Owner: owner, Local: "no"}}, Key: "y", Value: []byte(`1`)}},
		"failed check":  {{Collection: notes, Key: "x", Value: []byte(`1`)}, {Kind: OpCheck, Collection: notes, Key: "a", Expect: &Expect{Absent: true}}},
		"empty check":   {{Kind: OpCheck, Collection: notes, Key: "a"}},
		"empty":         {},
	} {
		if _, err := d.db.Commit(ops, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	d.want("a=1")
	if after := d.db.Published(); after.Seq != before.Seq || after.Know.Own() != before.Know.Own() {
		t.Errorf("log moved from %v to %v", before, after)
	}
}

// reference: sync-179 a row written twice in one batch ends with the second value, as one version.
func TestLastWriteOfARowInABatchWins(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	a.put("k", `0`)
	b.pull(a)
	op := func(v string) Op { return Op{Collection: notes, Key: "k", Value: []byte(v)} }
	versions, err := a.db.Commit([]Op{op(`1`), op(`2`), {Collection: notes, Key: "n", Value: []byte(`1`)}, {Kind: OpDelete, Collection: notes, Key: "n"}}, nil)
	if err != nil || versions[0] != versions[1] {
		t.Fatalf("versions %v, %v", versions, err)
	}
	if got := b.pull(a); got.Conflicts != 0 || got.Records != 1 {
		t.Errorf("received %+v, want one record and no conflict", got)
	}
	a.want("k=2")
	b.want("k=2")
}

func TestPullBringsEverythingOnce(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	for i := range 20 {
		a.put(fmt.Sprintf("k%02d", i), `1`)
	}
	a.del("k03")
	if got := b.pull(a); got.Records != 22 || got.Duplicates != 0 {
		t.Errorf("first pull: %+v, want 22 records", got)
	}
	if diff := cmp.Diff(a.rows(), b.rows()); diff != "" {
		t.Errorf("rows differ (-a +b):\n%s", diff)
	}
	if got := b.pull(a); got.Records != 0 || got.Duplicates != 0 {
		t.Errorf("second pull: %+v, want nothing", got)
	}
	if got := a.pull(b); got.Records != 0 || got.Duplicates != 0 {
		t.Errorf("pull back: %+v, want nothing", got)
	}
}

func TestConcurrentEditsConvergeWithBothInHistory(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	base := a.put("k", `"base"`)
	b.pull(a)
	va := a.put("k", `"from a"`)
	b.now = b.now.Add(time.Second)
	vb := b.put("k", `"from b"`)
	if got := a.pull(b); got.Conflicts != 1 {
		t.Errorf("a received %+v, want one conflict", got)
	}
	b.pull(a)
	a.pull(b)
	for _, d := range []*device{a, b} {
		d.want(`k="from b"`)
		head, nodes, err := d.db.History(notes, "k")
		if err != nil || head != vb {
			t.Fatalf("history of device %d: head %v, %v; want %v", d.num, head, err, vb)
		}
		parents := map[id.Version][]id.Version{}
		for _, n := range nodes {
			parents[n.Version] = n.Parents
		}
		want := map[id.Version][]id.Version{base: nil, va: {base}, vb: {base, va}}
		if diff := cmp.Diff(want, parents); diff != "" {
			t.Errorf("graph of device %d (-want +got):\n%s", d.num, diff)
		}
	}
	b.put("k", `"later"`)
	if got := a.pull(b); got.Conflicts != 0 {
		t.Errorf("a write on top of a settled conflict: %+v, want no conflict", got)
	}
	a.want(`k="later"`)
}

// reference: store-095 what was acknowledged before a loss of power is there after it.
func TestACrashLosesNothingThatWasAcknowledged(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	a.put("x", `1`)
	b.pull(a)
	own := a.put("y", `2`)
	a.crash()
	a.want("x=1", "y=2")
	if next := a.put("z", `3`); next.Gen != own.Gen+1 || next.Writer != own.Writer {
		t.Errorf("after the crash the next version is %v, want the generation after %v", next, own)
	}
	b.crash()
	if got := b.pull(a); got.Records != 2 {
		t.Errorf("after both crashed: %+v, want the 2 new records only", got)
	}
	b.want("x=1", "y=2", "z=3")
}

// reference: sync-217 a database made anew after it was destroyed gets this device's own earlier data back.
func TestRecreatedDatabaseGetsItsOldDataBack(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	old := a.put("k", `1`)
	b.pull(a)
	if err := a.s.Destroy(dbName); err != nil {
		t.Fatal(err)
	}
	if _, err := a.db.Get(notes, "k"); !errors.Is(err, ErrDestroyed) {
		t.Errorf("get from a destroyed database: %v, want ErrDestroyed", err)
	}
	var err error
	if a.db, err = a.s.Create(dbName, perm.For(owner, perm.DatabaseTags)); err != nil {
		t.Fatal(err)
	}
	if got := a.pull(b); got.Records != 2 {
		t.Errorf("pulled %+v, want the collection and the row", got)
	}
	a.want("k=1")
	if v := a.put("k", `2`); v.Writer == old.Writer {
		t.Errorf("%v reuses the epoch of %v", v, old)
	}
	b.pull(a)
	b.want("k=2")
}

func TestReceiveRefusesWhatWasNotAskedFor(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	w := id.Writer{Device: id.Device{9}, Epoch: 1}
	rec := func(c id.Collection, key string, gen uint64) wire.Commit {
		return wire.Commit{Writer: w, First: gen, Count: 1, Time: 1, Records: []wire.Entry{{
			Collection: c, Record: wire.Record{Version: id.Version{Writer: w, Gen: gen}, Key: key, Value: []byte(`1`)},
		}}}
	}
	b.pull(a)
	other := id.Collection{Name: id.Name{Owner: owner, Local: "other"}}
	for name, step := range map[string]Step{
		"other collection": {Commits: []wire.Commit{rec(notes, "ok", 1), rec(other, "x", 2)}, Scopes: whole},
		"other prefix":     {Commits: []wire.Commit{rec(notes, "x", 1)}, Scopes: []id.Scope{{Collection: notes, Prefix: "y"}}},
		"other progress":   {Scopes: whole, Progress: []delta.ScopeVector{{Scope: id.Scope{Collection: other}, Vector: id.Vector{w: 3}}}},
	} {
		before := b.db.Published()
		if got, err := b.db.Receive(step); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %+v, %v; want ErrRefused", name, got, err)
		}
		if after := b.db.Published(); after.Seq != before.Seq {
			t.Errorf("%s: the log moved", name)
		}
	}
	own := rec(notes, "x", 7)
	own.Writer, own.Records[0].Record.Version.Writer = b.db.Writer(), b.db.Writer()
	var proof *SetBackError
	if got, err := b.db.Receive(Step{Commits: []wire.Commit{own}, Scopes: whole}); !errors.As(err, &proof) || proof.Shown.Gen != 7 {
		t.Errorf("own future: %+v, %v; want a SetBackError", got, err)
	}
	if rows := b.rows(); len(rows) != 0 {
		t.Errorf("rows after refusals: %v", rows)
	}
}
