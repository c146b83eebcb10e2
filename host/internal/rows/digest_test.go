package rows

import (
	"fmt"
	"math/bits"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/wire"
)

func (d *device) fingerprint(s id.Scope) delta.Fingerprint {
	d.t.Helper()
	f, err := d.db.Fingerprint(d.t.Context(), s, delta.CountContested)
	if err != nil {
		d.t.Fatal(err)
	}
	return f
}

// heal compares with another device and takes what is lacking. It returns how many buckets differed, -1 if the devices
// are not level.
func (d *device) heal(from *device) int {
	d.t.Helper()
	mine, theirs := d.fingerprint(whole[0]), from.fingerprint(whole[0])
	buckets, level := mine.Differing(&theirs)
	if !level {
		return -1
	}
	var listed []delta.RowVersion
	err := from.db.Versions(d.t.Context(), whole[0], buckets, func(v delta.RowVersion) error { listed = append(listed, v); return nil })
	if err != nil {
		d.t.Fatal(err)
	}
	lacking, err := d.db.Lacks(notes, listed)
	if err != nil {
		d.t.Fatal(err)
	}
	step := Step{Scopes: whole, Repair: true}
	err = from.db.Records(d.t.Context(), whole, notes, lacking, func(data []byte) error {
		c, err := wire.DecodeCommit(data)
		step.Commits = append(step.Commits, c)
		return err
	})
	if err == nil {
		_, err = d.db.Receive(step)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	return bits.OnesCount64(buckets)
}

// The sums are those of the rows whatever happens to them, whether they were asked for before or after, and through
// crashes; and devices that are level have the same.
func TestSumsFollowRows(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a, b := newDevice(t, 1).create(), newDevice(t, 2)
		defer a.close()
		defer b.close()
		b.pull(a)
		devices, keys := []*device{a, b}, 20
		if rapid.Bool().Draw(rt, "conflicts stay open") {
			a.policy(1, `{"resolver":"defer"}`)
			b.policy(1, `{"resolver":"defer"}`)
			keys = 2
		}
		narrow := id.Scope{Collection: notes, Prefix: "k1"}
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			d := devices[rapid.IntRange(0, 1).Draw(rt, "who")]
			key := fmt.Sprint("k", rapid.IntRange(0, keys).Draw(rt, "key"))
			switch rapid.IntRange(0, 6).Draw(rt, "what") {
			case 0, 1, 2:
				d.put(key, fmt.Sprint(rapid.Byte().Draw(rt, "value")))
			case 3:
				d.del(key)
			case 4:
				d.crash()
			case 5:
				devices[0].pull(devices[1])
				devices[1].pull(devices[0])
			case 6:
				d.fingerprint([]id.Scope{whole[0], narrow}[rapid.IntRange(0, 1).Draw(rt, "scope")])
			}
			d.sound()
		}
		for range 3 {
			a.pull(b)
			b.pull(a)
		}
		for _, s := range []id.Scope{whole[0], narrow} {
			x, y := a.fingerprint(s), b.fingerprint(s)
			if s == narrow {
				y.Vector = x.Vector // nobody tracks it
			}
			if diff := cmp.Diff(x, y); diff != "" {
				rt.Fatalf("%s (-a +b):\n%s", s, diff)
			}
		}
		a.countsLive()
		b.countsLive()
		if t.Failed() {
			rt.Fatal("see above")
		}
	})
}

// claim makes a device believe that it holds everything another one does, without a record of it.
func (d *device) claim(of *device) {
	d.t.Helper()
	if _, err := d.db.Receive(Step{Scopes: whole, Progress: delta.Request(of.db.Published().Know, whole)}); err != nil {
		d.t.Fatal(err)
	}
}

// reference: sync-204
// What a device lacks although it was told that it has everything is found by comparing, and comes by name; so nobody can
// suppress records of others.
func TestComparingFindsWhatIsLacking(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	b.pull(a)
	for i := range 200 {
		a.put(fmt.Sprint("before-", i), `1`)
	}
	b.pull(a)
	b.put("theirs", `1`)
	a.pull(b)
	if n := b.heal(a); n != 0 {
		t.Fatalf("%d buckets differ between devices that hold the same", n)
	}
	a.put("withheld", `1`)
	a.put("before-7", `2`)
	a.del("before-8")
	b.claim(a)
	if got := b.pull(a); got.Records != 0 {
		t.Fatalf("%d records came that b believes to have", got.Records)
	}
	if n := b.heal(a); n == 0 || n > 3 {
		t.Errorf("%d buckets differ for three rows", n)
	}
	b.put("later", `1`)
	a.pull(b)
	b.pull(a)
	b.holds(a.contents())
	b.sound()
	if n := b.heal(a); n != 0 {
		t.Errorf("%d buckets differ in the end", n)
	}
	c := newDevice(t, 3)
	c.pull(b)
	if c.contents()["withheld"] != `1` {
		t.Error("what was taken by name does not go further")
	}
}

// Two records under one name become one again, the later one, and all devices agree.
func TestTwoRecordsUnderOneName(t *testing.T) {
	a, x, y := newDevice(t, 1).create(), newDevice(t, 2), newDevice(t, 3)
	a.put("k", `"early"`)
	x.pull(a)
	y.pull(a)
	early := a.fs.CrashClone()
	a.put("k", `"lost"`)
	a.put("lost", `1`)
	y.pull(a)
	a.setBack(early)
	a.put("k", `"again"`)
	a.put("again", `1`)
	x.pull(a) // a learns of nothing, and x takes the new writes under names that y has too
	if x.contents()["k"] != `"again"` || y.contents()["k"] != `"lost"` {
		t.Fatalf("x has %v, y %v", x.contents(), y.contents())
	}
	if !a.examine(y) {
		t.Fatal("y holds no proof")
	}
	devices := []*device{a, x, y}
	for range 4 {
		for _, d := range devices {
			for _, from := range devices {
				if d != from {
					d.pull(from)
					d.heal(from)
				}
			}
		}
	}
	want := map[string]string{"k": `"again"`, "again": `1`, "lost": `1`}
	for _, d := range devices {
		d.holds(want)
		if diff := cmp.Diff(a.heads(), d.heads()); diff != "" {
			t.Errorf("versions (-a +%d):\n%s", d.num, diff)
		}
		for _, from := range devices {
			if n := d.heal(from); n != 0 {
				t.Errorf("between %d and %d %d buckets differ in the end", d.num, from.num, n)
			}
		}
	}
}

func TestDoctorFindsWrongSums(t *testing.T) {
	a := newDevice(t, 1).create()
	a.put("k", `1`)
	a.fingerprint(whole[0])
	num, _ := a.db.CollectionNum(notes)
	b := a.kv.NewBatch()
	b.Set(append(rowKey(spaceDigest, a.db.num, num, ""), 3), appendSum(nil, delta.Sum{1}))
	if err := b.Commit(kv.Sync); err != nil {
		t.Fatal(err)
	}
	rules, _ := a.check()
	if !slices.Contains(rules, RuleDigest) {
		t.Errorf("found %v, want %s", rules, RuleDigest)
	}
}
