package rows

import (
	"cmp"
	"slices"
	"testing"

	diff "github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// listed is all that the device would list to a peer.
func (d *device) listed() (list []delta.RowVersion) {
	d.t.Helper()
	err := d.db.Versions(d.t.Context(), whole[0], 1<<delta.Buckets-1, func(v delta.RowVersion) error { list = append(list, v); return nil })
	if err != nil {
		d.t.Fatal(err)
	}
	slices.SortFunc(list, func(a, b delta.RowVersion) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), a.Version.Compare(b.Version))
	})
	return list
}

// A delete that is one side of an open conflict is found by comparing like every other version, whether readers see it or not, and
// comes by name.
func TestComparingFindsADeleteInConflict(t *testing.T) {
	for name, write := range map[string]func(a, b *device){
		"not shown": func(a, b *device) { b.del("k"); b.now = a.now.Add(1e9); a.now = b.now; a.put("k", `"a"`) },
		"shown":     func(a, b *device) { a.put("k", `"a"`); b.now = a.now.Add(1e9); b.del("k") },
	} {
		t.Run(name, func(t *testing.T) {
			a, b := deferring(t)
			level(a, b)
			a.resolve(Resolution{ConflictRef: at("k"), Value: []byte(`"one"`)})
			level(a, b)
			c := newDevice(t, 3).create()
			c.policy(1, `{"resolver":"defer"}`)
			level(a, b, c)
			for _, d := range []*device{a, b, c} {
				d.fingerprint(whole[0])
			}
			write(a, b)
			c.pull(a)
			level(a, b)
			c.claim(a)
			if n := c.heal(a); n == 0 {
				t.Error("nothing differs, and one has the delete and the other has not")
			}
			level(a, b, c)
			if d := diff.Diff(a.listed(), c.listed()); d != "" {
				t.Errorf("versions (-a +c):\n%s", d)
			}
			for _, d := range []*device{b, c} {
				if n := d.heal(a); n != 0 {
					t.Errorf("%d buckets differ between a and %d in the end", n, d.num)
				}
			}
			for _, d := range []*device{a, b, c} {
				d.sound()
			}
		})
	}
}

// countsLive checks what is shown to peers that leave all deletes out of their sums.
func (d *device) countsLive() {
	d.t.Helper()
	got, err := d.db.Fingerprint(d.t.Context(), whole[0], delta.CountLive)
	if err != nil {
		d.t.Fatal(err)
	}
	want := got
	want.Sums = [delta.Buckets]uint64{}
	for _, v := range d.listed() {
		if !v.Deleted {
			sum := v.Sum()
			want.Sums[delta.Bucket(v.Key)] += sum.Short()
		}
	}
	if text := diff.Diff(want, got); text != "" {
		d.t.Errorf("sums of what is not deleted (-rows +sums):\n%s", text)
	}
}

// Sums that an older version left are no finding, and are made anew.
func TestSumsOfOlderVersionsAreMadeAnew(t *testing.T) {
	a, b := deferring(t)
	level(a, b)
	b.put("l", `1`)
	level(a, b)
	a.put("l", `2`)
	b.del("l")
	level(a, b)
	want := b.fingerprint(whole[0])
	num, _ := b.db.CollectionNum(notes)
	batch := b.kv.NewBatch()
	key := append(rowKey(spaceDigest, b.db.num, num, ""), 0)
	for i := range delta.Buckets {
		key[len(key)-1] = byte(i)
		value := appendSum(nil, delta.Sum{})
		value[0] = 1
		batch.Set(key, value)
	}
	key[len(key)-1] = digestComplete
	batch.Set(key, []byte{1})
	if err := batch.Commit(kv.Sync); err != nil {
		t.Fatal(err)
	}
	b.crash()
	b.sound()
	b.put("other", `1`)
	b.del("other")
	b.sound()
	got := b.fingerprint(whole[0])
	if text := diff.Diff(want.Sums, got.Sums); text != "" {
		t.Errorf("sums (-before +anew):\n%s", text)
	}
	level(a, b)
	if n := a.heal(b); n != 0 {
		t.Errorf("%d buckets differ", n)
	}
	b.sound()
}
