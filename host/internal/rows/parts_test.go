package rows

import (
	"fmt"
	"testing"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// pullScopes brings what from has of some scopes.
func (d *device) pullScopes(from *device, scopes ...id.Scope) Received {
	d.t.Helper()
	got, err := d.db.Receive(d.requestScopes(from, scopes))
	if err != nil {
		d.t.Fatal(err)
	}
	return got
}

// A batch that spans scopes is whole for everybody who gets them in one pull, also where they nest, where some are known
// already, or where a pull is cut between any two commits. It can be seen in parts in exactly one case: its parts come by
// different pulls, from members who share different scopes; the rest then arrives by itself, and nothing is taken twice.
func TestBatchComesInPartsOnlyByDifferentPulls(t *testing.T) {
	inner, outer, aside := id.Scope{Collection: notes, Prefix: "a/b"}, id.Scope{Collection: notes, Prefix: "a"}, id.Scope{Collection: notes, Prefix: "c"}
	scopes := []id.Scope{inner, outer, aside}
	keys := []string{"a/b/1", "a/2", "c/3"}
	write := func(d *device, value string) {
		t.Helper()
		var ops []Op
		for _, key := range keys {
			ops = append(ops, Op{Collection: notes, Key: key, Value: []byte(value)})
		}
		if _, err := d.db.Commit(ops, nil); err != nil {
			t.Fatal(err)
		}
	}
	shown := func(d *device) (n int) {
		for _, key := range keys {
			if row, err := d.db.Get(notes, key); err == nil && string(row.Value) == `2` {
				n++
			}
		}
		return n
	}
	a := newDevice(t, 1).create()
	if err := a.db.Track(scopes); err != nil {
		t.Fatal(err)
	}
	write(a, `1`)
	write(a, `2`)
	for before := range 1 << len(scopes) {
		b := newDevice(t, 2)
		if err := b.db.Track(scopes); err != nil {
			t.Fatal(err)
		}
		var first []id.Scope
		for i, s := range scopes {
			if before&(1<<i) != 0 {
				first = append(first, s)
			}
		}
		if len(first) > 0 {
			b.pullScopes(a, first...)
		}
		part := shown(b)
		t.Run(fmt.Sprintf("after %v", first), func(t *testing.T) {
			step := b.requestScopes(a, scopes)
			records := 0
			for _, c := range step.Commits { // as if cut after each commit
				got, err := b.db.Receive(Step{Commits: []wire.Commit{c}, Scopes: scopes})
				if err != nil {
					t.Fatal(err)
				}
				records += got.Records
				if n := shown(b); n != part && n != len(keys) {
					t.Errorf("%d of %d rows of the batch are shown, where %d were before the pull", n, len(keys), part)
				}
			}
			if shown(b) != len(keys) {
				t.Error("the batch is not whole in the end")
			}
			if got := b.pullScopes(a, scopes...); got.Records != 0 {
				t.Errorf("%d records came twice", got.Records)
			}
			if len(first) == 0 && records == 0 {
				t.Error("nothing came")
			}
		})
		if len(first) == 0 && part != 0 || before == 1<<2 && part != 1 {
			t.Errorf("after a pull of %v alone %d rows are shown", first, part)
		}
	}
}
