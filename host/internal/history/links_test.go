package history_test

import (
	"testing"

	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// reference: sync-010
// A link may come any number of times, and one that names as winner what lies beneath its loser, which would make a
// cycle, moves no head.
func TestLinkCannotTurnHistoryAround(t *testing.T) {
	a, b, c := device{self: writerOf('a')}, device{self: writerOf('b')}, device{self: writerOf('c')}
	older := a.write(wire.Put, 10)
	b.Apply(&older.Record, older.time)
	newer := b.write(wire.Put, 20)
	for _, r := range []stamped{older, newer} {
		c.Apply(&r.Record, r.time)
	}
	wrong := wire.Record{
		Version: id.Version{Writer: writerOf('d'), Gen: 1}, Kind: wire.Link, Key: "row",
		Parents: []id.Version{older.Version, newer.Version}, Seen: id.Vector{writerOf('a'): 1, writerOf('b'): 1},
	}
	for range 3 {
		c.Apply(&wrong, 30)
		if len(c.Heads) != 1 || c.Heads[0].Version != newer.Version || len(c.Heads[0].Tips) != 0 {
			t.Fatalf("heads are\n%s", describe(&c.State))
		}
	}
}

// A row never heard of has no time, no ancestry to hand on and ignores links.
func TestZeroState(t *testing.T) {
	var s history.State
	link := wire.Record{
		Version: id.Version{Writer: writerOf('d'), Gen: 1}, Kind: wire.Link,
		Parents: []id.Version{{Writer: writerOf('a'), Gen: 1}, {Writer: writerOf('b'), Gen: 1}},
	}
	if got := s.Apply(&link, 1); got != history.Known || len(s.Heads) != 0 {
		t.Errorf("a link: %s\n%s", outcomes[got], describe(&s))
	}
	if next := s.Next(writerOf('a')); len(next.Parents) != 0 || len(next.Seen) != 0 || s.Time() != 0 {
		t.Errorf("ancestry %v, time %d", next, s.Time())
	}
}
