package rows

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/kv"
)

// What a device had only set aside when it was deleted and forgotten elsewhere does not rise again once there is room; the rest
// of its batch is taken.
func TestRebaseEndsLettersOfWhatIsGone(t *testing.T) {
	a, b, c := newDevice(t, 1).create(), newDevice(t, 2), newDevice(t, 3)
	b.pull(a)
	b.quota(1000)
	a.put("alone", big(3000))
	if _, err := a.db.Commit([]Op{
		{Collection: notes, Key: "gone", Value: []byte(big(3000))}, {Collection: notes, Key: "stays", Value: []byte(`1`)},
	}, nil); err != nil {
		t.Fatal(err)
	}
	b.pull(a)
	if n := len(b.db.Letters()); n != 2 {
		t.Fatalf("%d letters", n)
	}
	a.del("alone")
	a.del("gone")
	a.forget()
	b.fetch(a)
	letters := b.db.Letters()
	if len(letters) != 1 || letters[0].Records != 1 || letters[0].Keys[0] != "stays" || letters[0].Bytes > 1000 {
		t.Errorf("letters %+v", letters)
	}
	b.crash()
	b.sound()
	if diff := cmp.Diff(letters, b.db.Letters(), cmp.AllowUnexported(Letter{})); diff != "" {
		t.Errorf("letters after a crash (-before +after):\n%s", diff)
	}
	b.set(func(s *Settings) { s.QuotaBytes = 0 })
	if sum := b.retry(); sum.Left != 0 {
		t.Errorf("tried again: %+v", sum)
	}
	a.fetch(b)
	c.fetch(b)
	for _, d := range []*device{a, b, c} {
		d.want2("last=0", "stays=1")
		d.sound()
	}
}

// An inventory is asked for of a scope of which there is nothing but letters.
func TestLettersCountAsHolding(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	b.quota(1)
	b.pull(a)
	if len(b.db.Letters()) != 1 {
		t.Fatalf("letters %+v", b.db.Letters())
	}
	if holding, err := b.db.Holding(whole); err != nil || len(holding) != 1 {
		t.Errorf("holding %v, %v", holding, err)
	}
}

// A tombstone stays as long as a letter lies here that it won against, whatever all others agree on.
func TestTombstoneWaitsForLetters(t *testing.T) {
	a, b, c := newDevice(t, 1).create(), newDevice(t, 2), newDevice(t, 3)
	b.pull(a)
	b.quota(1000)
	a.put("k", big(3000))
	c.pull(a)
	b.pull(a)
	c.now = c.now.Add(time.Second)
	c.del("k")
	b.pull(c)
	b.set(func(s *Settings) { s.QuotaBytes = 0 })
	b.forget()
	if sum := b.retry(); sum.Applied != 1 || sum.Got.Records != 0 {
		t.Errorf("tried again: %+v", sum)
	}
	b.want2("last=0")
	b.put("more", `1`)
	b.reclaim(b.everything())
	if _, err := b.db.s.kv.Get(rowKey(spaceTomb, b.db.num, b.db.colls[notes].num, "k")); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("the tombstone after the letter is gone: %v", err)
	}
	b.sound()
}

// A batch that has to win against a forgotten delete is written anew whole: with the rows that were not deleted, as one commit,
// however many parts the inventory has.
func TestRenewedBatchStaysWhole(t *testing.T) {
	for _, rows := range []int{3, rebaseRows + 17} {
		t.Run(fmt.Sprint(rows), func(t *testing.T) {
			a, b := newDevice(t, 1).create(), newDevice(t, 2)
			key := func(i int) string { return fmt.Sprintf("%0100d", i) }
			batch := func(value string) []Op {
				var ops []Op
				for i := range rows {
					ops = append(ops, Op{Collection: notes, Key: key(i), Value: []byte(value)})
				}
				return ops
			}
			if _, err := a.db.Commit(batch(`1`), nil); err != nil {
				t.Fatal(err)
			}
			deletes := batch(``)
			for i := range deletes {
				deletes[i].Kind = OpDelete
			}
			b.fetch(a)
			if _, err := b.db.Commit(append(batch(`2`), Op{Kind: OpDelete, Collection: notes, Key: key(0)}), nil); err != nil {
				t.Fatal(err)
			}
			b.put("alone", `2`)
			a.now = a.now.Add(time.Hour)
			a.put(key(rows-1), `3`)
			if _, err := a.db.Commit(deletes[:rows-1], nil); err != nil {
				t.Fatal(err)
			}
			a.forget()
			marker := a.db.Published().Seq
			if got, err := b.rebase(a, 1<<30); err != nil || got.Renewed != rows+1 {
				t.Fatalf("%+v, %v; want %d rows written anew", got, err, rows+1)
			}
			b.pull(a)
			a.pull(b)
			var changes []int
			if _, err := a.db.ReadLog(marker, nil, func(batch Batch) (bool, error) {
				changes = append(changes, len(batch.Changes))
				return true, nil
			}); err != nil {
				t.Fatal(err)
			}
			// First come the commits that were written anew, as they were.
			if diff := cmp.Diff([]int{rows - 1, 1, rows, 1}, changes); diff != "" {
				t.Errorf("changes that a watcher hears of (-want +got):\n%s", diff)
			}
			for _, d := range []*device{a, b} {
				contents := d.contents()
				for i := range rows {
					if got, found := contents[key(i)]; i > 0 && got != `2` || i == 0 && found {
						t.Fatalf("device %d has %q for row %d", d.num, got, i)
					}
				}
				d.sound()
			}
		})
	}
}

// What interrupts a rebase before its end leaves it to be done again.
func TestRenewalIsRestartable(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	a.put("k", `1`)
	b.fetch(a)
	b.put("k", `2`)
	a.now = a.now.Add(time.Hour)
	a.del("k")
	a.forget()
	if _, err := b.rebase(a, 0); !errors.Is(err, errCut) {
		t.Fatal(err)
	}
	b.crash()
	if got, err := b.rebase(a, 1<<30); err != nil || got != (Rebased{Renewed: 1}) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := b.rebase(a, 1<<30); err != nil || got != (Rebased{}) {
		t.Errorf("once more: %+v, %v", got, err)
	}
}
