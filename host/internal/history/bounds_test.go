package history_test

import (
	"testing"

	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/merge"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// However many devices settle one conflict at the same time, what is made on top of their links stays within what a
// record may hold, and still covers all of them.
func TestManyLinksStayWithinLimits(t *testing.T) {
	conflict := func() *device {
		d := &device{self: writerOf('x')}
		for _, name := range "ab" {
			other := device{self: writerOf(byte(name))}
			r := other.write(wire.Put, 10)
			d.Apply(&r.Record, r.time)
		}
		return d
	}
	d := conflict()
	for i := range wire.MaxParents + 50 {
		other := conflict()
		other.self = id.Writer{Device: id.Device{'y', byte(i >> 8), byte(i)}, Epoch: 1}
		link := other.Join(merge.LastWins(other.Heads), "row", id.Version{Writer: other.self, Gen: 1})
		if got := d.Apply(&link, 10); got != history.Linked {
			t.Fatalf("link %d: %v", i, outcomes[got])
		}
	}
	if n := len(d.Heads[0].Tips); n > wire.MaxParents {
		t.Errorf("%d tips, the limit is %d", n, wire.MaxParents)
	}
	r := d.write(wire.Put, 20)
	if _, err := wire.DecodeBody(wire.AppendBody(nil, &r.Record), r.Version); err != nil {
		t.Errorf("the next write cannot be read: %v", err)
	}
	if got := len(r.Seen); got != wire.MaxParents+50+2 {
		t.Errorf("the next write covers %d writers, want all %d", got, wire.MaxParents+50+2)
	}
}

// More heads than a record may name as parents are all covered by the link that joins them, winner first.
func TestManyHeadsStayWithinLimits(t *testing.T) {
	d := &device{self: writerOf('x')}
	const heads = wire.MaxParents + 50
	for i := range heads {
		other := device{self: id.Writer{Device: id.Device{'y', byte(i >> 8), byte(i)}, Epoch: 1}}
		r := other.write(wire.Put, 10)
		d.Apply(&r.Record, r.time)
	}
	winner := d.Heads[merge.LastWins(d.Heads)].Version
	link := d.join()
	if _, err := wire.DecodeBody(wire.AppendBody(nil, &link.Record), link.Version); err != nil {
		t.Errorf("the link cannot be read: %v", err)
	}
	if link.Parents[0] != winner || len(d.Heads) != 1 || d.Heads[0].Version != winner {
		t.Errorf("winner %s, the link names %s first and leaves\n%s", winner, link.Parents[0], describe(&d.State))
	}
}

// The state of a row can be copied by value: taking a record into the copy leaves the original alone.
func TestStatesShareNothingThatChanges(t *testing.T) {
	a, b, c := device{self: writerOf('a')}, device{self: writerOf('b')}, device{self: writerOf('c')}
	first, second := a.write(wire.Put, 1), b.write(wire.Put, 2)
	for _, r := range []stamped{first, second} {
		c.Apply(&r.Record, r.time)
	}
	before := describe(&c.State)
	link := (&device{State: history.State{Heads: c.Heads}, self: writerOf('d')}).join()
	if after := describe(&c.State); after != before {
		t.Fatalf("joining a copy changed the original from\n%sto\n%s", before, after)
	}
	copied := c.State
	copied.Apply(&link.Record, link.time)
	if after := describe(&c.State); after != before {
		t.Errorf("linking a copy changed the original from\n%sto\n%s", before, after)
	}
}

func TestSameContent(t *testing.T) {
	base := history.Head{Type: "t", Value: []byte("v"), Version: id.Version{Writer: writerOf('a'), Gen: 1}}
	change := map[string]func(*history.Head){
		"deleted": func(h *history.Head) { h.Deleted = true },
		"raw":     func(h *history.Head) { h.Raw = true },
		"type":    func(h *history.Head) { h.Type = "u" },
		"value":   func(h *history.Head) { h.Value = []byte("w") },
	}
	for name, f := range change {
		other := base
		f(&other)
		if base.SameContent(&other) {
			t.Errorf("%s makes no difference", name)
		}
	}
	other := base
	other.Version.Gen, other.Time = 2, 7
	if !base.SameContent(&other) {
		t.Error("version or time make a difference")
	}
}
