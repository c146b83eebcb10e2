package rows

import (
	"testing"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
)

// Track makes everything before it durable, so it may publish before a commit that is still waiting for its own turn.
func TestAnOlderStateDoesNotReplaceANewerOne(t *testing.T) {
	d := newDevice(t, 1)
	ops := []Op{{Collection: notes, Key: "k", Value: []byte(`1`)}}
	if err := d.create().db.Track([]id.Scope{{Collection: notes, Prefix: "a"}}); err != nil {
		t.Fatal(err)
	}
	begun := d.db.StartCommits([][]Op{ops}, nil)[0]
	b := id.Scope{Collection: notes, Prefix: "b"}
	if err := d.db.Track([]id.Scope{b}); err != nil {
		t.Fatal(err)
	}
	w := id.Writer{Device: id.Device{9}, Epoch: 1}
	if _, err := d.db.Receive(Step{Scopes: []id.Scope{b}, Progress: []delta.ScopeVector{{Scope: b, Vector: id.Vector{w: 7}}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := begun.Wait(); err != nil {
		t.Fatal(err)
	}
	know := d.db.Published().Know
	if !know.Tracks(b) || know.At(b)[w] != 7 || know.Own().Gen != 2 {
		t.Errorf("published %v of %v, own %v; want what was tracked and learned before", know.At(b), know.Scopes(), know.Own())
	}
}
