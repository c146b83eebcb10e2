package rows

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// A part of an inventory decides about the letters' rows that are in it, and of those about what its vector covers.
func TestPartOfAnInventoryDecidesAboutItsLetters(t *testing.T) {
	keys := []string{"a", "k", "p", "z"}
	for name, c := range map[string]struct {
		parts []delta.Inventory
		// covered is how many of the rows the vector covers.
		covered int
		left    []string
	}{
		"all of it":                    {[]delta.Inventory{{}}, 4, nil},
		"all but what is there":        {[]delta.Inventory{{Keys: []string{"k", "q"}}}, 4, []string{"k"}},
		"up to a row":                  {[]delta.Inventory{{To: "k"}}, 4, []string{"k", "p", "z"}},
		"from a row on":                {[]delta.Inventory{{From: "k"}}, 4, []string{"a"}},
		"in between":                   {[]delta.Inventory{{From: "k", To: "z"}}, 4, []string{"a", "z"}},
		"beside":                       {[]delta.Inventory{{From: "l", To: "o"}}, 4, keys},
		"part after part":              {[]delta.Inventory{{To: "k", Keys: []string{"a"}}, {From: "k", To: "z"}, {From: "z"}}, 4, []string{"a"}},
		"written meanwhile":            {[]delta.Inventory{{}}, 0, keys},
		"half of it written meanwhile": {[]delta.Inventory{{}}, 2, []string{"p", "z"}},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := newDevice(t, 1).create(), newDevice(t, 2)
			b.pull(a)
			b.quota(1000)
			before := a.db.Published().Know.Own()
			var ops []Op
			for _, key := range keys {
				ops = append(ops, Op{Collection: notes, Key: key, Value: []byte(big(1000))})
			}
			if _, err := a.db.Commit(ops, nil); err != nil {
				t.Fatal(err)
			}
			b.pull(a)
			r := b.db.BeginRebase()
			for i := range c.parts {
				inv := &c.parts[i]
				inv.Scope, inv.Held = whole[0], id.Vector{before.Writer: before.Gen + uint64(c.covered)}
				inv.Dropped = id.Vector{before.Writer: 1}
				if _, err := r.Take(inv); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := r.End(); err != nil {
				t.Fatal(err)
			}
			var left []string
			for _, l := range b.db.Letters() {
				left = append(left, l.Keys...)
			}
			if diff := cmp.Diff(c.left, left); diff != "" {
				t.Errorf("rows of letters (-want +got):\n%s", diff)
			}
			b.sound()
		})
	}
}

// That a collection exists is noted at none of two prefixes, so it comes with each pull, and is set aside once.
func TestLetterThatCannotBeNotedIsSetAsideOnce(t *testing.T) {
	b := newDevice(t, 2).create()
	step := Step{
		Scopes: []id.Scope{{Collection: notes, Prefix: "f"}, {Collection: notes, Prefix: "g"}},
		Commits: []wire.Commit{{Writer: aWriter, First: 1, Count: 1, Time: 1, Records: []wire.Entry{
			{Collection: notes, Record: wire.Record{Version: id.Version{Writer: aWriter, Gen: 1}, Value: []byte(`{"Rule":{}}`)}},
		}}},
	}
	for i := range 2 {
		got, err := b.db.Receive(step)
		if n := len(b.db.Letters()); err != nil || got.Duplicates != i || n != 1 {
			t.Errorf("time %d: %+v, %v, %d letters", i, got, err, n)
		}
	}
	// Twice in one step, too.
	c := newDevice(t, 3).create()
	step.Commits = append(step.Commits, step.Commits[0])
	if got, err := c.db.Receive(step); err != nil || got.Duplicates != 1 || len(c.db.Letters()) != 1 {
		t.Errorf("twice in a step: %+v, %v, %d letters", got, err, len(c.db.Letters()))
	}
}

// A commit that proves that this device was set back is not set aside, whatever else is wrong with it.
func TestLetterThatProvesASetBack(t *testing.T) {
	b := newDevice(t, 2).create()
	more := b.db.Published().Know.Own()
	more.Gen++
	step := Step{Scopes: whole, Commits: []wire.Commit{{Writer: aWriter, First: 1, Count: 2, Time: 1, Records: []wire.Entry{
		{Collection: notes, Record: wire.Record{Version: id.Version{Writer: aWriter, Gen: 1}, Value: []byte(`{"Rule":{}}`)}},
		{Collection: notes, Record: wire.Record{
			Version: id.Version{Writer: aWriter, Gen: 2}, Key: "k", Value: []byte(`1`), Seen: id.Vector{more.Writer: more.Gen},
		}},
	}}}}
	var proof *SetBackError
	if got, err := b.db.Receive(step); !errors.As(err, &proof) || proof.Shown != more {
		t.Errorf("%+v, %v; want proof by %s", got, err, more)
	}
	if list := b.db.Letters(); len(list) != 0 {
		t.Errorf("letters %+v", list)
	}
}
