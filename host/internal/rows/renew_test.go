package rows

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// setBack opens the device from an earlier state of its disk.
func (d *device) setBack(to *kv.MemFS) {
	d.t.Helper()
	if err := d.kv.Close(); err != nil {
		d.t.Fatal(err)
	}
	d.fs = to
	d.reopen("db")
}

// examine shows the device what another one holds of it, and lets it renew itself if that is proof. It reports whether it
// was.
func (d *device) examine(of *device) bool {
	d.t.Helper()
	witnesses, err := of.db.Witnesses(whole, id.Device{d.num})
	if err != nil {
		d.t.Fatal(err)
	}
	err = d.db.Examine(witnesses, delta.Request(of.db.Published().Know, whole))
	var proof *SetBackError
	if !errors.As(err, &proof) {
		if err != nil {
			d.t.Fatal(err)
		}
		return false
	}
	if _, err := d.db.Renew(proof); err != nil {
		d.t.Fatal(err)
	}
	return true
}

// sound holds the store against its invariants.
func (d *device) sound() {
	d.t.Helper()
	_, err := d.s.Check(d.t.Context(), func(f Finding) { d.t.Errorf("device %d: %s: %s (%x)", d.num, f.Rule, f.Text, f.Key) }, Progress{})
	if err != nil {
		d.t.Fatal(err)
	}
	size := 0
	for _, l := range d.db.Letters() {
		size += l.Bytes
	}
	if size != d.db.letters.bytes {
		d.t.Errorf("device %d: letters of %d bytes count as %d", d.num, size, d.db.letters.bytes)
	}
}

func (d *device) holds(want map[string]string) {
	d.t.Helper()
	if diff := cmp.Diff(want, d.contents()); diff != "" {
		d.t.Errorf("device %d (-want +got):\n%s", d.num, diff)
	}
}

// A device that was set back and has used names again keeps what it wrote since, under new names, and gets back what it
// wrote before, whether it has used fewer names again than there were, as many, or more.
func TestSetBackDeviceLosesNothing(t *testing.T) {
	for _, again := range []int{0, 1, 3, 7} {
		t.Run(fmt.Sprint(again), func(t *testing.T) {
			a, b := newDevice(t, 1).create(), newDevice(t, 2)
			want := map[string]string{}
			put := func(d *device, key, value string) {
				d.put(key, value)
				want[key] = value
			}
			put(a, "shared", `1`)
			b.pull(a)
			put(b, "theirs", `1`)
			a.pull(b)
			put(a, "shared", `2`)
			b.pull(a)
			early := a.fs.CrashClone()
			for i := range 3 {
				put(a, fmt.Sprint("lost-", i), `1`)
			}
			put(a, "shared", `"lost"`)
			b.pull(a)

			a.setBack(early)
			for i := range again {
				put(a, fmt.Sprint("again-", i), fmt.Sprint(i))
			}
			if again > 1 {
				put(a, "theirs", `"again"`)
				put(a, "shared", `"again"`)
				a.del("again-0")
				delete(want, "again-0")
			}
			before := a.contents()
			a.parted("set back")
			if !a.examine(b) {
				t.Fatal("what the other device holds was no proof")
			}
			a.parted("renewed")
			a.holds(before)
			a.sound()
			a.crash()
			a.holds(before)
			put(a, "new", `1`)
			if a.examine(b) {
				t.Error("the device was proven wrong again after it had become another writer")
			}
			for range 2 {
				b.pull(a)
				a.pull(b)
			}
			a.holds(want)
			b.holds(want)
			a.sound()
			b.sound()
			c := newDevice(t, 3)
			c.pull(a)
			c.holds(want)
			state, _ := a.watched()
			if diff := cmp.Diff(want, state); diff != "" {
				t.Errorf("what a watcher ends with (-want +got):\n%s", diff)
			}
		})
	}
}

// A lie about what others hold makes a device another writer now and then, and costs nothing else.
func TestLiesRenewSeldom(t *testing.T) {
	a := newDevice(t, 1).create()
	a.put("k", `1`)
	lie := &SetBackError{Shown: id.Version{Writer: a.db.Writer(), Gen: 1 << 60}, Made: 1}
	if _, err := a.db.Renew(lie); err != nil {
		t.Fatal(err)
	}
	lie.Shown.Writer = a.db.Writer()
	if _, err := a.db.Renew(lie); !errors.Is(err, ErrRefused) {
		t.Errorf("a second lie at once: got %v, want ErrRefused", err)
	}
	a.sound()
	a.holds(map[string]string{"k": `1`})
}

// Whatever is lost and written again, and how often, two devices come to the same, conflicts included if these are left to people, hold
// every row that was acknowledged since the last time that it was written alike, and stay sound, whether they keep history or not.
func TestSetBackConverges(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		a, b := newDevice(t, 1).create(), newDevice(t, 2)
		defer a.close()
		defer b.close()
		if rapid.Bool().Draw(rt, "defer") {
			a.policy(1, `{"collection":"notes","prefix":"shared","resolver":"defer"}`)
			b.policy(1, `{"collection":"notes","prefix":"shared","resolver":"defer"}`)
		}
		b.pull(a)
		// unique keys are written once, so each of them must survive.
		want := map[string]string{}
		next := 0
		write := func(d *device) {
			next++
			key := fmt.Sprint("unique-", next)
			want[key] = fmt.Sprint(next)
			d.put(key, want[key])
			if rapid.Bool().Draw(rt, "shared") {
				d.put("shared", fmt.Sprint(next))
			}
			if rapid.IntRange(0, 3).Draw(rt, "delete") == 0 {
				d.del("shared")
			}
		}
		exchange := func() {
			b.pull(a)
			a.pull(b)
		}
		reclaim := func() {
			level(a, b)
			for _, d := range []*device{a, b} {
				if rapid.Bool().Draw(rt, "reclaim") {
					d.reclaim(d.everything())
				}
			}
		}
		for range rapid.IntRange(1, 3).Draw(rt, "rounds") {
			for range rapid.IntRange(0, 4).Draw(rt, "before") {
				write([]*device{a, b}[rapid.IntRange(0, 1).Draw(rt, "who")])
			}
			if rapid.Bool().Draw(rt, "met") {
				exchange()
			}
			if rapid.Bool().Draw(rt, "level") {
				reclaim()
			}
			for range rapid.IntRange(0, 2).Draw(rt, "unshared") {
				write(a)
			}
			early := a.fs.CrashClone()
			lost := rapid.IntRange(0, 5).Draw(rt, "lost")
			for range lost {
				write(a)
			}
			b.pull(a)
			a.setBack(early)
			for range rapid.IntRange(0, 5).Draw(rt, "again") {
				write(a)
			}
			a.now = a.now.Add(renewPause)
			a.examine(b)
			if a.examine(b) {
				rt.Fatal("a renewal did not settle the matter")
			}
			a.sound()
			for range 3 {
				exchange()
			}
			for k, v := range want {
				if a.contents()[k] != v || b.contents()[k] != v {
					rt.Fatalf("%s=%s is %q here and %q there", k, v, a.contents()[k], b.contents()[k])
				}
			}
			if diff := cmp.Diff(a.contents(), b.contents()); diff != "" {
				rt.Fatalf("(-a +b):\n%s", diff)
			}
			heads := func(d *device) []id.Version {
				c, err := d.db.Conflict(at("shared"))
				if err != nil && !errors.Is(err, ErrNoConflict) {
					rt.Fatal(err)
				}
				var list []id.Version
				for _, s := range c.Siblings {
					list = append(list, s.Version)
				}
				slices.SortFunc(list, id.Version.Compare)
				return list
			}
			if diff := cmp.Diff(heads(a), heads(b)); diff != "" {
				rt.Fatalf("in conflict (-a +b):\n%s", diff)
			}
			a.sound()
			b.sound()
			if t.Failed() {
				rt.Fatal("see above")
			}
		}
		c := newDevice(t, 3)
		defer c.close()
		c.pull(a)
		if diff := cmp.Diff(maps.Clone(a.contents()), c.contents()); diff != "" {
			rt.Fatalf("a newcomer differs (-a +c):\n%s", diff)
		}
	})
}

// A device that took a new epoch of its own accord before anybody showed it that it had been set back gets back what it
// wrote under the names that it has used twice, also when it believed by then to hold all of the former epoch.
func TestSetBackShowsAfterARenewal(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	a.put("before", `1`)
	b.pull(a)
	disk := a.fs.CrashClone()
	a.put("lost", `1`)
	a.put("lost too", `1`)
	b.pull(a)
	a.setBack(disk)
	a.put("since", `1`)
	a.put("since then", `1`)
	if err := a.s.Renew(); err != nil {
		t.Fatal(err)
	}
	a.put("renewed", `1`)
	a.now = a.now.Add(time.Hour)
	if !a.examine(b) {
		t.Fatal("no proof that the device was set back")
	}
	a.pull(b)
	b.pull(a)
	want := map[string]string{"before": `1`, "lost": `1`, "lost too": `1`, "since": `1`, "since then": `1`, "renewed": `1`}
	a.holds(want)
	b.holds(want)
	a.sound()
	b.sound()
}

// What somebody wrote on top of a record whose name came to be doubted goes on being on top of it under its new name, for everybody:
// no conflict comes of it that is left to people.
func TestRenamedRecordStaysBelowWhatFollowedFromIt(t *testing.T) {
	for _, again := range []int{1, 5, 9} {
		t.Run(fmt.Sprint(again), func(t *testing.T) {
			a, b := newDevice(t, 1).create(), newDevice(t, 2)
			a.policy(1, `{"resolver":"defer"}`)
			b.policy(1, `{"resolver":"defer"}`)
			a.put("k", `"a"`)
			a.put("gone", `"a"`)
			b.pull(a)
			b.put("k", `"b"`)
			b.del("gone")
			a.pull(b)
			early := a.fs.CrashClone()
			for i := range 5 {
				a.put(fmt.Sprint("lost-", i), `1`)
			}
			b.pull(a)
			a.setBack(early)
			for i := range again {
				a.put(fmt.Sprint("again-", i), `1`)
			}
			b.put("k", `"B"`)
			if !a.examine(b) {
				t.Fatal("what the other device holds was no proof")
			}
			a.sound()
			a.crash()
			a.sound()
			level(a, b)
			c := newDevice(t, 3)
			c.policy(1, `{"resolver":"defer"}`)
			c.pull(a)
			for _, d := range []*device{a, b, c} {
				d.wantConflicts()
				if got := d.contents()["k"]; got != `"B"` {
					t.Errorf("device %d has k=%s", d.num, got)
				}
				if diff := cmp.Diff(a.contents(), d.contents()); diff != "" {
					t.Errorf("(-a +device %d):\n%s", d.num, diff)
				}
			}
			state, _ := a.watched()
			if diff := cmp.Diff(a.contents(), state); diff != "" {
				t.Errorf("what a watcher ends with (-rows +watcher):\n%s", diff)
			}
		})
	}
}

// A commit of which reclaiming has left but a part is given new names whole or not at all, wherever its names come to be doubted.
func TestRenewalDividesNoCommit(t *testing.T) {
	for lost := 1; lost <= 12; lost++ {
		t.Run(fmt.Sprint(lost), func(t *testing.T) {
			a, b := newDevice(t, 1).create(), newDevice(t, 2)
			for _, key := range []string{"k", "l"} {
				ops := make([]Op, 0, 4)
				for i := range 4 {
					ops = append(ops, Op{Collection: notes, Key: fmt.Sprint(key, i), Value: []byte(`1`)})
				}
				if _, err := a.db.Commit(ops, nil); err != nil {
					t.Fatal(err)
				}
			}
			a.put("end", `1`)
			b.pull(a)
			if sum := a.reclaim(a.everything()); sum.Commits == 0 {
				t.Fatal("nothing was reclaimed")
			}
			a.put("end", `2`) // makes that durable
			early := a.fs.CrashClone()
			for i := range lost {
				a.put(fmt.Sprint("lost-", i), `1`)
			}
			b.pull(a)
			a.setBack(early)
			for i := range lost {
				a.put(fmt.Sprint("again-", i), `1`)
			}
			if !a.examine(b) {
				t.Fatal("what the other device holds was no proof")
			}
			a.sound()
			level(a, b)
			c := newDevice(t, 3)
			c.pull(a)
			for _, d := range []*device{b, c} {
				d.sound()
				if diff := cmp.Diff(a.contents(), d.contents()); diff != "" {
					t.Errorf("(-a +device %d):\n%s", d.num, diff)
				}
			}
		})
	}
}
