package history_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/merge"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// versions is a set.
type versions map[id.Version]bool

// plain is a row whose heads say one by one which versions they cover: what vectors have to come to as well.
type plain map[id.Version]versions

// made is a record of a row in which conflicts stay open, with the set that it covers.
type made struct {
	stamped
	covers versions
}

func (p plain) take(m *made) {
	if m.Kind == wire.Link {
		for h, covers := range p {
			if h == m.Parents[0] || covers[m.Parents[0]] {
				maps.Copy(covers, m.covers)
				delete(covers, h)
			}
		}
	} else {
		for _, covers := range p {
			if covers[m.Version] {
				return
			}
		}
		p[m.Version] = maps.Clone(m.covers)
	}
	for h, covers := range p {
		for other := range p {
			if covers[other] && !p[other][h] {
				maps.Copy(covers, p[other])
				delete(p, other)
			}
		}
		delete(covers, h)
	}
}

// holder is a device that leaves conflicts open.
type holder struct {
	device
	plain plain
	log   []*made
	have  versions
}

func (h *holder) heads() (list []id.Version) {
	for i := range h.Heads {
		list = append(list, h.Heads[i].Version)
	}
	return list
}

// on returns what a record over the heads at these indices covers.
func (h *holder) on(indices []int) versions {
	covers := versions{}
	for _, i := range indices {
		v := h.Heads[i].Version
		covers[v] = true
		maps.Copy(covers, h.plain[v])
	}
	return covers
}

// write makes a version on top of some heads.
func (h *holder) write(on []int, wall hlc.Time) *made {
	m := &made{covers: h.on(on)}
	m.time = max(wall, h.Time()+1)
	next := h.NextOn(h.self, on)
	m.Record = wire.Record{
		Version: h.next(), Key: "row", Parents: next.Parents, Seen: next.Seen, Beside: next.Beside,
	}
	m.Value = []byte(brief(m.Version))
	h.Apply(&m.Record, m.time)
	return m
}

// join links the lesser of two heads to the greater.
func (h *holder) join(a, b int) *made {
	if pair := []history.Head{h.Heads[a], h.Heads[b]}; merge.LastWins(pair) == 1 {
		a, b = b, a
	}
	m := &made{covers: h.on([]int{a, b})}
	m.time = h.Time() + 1
	m.Record = h.JoinSome(a, []int{b}, "row", h.next())
	return m
}

func (h *holder) keep(m *made) {
	h.plain.take(m)
	h.log, h.have[m.Version] = append(h.log, m), true
}

// act does something at random to the row.
func (h *holder) act(t *rapid.T) *made {
	all := make([]int, len(h.Heads))
	for i := range all {
		all[i] = i
	}
	wall := hlc.Time(rapid.IntRange(0, 50).Draw(t, "wall"))
	if len(all) == 0 {
		return h.write(nil, wall)
	}
	order := rapid.Permutation(all).Draw(t, "heads")
	what := rapid.SampledFrom([]string{"one", "some", "all", "join"}).Draw(t, "what")
	switch {
	case what == "join" && len(all) > 1:
		return h.join(order[0], order[1])
	case what == "all":
		return h.write(all, wall)
	case what == "some":
		return h.write(order[:rapid.IntRange(1, len(order)).Draw(t, "some")], wall)
	}
	return h.write([]int{merge.LastWins(h.Heads)}, wall)
}

func (h *holder) check(t *rapid.T) {
	want := slices.SortedFunc(maps.Keys(h.plain), id.Version.Compare)
	if got := h.heads(); !slices.Equal(got, want) {
		t.Fatalf("%c has the heads %s, want %s:\n%s", h.self.Device[0], briefs(got), briefs(want), describe(&h.State))
	}
}

// Whatever is written over some heads of a row while others stay open, every device has the heads that nothing known
// follows from, and all devices that know the same have the same.
func TestOpenHeadsAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		holders := make([]*holder, rapid.IntRange(2, 4).Draw(t, "devices"))
		for i := range holders {
			holders[i] = &holder{device: device{self: writerOf(byte('a' + i))}, plain: plain{}, have: versions{}}
		}
		pull := func(to, from *holder, limit int) {
			for _, m := range from.log {
				if to.have[m.Version] || limit == 0 {
					continue
				}
				limit--
				to.Apply(&m.Record, m.time)
				to.keep(m)
				to.check(t)
				again := history.State{Heads: slices.Clone(to.Heads)}
				if o := again.Apply(&m.Record, m.time); o != history.Known || !same(again.Heads, to.Heads) {
					t.Fatalf("%s applied twice: %s", brief(m.Version), outcomes[o])
				}
			}
		}
		which := rapid.IntRange(0, len(holders)-1)
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			h := holders[which.Draw(t, "who")]
			if rapid.Bool().Draw(t, "pull") {
				pull(h, holders[which.Draw(t, "from")], rapid.IntRange(1, 10).Draw(t, "limit"))
				continue
			}
			m := h.act(t)
			h.keep(m)
			h.check(t)
			body := wire.AppendBody(nil, &m.Record)
			if got, err := wire.DecodeBody(body, m.Version); err != nil || !cmp.Equal(got, m.Record, cmpopts.EquateEmpty()) {
				t.Fatalf("decoded as %+v, %v, want %+v", got, err, m.Record)
			}
		}
		for range holders {
			for _, to := range holders {
				for _, from := range holders {
					pull(to, from, -1)
				}
			}
		}
		for _, h := range holders {
			if !slices.Equal(holders[0].heads(), h.heads()) {
				t.Fatalf("the first has\n%s%c has\n%s", describe(&holders[0].State), h.self.Device[0], describe(&h.State))
			}
		}
	})
}
