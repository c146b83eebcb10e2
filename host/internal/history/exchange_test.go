package history_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/merge"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// member is a device as the engine will drive it: rows, a log in learning order, and knowledge of scopes.
type member struct {
	self id.Writer
	rows map[string]*history.State
	log  []stamped
	know *delta.Knowledge
}

var (
	shared = id.Collection{Name: id.Name{Owner: "o", Local: "c"}}
	// Scopes nest three deep, and some lie beside each other.
	prefixes = []string{"", "a", "a1", "a2", "b"}
	keys     = []string{"a1", "a1x", "a2", "b1"}
)

func (m *member) row(key string) *history.State {
	if m.rows[key] == nil {
		m.rows[key] = &history.State{}
	}
	return m.rows[key]
}

func (m *member) make(s *history.State, fill func(d *device) stamped, key string) {
	d := device{State: *s, self: m.self, gen: m.know.Own().Gen}
	r := fill(&d)
	r.Key = key
	*s = d.State
	m.know.SetOwn(d.gen)
	m.log = append(m.log, r)
}

func (m *member) settle() {
	for _, key := range keys {
		if s := m.row(key); len(s.Heads) > 1 {
			m.make(s, (*device).join, key)
		}
	}
}

// send merges the runs of the plan by learning order, each of them in the order of generations.
func (m *member) send(plan *delta.Plan) []stamped {
	type queue struct{ at []int } // positions in the log
	var queues []queue
	for _, run := range plan.Update(m.know) {
		var q queue
		for gen := run.From + 1; gen <= run.To; gen++ {
			for at, r := range m.log {
				if r.Version == (id.Version{Writer: run.Writer, Gen: gen}) && plan.Wants(shared, r.Key, r.Version) {
					q.at = append(q.at, at)
				}
			}
		}
		queues = append(queues, q)
	}
	var out []stamped
	for {
		best := -1
		for i, q := range queues {
			if len(q.at) > 0 && (best < 0 || q.at[0] < queues[best].at[0]) {
				best = i
			}
		}
		if best < 0 {
			return out
		}
		out = append(out, m.log[queues[best].at[0]])
		queues[best].at = queues[best].at[1:]
	}
}

// pull takes at most limit records of what the other knows of the scopes and settles the conflicts.
func (m *member) pull(from *member, scopes []id.Scope, limit int) (taken int) {
	for _, s := range scopes {
		m.know.Track(s)
	}
	plan := delta.NewPlan(m.self, delta.Request(m.know, scopes))
	stream := from.send(plan)
	for _, r := range stream[:min(limit, len(stream))] {
		if !m.know.Holds(shared, r.Key, r.Version) {
			m.row(r.Key).Apply(&r.Record, r.time)
			m.log = append(m.log, r)
			taken++
		}
		if s, found := delta.Innermost(scopes, shared, r.Key); found {
			m.know.Advance(s, id.Vector{r.Version.Writer: r.Version.Gen})
		}
	}
	if limit >= len(stream) {
		for _, sv := range plan.Sent() {
			m.know.Advance(sv.Scope, sv.Vector)
		}
	}
	m.settle()
	return taken
}

// exchange runs random writes and pulls and then pulls until nothing moves. Each pull is of scopes that `choose` draws.
func exchange(t *rapid.T, choose func(*rapid.T) []id.Scope) []*member {
	var members []*member
	for i := range rapid.IntRange(2, 4).Draw(t, "members") {
		m := &member{self: writerOf(byte('a' + i)), rows: map[string]*history.State{}}
		m.know = delta.NewKnowledge(id.Version{Writer: m.self})
		m.know.Track(id.Scope{Collection: shared})
		members = append(members, m)
	}
	which := rapid.IntRange(0, len(members)-1)
	for range rapid.IntRange(1, 30).Draw(t, "steps") {
		m := members[which.Draw(t, "who")]
		if rapid.Bool().Draw(t, "write") {
			key, wall := rapid.SampledFrom(keys).Draw(t, "key"), hlc.Time(rapid.IntRange(0, 30).Draw(t, "wall"))
			m.make(m.row(key), func(d *device) stamped { return d.write(wire.Put, wall) }, key)
			continue
		}
		m.pull(members[which.Draw(t, "from")], choose(t), rapid.IntRange(0, 6).Draw(t, "cut"))
	}
	whole := []id.Scope{{Collection: shared}}
	for rounds := 0; ; rounds++ {
		moved := 0
		for _, to := range members {
			for _, from := range members {
				moved += to.pull(from, whole, 1<<30)
			}
		}
		if moved == 0 {
			return members
		}
		if rounds > 20 {
			t.Fatal("the exchange does not come to an end")
		}
	}
}

// Devices that exchange a collection by plans, cut anywhere, end with identical rows: the learning order is causal.
func TestExchangeConverges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := exchange(t, func(*rapid.T) []id.Scope { return []id.Scope{{Collection: shared}} })
		for _, m := range members {
			for _, key := range keys {
				if diff := cmp.Diff(members[0].row(key), m.row(key), alike); diff != "" {
					t.Fatalf("row %s differs (-first +%c):\n%s", key, m.self.Device[0], diff)
				}
			}
		}
	})
}

// With scopes that nest and are pulled apart, a run of generations may leave the learning order, so a link may overtake
// its winner. All members still show the same version of each row.
func TestExchangeOfNestedScopesShowsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := exchange(t, func(t *rapid.T) []id.Scope {
			one := rapid.Map(rapid.SampledFrom(prefixes), func(p string) id.Scope { return id.Scope{Collection: shared, Prefix: p} })
			return rapid.SliceOfNDistinct(one, 1, 3, rapid.ID[id.Scope]).Draw(t, "scopes")
		})
		for _, m := range members {
			for _, key := range keys {
				a, b := members[0].row(key), m.row(key)
				if len(a.Heads) != len(b.Heads) || len(a.Heads) > 0 && a.Heads[merge.LastWins(a.Heads)].Version != b.Heads[merge.LastWins(b.Heads)].Version {
					t.Fatalf("row %s:\n%sand at %c\n%s", key, describe(a), m.self.Device[0], describe(b))
				}
			}
		}
	})
}
