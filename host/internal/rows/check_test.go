package rows

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// check returns the rules that do not hold, each once, in the order in which they were found.
func (d *device) check() (rules []Rule, sum Summary) {
	d.t.Helper()
	sum, err := d.s.Check(d.t.Context(), func(f Finding) {
		if len(rules) == 0 || rules[len(rules)-1] != f.Rule {
			rules = append(rules, f.Rule)
		}
		d.t.Logf("%s at %x: %s", f.Rule, f.Key, f.Text)
	}, Progress{})
	if err != nil {
		d.t.Fatal(err)
	}
	return rules, sum
}

// soundDevice has rows, tombstones, conflicts, several databases and an epoch that has ended.
func soundDevice(t *testing.T) *device {
	t.Helper()
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	a.put("k", `1`)
	a.put("gone", `1`)
	b.pull(a)
	b.put("k", `"b"`)
	a.put("k", `"a"`)
	a.del("gone")
	a.pull(b)
	b.put("theirs", `1`)
	a.pull(b)
	a.backup("copy")
	a.restore("copy", 5)
	a.put("new", `1`)
	a.put("k", `"later"`)
	if err := a.db.SetSchema(Schema{Version: 1, Policy: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestSoundStoreHasNoFindings(t *testing.T) {
	d := soundDevice(t)
	rules, sum := d.check()
	want := Summary{Databases: 1, Collections: 1, Rows: 4, Tombstones: 1, Records: 10, Commits: 10}
	if rules != nil || sum != want {
		t.Errorf("found %v in %+v, want nothing in %+v", rules, sum, want)
	}
}

// corruption is a way to damage the sound device's store.
type corruption struct {
	plant func(d *device, b *kv.Batch)
	want  Rule
	cure  cure
}

// cure is what a repair can do about it.
type cure int

const (
	// cured: everything is as it was.
	cured cure = iota
	// curedAtALoss: only with AcceptLoss is nothing found any more.
	curedAtALoss
	// curedByPeers: what remains goes away by syncing.
	curedByPeers
	incurable
)

var corruptions = map[string]corruption{
	"a log record is lost": {func(d *device, b *kv.Batch) { b.Delete(logKey(1, 1, id.Version{Writer: d.db.Writer(), Gen: 1})) }, RuleChange, cured},
	"a row is lost":        {func(d *device, b *kv.Batch) { b.Delete(rowKey(spaceRow, 1, 1, "new")) }, RuleLog, cured},
	"a row is old": {func(d *device, b *kv.Batch) {
		head, err := d.kv.Get(rowKey(spaceRow, 1, 1, "theirs"))
		if err != nil {
			d.t.Fatal(err)
		}
		b.Set(rowKey(spaceRow, 1, 1, "new"), head)
	}, RuleLog, cured},
	"a row is unreadable": {func(d *device, b *kv.Batch) { b.Set(rowKey(spaceRow, 1, 1, "k"), []byte{9}) }, RuleEncoding, cured},
	"a row is present and deleted": {func(d *device, b *kv.Batch) {
		head, err := d.kv.Get(rowKey(spaceTomb, 1, 1, "gone"))
		if err != nil {
			d.t.Fatal(err)
		}
		b.Set(rowKey(spaceTomb, 1, 1, "new"), head)
	}, RuleRow, cured},
	"a commit is lost":              {func(d *device, b *kv.Batch) { b.Delete(seqKey(1, 3)) }, RuleSequence, cured},
	"the last commit is lost":       {func(d *device, b *kv.Batch) { b.Delete(seqKey(1, d.db.seq)) }, RuleLog, cured},
	"the access list is unreadable": {func(d *device, b *kv.Batch) { b.Set(databaseKey(dbName), []byte{1, 0, 0, 0, 1, 1, 0, 0, 0, 1, '{'}) }, RuleEncoding, incurable},
	"the database is lost":          {func(d *device, b *kv.Batch) { b.Delete(databaseKey(dbName)) }, RuleOwner, curedAtALoss},
	"the collection is lost":        {func(d *device, b *kv.Batch) { b.Delete(collKey(spaceCollection, 1, 1)) }, RuleOwner, curedAtALoss},
	"a scope has no collection": {func(d *device, b *kv.Batch) {
		b.Set(rowKey(spaceKnowledge, 1, 9, ""), wire.AppendVector([]byte{1}, nil))
	}, RuleKnowledge, cured},
	"knowledge is lost": {func(d *device, b *kv.Batch) {
		b.Set(rowKey(spaceKnowledge, 1, 1, ""), wire.AppendVector([]byte{1}, nil))
	}, RuleLog, curedByPeers},
	"knowledge of itself": {func(d *device, b *kv.Batch) {
		v := d.db.Published().Know.At(whole[0])
		b.Set(rowKey(spaceKnowledge, 1, 1, ""), wire.AppendVector([]byte{1}, v))
	}, RuleKnowledge, cured},
	"the size is wrong": {func(d *device, b *kv.Batch) {
		value, err := d.kv.Get(seqKey(1, d.db.seq))
		if err != nil {
			d.t.Fatal(err)
		}
		head, commits, left, err := decodeSeq(value)
		if err != nil {
			d.t.Fatal(err)
		}
		head.used++
		b.Set(seqKey(1, d.db.seq), appendSeq(nil, head, commits, left))
	}, RuleUsed, cured},
	"a schema is unreadable": {func(d *device, b *kv.Batch) {
		b.Set(dbKey(spaceSchema, 1), binary.BigEndian.AppendUint32([]byte{1}, 0))
	}, RuleEncoding, curedAtALoss},
	"a list of commits is unreadable": {func(d *device, b *kv.Batch) { b.Set(seqKey(1, 4), []byte{1, 2}) }, RuleEncoding, cured},
	"all lists of commits are lost": {func(d *device, b *kv.Batch) {
		b.DeleteRange(dbKey(spaceSeq, 1), kv.PrefixEnd(dbKey(spaceSeq, 1)))
	}, RuleLog, cured},
	"generations are forgotten": {func(d *device, b *kv.Batch) {
		value, err := d.kv.Get(seqKey(1, d.db.seq))
		if err != nil {
			d.t.Fatal(err)
		}
		head, commits, left, err := decodeSeq(value)
		if err != nil {
			d.t.Fatal(err)
		}
		head.ownGen = 0
		b.Set(seqKey(1, d.db.seq), appendSeq(nil, head, commits, left))
	}, RuleLog, cured},
	"a log record is unreadable": {func(d *device, b *kv.Batch) {
		b.Set(logKey(1, 1, id.Version{Writer: d.db.Writer(), Gen: 1}), []byte{1})
	}, RuleEncoding, curedAtALoss},
	"knowledge is unreadable": {func(d *device, b *kv.Batch) { b.Set(rowKey(spaceKnowledge, 1, 1, ""), []byte{7}) }, RuleEncoding, curedByPeers},
	"the name of a local value is unreadable": {func(d *device, b *kv.Batch) {
		b.Set(append(dbKey(spaceSyncgroup, 1), 'x'), nil)
	}, RuleEncoding, curedAtALoss},
	"the device is lost":        {func(d *device, b *kv.Batch) { b.Delete(keyWriter) }, RuleOwner, cured},
	"the next database is lost": {func(d *device, b *kv.Batch) { b.Delete(keyNextDB) }, RuleOwner, cured},
	"a key is cut short":        {func(d *device, b *kv.Batch) { b.Set([]byte{spaceRow, 0, 0}, nil) }, RuleEncoding, curedAtALoss},
	"rows of a database that is gone": {func(d *device, b *kv.Batch) {
		b.Set(rowKey(spaceRow, 9, 1, "k"), nil)
		b.Set(rowKey(spaceTomb, 9, 1, "l"), nil)
	}, RuleOwner, curedAtALoss},
}

func TestCheckFindsEachCorruption(t *testing.T) {
	for name, c := range corruptions {
		t.Run(name, func(t *testing.T) {
			d := soundDevice(t)
			b := d.kv.NewBatch()
			c.plant(d, b)
			if err := b.Commit(kv.Sync); err != nil {
				t.Fatal(err)
			}
			rules, sum := d.check()
			found := false
			for _, r := range rules {
				found = found || r == c.want
			}
			if !found || sum.Findings == 0 {
				t.Errorf("found %v, want %s", rules, c.want)
			}
		})
	}
}

// A store that cannot be opened can still be looked into.
func TestCheckOfAClosedDirectory(t *testing.T) {
	d := soundDevice(t)
	b := d.kv.NewBatch()
	b.Set(databaseKey(id.Name{Owner: owner, Local: "broken"}), []byte{7})
	if err := b.Commit(kv.Sync); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(d.kv, d.s.opts); err == nil {
		t.Fatal("a broken store was opened")
	}
	var got []Rule
	if err := d.kv.Close(); err != nil {
		t.Fatal(err)
	}
	d.kv = nil
	sum, err := CheckDir(t.Context(), "restored-5", kv.Options{FS: d.fs}, func(f Finding) { got = append(got, f.Rule) })
	if diff := cmp.Diff([]Rule{RuleEncoding}, got); err != nil || diff != "" || sum.Databases != 1 {
		t.Errorf("%+v, %v (-want +got):\n%s", sum, err, diff)
	}
	if _, err := CheckDir(t.Context(), "nowhere", kv.Options{FS: d.fs}, nil); err == nil {
		t.Error("a directory that there is not was checked")
	}
}
