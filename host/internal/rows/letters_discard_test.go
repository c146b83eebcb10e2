package rows

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// giveUpLetters discards every letter of the device.
func (d *device) giveUpLetters() {
	d.t.Helper()
	for _, l := range d.db.Letters() {
		if _, err := d.db.DiscardLetter(l.ID, nil); err != nil {
			d.t.Fatal(err)
		}
	}
}

// What a device without room refuses and discards is given up by everybody: the rows are as they were there, the batch is
// gone whole, and nothing differs, also for who learns of it only from that device.
func TestDiscardedLetterIsGivenUpEverywhere(t *testing.T) {
	a, b, c := newDevice(t, 1).create(), newDevice(t, 2), newDevice(t, 3)
	a.put("old", `1`)
	a.put("gone", `1`)
	b.pull(a)
	b.quota(0)
	if _, err := a.db.Commit([]Op{
		{Collection: notes, Key: "new", Value: []byte(big(3000))}, {Collection: notes, Key: "old", Value: []byte(`2`)},
		{Collection: notes, Key: "gone", Kind: OpDelete},
	}, nil); err != nil {
		t.Fatal(err)
	}
	a.put("old2", `1`)
	b.pull(a)
	l := b.db.Letters()[0]
	got, err := b.db.DiscardLetter(l.ID, nil)
	if want := (Discarded{Commit: id.Version{Writer: a.db.Writer(), Gen: l.Least}, Records: 3, Written: 3}); err != nil || got != want {
		t.Fatalf("discarded %+v, %v; want %+v", got, err, want)
	}
	if _, err := b.db.DiscardLetter(l.ID, nil); !errors.Is(err, ErrNoLetter) {
		t.Errorf("a second time: %v", err)
	}
	b.crash()
	if left := b.db.Letters(); len(left) != 1 || left[0].Keys[0] != "old2" {
		t.Errorf("left are %+v", left)
	}
	b.set(func(s *Settings) { s.QuotaBytes = 0 })
	b.retry()
	want := []string{"gone=1", "old=1", "old2=1"}
	c.pull(b)
	a.pull(b)
	for _, d := range []*device{a, b, c} {
		d.want2(want...)
		d.sound()
	}
	for _, to := range []*device{a, b, c} {
		for _, from := range []*device{a, b, c} {
			if got := to.pull(from); got.Records != 0 {
				t.Errorf("level devices send each other %+v", got)
			}
		}
	}
	if got, want := b.db.Applied(whole[0]), a.db.Published().Know.At(whole[0]); !got.Dominates(want) {
		t.Errorf("applied is %v, want all of %v", got, want)
	}
}

// A member that has the commit gives it up, too: what was there before is back, and the letter elsewhere goes by itself.
func TestGivenUpCommitIsTakenBack(t *testing.T) {
	a, b, c := newDevice(t, 1).create(), newDevice(t, 2), newDevice(t, 3)
	a.put("old", `1`)
	a.put("touched", `1`)
	b.pull(a)
	b.quota(1000)
	if _, err := a.db.Commit([]Op{
		{Collection: notes, Key: "new", Value: []byte(big(3000))}, {Collection: notes, Key: "old", Value: []byte(`2`)},
		{Collection: notes, Key: "touched", Value: []byte(`2`)},
	}, nil); err != nil {
		t.Fatal(err)
	}
	a.put("touched", `3`)
	b.pull(a)
	c.pull(b)
	l := b.db.Letters()[0]
	refused := id.Version{Writer: l.Writer, Gen: l.Least}
	if got, err := c.db.GiveUp(refused, nil); err != nil || got.Written != 2 {
		t.Fatalf("gave up %+v, %v", got, err)
	}
	if got, err := a.db.GiveUp(refused, nil); err != nil || got.Written != 2 {
		t.Fatalf("the writer gave up %+v, %v", got, err)
	}
	for range 2 {
		b.pull(c)
		b.pull(a)
		a.pull(b)
		c.pull(b)
	}
	if !b.db.LetterDue(b.db.Letters()[0]) {
		t.Error("a letter that was superseded is not due")
	}
	if sum := b.retry(); sum.Applied != 1 {
		t.Errorf("tried again: %+v, %+v", sum, b.db.Letters())
	}
	for _, d := range []*device{a, b, c} {
		d.want2("old=1", "touched=3")
		d.sound()
	}
	if _, err := a.db.GiveUp(id.Version{Writer: l.Writer, Gen: 1 << 40}, nil); !errors.Is(err, ErrNotWhole) {
		t.Errorf("a version that nobody made: %v", err)
	}
}

// What cannot be given up without tearing a batch, against an access list, or with a collection stays as it is.
func TestDiscardIsRefused(t *testing.T) {
	other := id.Collection{Name: id.Name{Owner: owner, Local: "other"}}
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	if err := a.db.CreateCollection(other, perm.For(owner, perm.CollectionTags)); err != nil {
		t.Fatal(err)
	}
	b.pull(a)
	b.quota(0)
	if _, err := a.db.Commit([]Op{
		{Collection: notes, Key: "k", Value: []byte(`1`)}, {Collection: other, Key: "k", Value: []byte(`1`)},
	}, nil); err != nil {
		t.Fatal(err)
	}
	a.put("k2", `1`)
	b.pull(a)
	letters := b.db.Letters()
	if len(letters) != 2 {
		t.Fatalf("letters %+v", letters)
	}
	if _, err := b.db.DiscardLetter(letters[0].ID, nil); !errors.Is(err, ErrNotWhole) {
		t.Errorf("half of a batch: %v", err)
	}
	denied := errors.New("denied")
	guard := func(id.Collection, perm.List, OpKind) error { return denied }
	if _, err := b.db.DiscardLetter(letters[1].ID, guard); !errors.Is(err, denied) {
		t.Errorf("against the list: %v", err)
	}
	if _, err := a.db.GiveUp(id.Version{Writer: a.db.Writer(), Gen: 1}, nil); !errors.Is(err, ErrNotWhole) {
		t.Errorf("what made the collection: %v", err)
	}
	b.db.Freeze(Frozen{Scopes: whole, Reason: "left"})
	if _, err := b.db.DiscardLetter(letters[1].ID, nil); !errors.Is(err, ErrFrozen) {
		t.Errorf("what is frozen: %v", err)
	}
	if len(b.db.Letters()) != 2 {
		t.Errorf("letters %+v", b.db.Letters())
	}
	b.sound()
}

// A letter of any rule goes when it is discarded here or was overwritten elsewhere.
func TestLettersOfAllRulesAreDiscarded(t *testing.T) {
	for code, rec := range map[RefusalCode]wire.Record{
		RefusedTime: {Key: "k", Value: []byte(`1`)}, RefusedAccessList: {Value: []byte(`{"Rule":{}}`)},
	} {
		t.Run(string(code), func(t *testing.T) {
			b, c := newDevice(t, 2).create(), newDevice(t, 3).create()
			c.pull(b)
			rec.Version = id.Version{Writer: aWriter, Gen: 1}
			commit := wire.Commit{Writer: aWriter, First: 1, Count: 1, Time: 1, Records: []wire.Entry{{Collection: notes, Record: rec}}}
			if code == RefusedTime {
				commit.Time = 1<<64 - 1
			}
			for _, d := range []*device{b, c} {
				if _, err := d.db.Receive(Step{Scopes: whole, Commits: []wire.Commit{commit}}); err != nil || len(d.db.Letters()) != 1 {
					t.Fatalf("%v, letters %+v", err, d.db.Letters())
				}
			}
			b.giveUpLetters()
			c.pull(b)
			if sum := c.retry(); sum.Applied != 1 || len(c.db.Letters())+len(b.db.Letters()) != 0 {
				t.Errorf("tried again elsewhere: %+v", sum)
			}
			if diff := cmp.Diff(b.rows(), c.rows()); diff != "" {
				t.Error(diff)
			}
			b.sound()
			c.sound()
		})
	}
}

// Whatever is written, refused, tried again and discarded, by whom and in what order, members come to the same rows, none keeps
// a letter once there is room, and no batch is torn.
func TestDiscardingDevicesConverge(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		all := []*device{newDevice(t, 1).create(), newDevice(t, 2), newDevice(t, 3)}
		defer func() {
			for _, d := range all {
				d.close()
			}
		}()
		for _, d := range all[1:] {
			d.pull(all[0])
		}
		small := all[:2]
		for _, d := range small {
			d.quota(1500)
		}
		any := rapid.SampledFrom(all)
		n := 0
		rt.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				d := any.Draw(t, "at")
				n++
				value := fmt.Sprintf(`"%d%0*d"`, n, rapid.SampledFrom([]int{1, 400, 2000}).Draw(t, "size"), 0)
				_, err := d.db.Commit([]Op{
					{Collection: notes, Key: "left", Value: []byte(value)}, {Collection: notes, Key: "right", Value: []byte(value)},
				}, nil)
				if err != nil && !errors.Is(err, ErrQuota) {
					t.Fatal(err)
				}
			},
			"pull": func(t *rapid.T) {
				if to, from := any.Draw(t, "to"), any.Draw(t, "from"); to != from {
					to.pull(from)
				}
			},
			"retry": func(t *rapid.T) { rapid.SampledFrom(small).Draw(t, "at").retry() },
			"discard": func(t *rapid.T) {
				d := rapid.SampledFrom(small).Draw(t, "at")
				for _, l := range d.db.Letters() {
					if _, err := d.db.DiscardLetter(l.ID, nil); err != nil {
						t.Fatal(err)
					}
				}
			},
			"give up": func(t *rapid.T) {
				for _, l := range rapid.SampledFrom(small).Draw(t, "of").db.Letters() {
					_, err := all[2].db.GiveUp(id.Version{Writer: l.Writer, Gen: l.Least}, nil)
					if err != nil && !errors.Is(err, ErrNotWhole) {
						t.Fatal(err)
					}
				}
			},
			"crash": func(t *rapid.T) { any.Draw(t, "at").crash() },
		})
		for _, d := range small {
			d.set(func(s *Settings) { s.QuotaBytes = 0 })
			d.retry()
		}
		for range 3 {
			for _, to := range all {
				for _, from := range all {
					if to != from {
						to.pull(from)
						to.retry()
					}
				}
			}
		}
		for _, d := range all {
			if len(d.db.Letters()) > 0 {
				rt.Fatalf("device %d keeps %+v", d.num, d.db.Letters())
			}
			if diff := cmp.Diff(all[0].contents(), d.contents()); diff != "" {
				rt.Fatalf("rows of devices 1 and %d differ (-1 +%d):\n%s", d.num, d.num, diff)
			}
			if rules, _ := d.check(); rules != nil {
				rt.Fatalf("check found %v", rules)
			}
			if now := d.contents(); now["left"] != now["right"] {
				rt.Fatalf("a batch is torn: %.20s and %.20s", now["left"], now["right"])
			}
		}
	})
}
