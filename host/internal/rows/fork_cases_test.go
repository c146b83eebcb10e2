package rows

import (
	"slices"
	"testing"
	"time"
)

// reference: sync-015 of two forks of one version that one is the ancestor, on both sides, and the version made of both ends it.
//
// reference: sync-016 where one of the two has grown out of two grafts, the ancestor is the later version that both follow.
//
// reference: sync-017 of two rows that were made apart there is no ancestor.
func TestAncestorsOfForks(t *testing.T) {
	fork := func(t *testing.T) (a, b *device) {
		a, b = deferring(t)
		level(a, b)
		return a, b
	}
	t.Run("one graft", func(t *testing.T) {
		a, b := fork(t)
		a.put("row", `"1"`)
		a.put("row", `"2"`)
		b.pull(a)
		a.put("row", `"3"`)
		for _, v := range []string{`"4"`, `"5"`, `"6"`} {
			b.put("row", v)
		}
		level(a, b)
		a.wantForks(`row "3" "6" | "2"`)
		b.wantForks(`row "6" "3" | "2"`)
		a.resolve(Resolution{ConflictRef: at("row"), Value: []byte(`"7"`)})
		level(a, b)
		a.wantForks()
		b.wantForks()
		if a.contents()["row"] != `"7"` || b.contents()["row"] != `"7"` {
			t.Errorf("resolved: %v and %v", a.rows(), b.rows())
		}
	})
	t.Run("two grafts", func(t *testing.T) {
		a, b := fork(t)
		a.put("row", `"1"`)
		b.pull(a)
		b.put("row", `"4"`)
		a.put("row", `"2"`)
		b.pull(a)
		a.put("row", `"3"`)
		b.resolve(Resolution{ConflictRef: at("row"), Value: []byte(`"5"`)}) // of 2 and 4
		b.put("row", `"6"`)
		level(a, b)
		a.wantForks(`row "3" "6" | "2"`)
		b.wantForks(`row "6" "3" | "2"`)
	})
	t.Run("none", func(t *testing.T) {
		a, b := fork(t)
		a.put("row", `"1"`)
		a.put("row", `"2"`)
		b.put("row", `"4"`)
		b.put("row", `"5"`)
		level(a, b)
		a.wantForks(`row "2" "5"`)
		b.wantForks(`row "5" "2"`)
	})
}

// wantForks is wantConflicts but for the conflict that deferring devices begin with.
func (d *device) wantForks(want ...string) {
	d.t.Helper()
	got := slices.DeleteFunc(d.conflicts(), func(c string) bool { return c[:2] == "k " })
	if !slices.Equal(got, want) {
		d.t.Errorf("forks of device %d: %q, want %q", d.num, got, want)
	}
	d.sound()
}

// reference: sync-198 a row that the joiner wrote before it joined and one that the creator wrote: the newer of them is everywhere,
// whoever has it, and whoever pulls first.
func TestNewerOfTwoFromBeforeTheJoinWins(t *testing.T) {
	for _, joinerIsNewer := range []bool{false, true} {
		for _, joinerPullsFirst := range []bool{false, true} {
			creator, joiner, third := newDevice(t, 1).create(), newDevice(t, 2).create(), newDevice(t, 3)
			newer, older, want := creator, joiner, `"creator"`
			if joinerIsNewer {
				newer, older, want = joiner, creator, `"joiner"`
			}
			older.put("k", `"old"`)
			older.put("k", `"older, written twice"`)
			newer.now = older.now.Add(time.Minute)
			newer.put("k", want)
			if joinerPullsFirst {
				level(joiner, creator)
			} else {
				level(creator, joiner)
			}
			third.pull(joiner)
			for _, d := range []*device{creator, joiner, third} {
				if got := d.contents()["k"]; got != want {
					t.Errorf("joiner newer %v, pulls first %v: device %d has %s", joinerIsNewer, joinerPullsFirst, d.num, got)
				}
			}
		}
	}
}

// reference: sync-218 where the local version of every row in conflict was kept, the links that say so reach the others by the next
// pull, which make none of their own, and nothing but them is new.
func TestLinksOfKeptRowsTravelByThemselves(t *testing.T) {
	a, b, c := newDevice(t, 1).create(), newDevice(t, 2), newDevice(t, 3)
	for _, key := range []string{"k", "l"} {
		a.put(key, `1`)
	}
	b.pull(a)
	c.pull(a)
	for _, key := range []string{"k", "l"} {
		a.put(key, `2`)
	}
	b.now = a.now.Add(time.Minute)
	for _, key := range []string{"k", "l"} {
		b.put(key, `3`)
	}
	if got := b.pull(a); got.Conflicts != 2 {
		t.Fatalf("%+v, want two conflicts", got)
	}
	if b.contents()["k"] != `3` || b.contents()["l"] != `3` {
		t.Fatalf("b kept %v", b.contents())
	}
	made := [2]uint64{a.db.Published().Know.Own().Gen, c.db.Published().Know.Own().Gen}
	if got := a.pull(b); got.Records != 4 || got.Conflicts != 0 {
		t.Errorf("%+v reached a, want two rows and two links, and no conflict", got)
	}
	if got := c.pull(b); got.Records != 6 || got.Conflicts != 0 {
		t.Errorf("%+v reached c, want both versions of two rows and two links, and no conflict", got)
	}
	if now := [2]uint64{a.db.Published().Know.Own().Gen, c.db.Published().Know.Own().Gen}; now != made {
		t.Errorf("they made links of their own: %v, before %v", now, made)
	}
	for _, d := range []*device{a, c} {
		d.holds(b.contents())
		if diff := d.pull(b); diff.Records != 0 {
			t.Errorf("device %d gets %+v again", d.num, diff)
		}
	}
}
