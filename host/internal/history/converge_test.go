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

// replica is a device with its log: the records in the order in which it learned them. The log is also the truth about
// causality: whatever stands in it when a record is made lies before that record.
type replica struct {
	device
	log  []id.Version
	have map[id.Version]bool
}

func (r *replica) learn(v id.Version) {
	r.log, r.have[v] = append(r.log, v), true
}

// network is some replicas and everything that was ever written.
type network struct {
	replicas []*replica
	records  map[id.Version]stamped
	// past is what the maker of a record held when it made the record.
	past map[id.Version]map[id.Version]bool
}

func newNetwork(n int) *network {
	net := &network{records: map[id.Version]stamped{}, past: map[id.Version]map[id.Version]bool{}}
	for i := range n {
		net.replicas = append(net.replicas, &replica{
			device: device{self: writerOf(byte('a' + i))}, have: map[id.Version]bool{},
		})
	}
	return net
}

func (n *network) made(r *replica, s stamped) {
	n.past[s.Version] = maps.Clone(r.have)
	n.records[s.Version] = s
	r.learn(s.Version)
}

func (n *network) settle(r *replica) {
	if len(r.Heads) > 1 {
		n.made(r, r.join())
	}
}

// pull moves what `to` lacks of the log of `from`, at most `limit` records, in the order of that log.
func (n *network) pull(t *rapid.T, to, from *replica, limit int) (moved int) {
	for _, v := range from.log {
		if to.have[v] || moved == limit {
			continue
		}
		rec := n.records[v]
		n.apply(t, &to.State, &rec)
		to.learn(v)
		moved++
	}
	return moved
}

// apply takes the record and checks the laws that hold after every step.
func (n *network) apply(t *rapid.T, s *history.State, r *stamped) {
	before := s.Heads
	known := history.State{Heads: slices.Clone(before)}
	outcome := s.Apply(&r.Record, r.time)
	if outcome == history.Known && !same(known.Heads, s.Heads) {
		t.Fatalf("%s was known but changed the row:\n%s", brief(r.Version), describe(s))
	}
	for i := range s.Heads {
		for j := range s.Heads {
			a, b := s.Heads[i].Version, s.Heads[j].Version
			if i != j && n.past[a][b] {
				t.Fatalf("after %s: %s follows from %s and is in conflict with it", brief(r.Version), brief(a), brief(b))
			}
		}
	}
	again := history.State{Heads: slices.Clone(s.Heads)}
	if o := again.Apply(&r.Record, r.time); o != history.Known || !same(again.Heads, s.Heads) {
		t.Fatalf("%s applied twice: %s\n%swas\n%s", brief(r.Version), outcomes[o], describe(&again), describe(s))
	}
}

func same(a, b []history.Head) bool { return cmp.Equal(a, b, alike) }

// alike compares what has to be the same everywhere. Which links are aside is up to the order in which a device heard of things.
var alike = cmp.Options{cmpopts.EquateEmpty(), cmpopts.IgnoreFields(history.Head{}, "Aside")}

// live runs random writes and exchanges, and then exchanges until nobody lacks anything.
func (n *network) live(t *rapid.T) {
	which := rapid.IntRange(0, len(n.replicas)-1)
	for range rapid.IntRange(1, 40).Draw(t, "steps") {
		r := n.replicas[which.Draw(t, "who")]
		switch rapid.SampledFrom([]string{"write", "delete", "pull", "pull", "settle"}).Draw(t, "what") {
		case "write":
			n.made(r, r.write(wire.Put, hlc.Time(rapid.IntRange(0, 50).Draw(t, "wall"))))
		case "delete":
			n.made(r, r.write(wire.Delete, hlc.Time(rapid.IntRange(0, 50).Draw(t, "wall"))))
		case "pull":
			n.pull(t, r, n.replicas[which.Draw(t, "from")], rapid.IntRange(1, 10).Draw(t, "limit"))
		case "settle":
			n.settle(r)
		}
	}
	for rounds := 0; ; rounds++ {
		moved := 0
		for _, to := range n.replicas {
			for _, from := range n.replicas {
				moved += n.pull(t, to, from, len(n.records))
				n.settle(to)
			}
		}
		if moved == 0 {
			return
		}
		if rounds > 10*len(n.replicas) {
			t.Fatalf("still exchanging after %d rounds: links beget links", rounds)
		}
	}
}

// last is the version that has to win: of all writes the last.
func (n *network) last() (best history.Head) {
	for _, r := range n.records {
		h := history.Head{Version: r.Version, Time: r.time, Deleted: r.Kind == wire.Delete, Value: r.Value}
		if r.Kind != wire.Link && (best.Version.IsZero() || merge.LastWins([]history.Head{best, h}) == 1) {
			best = h
		}
	}
	return best
}

// Whatever is written and exchanged in whatever order, once everybody has everything all rows are identical down to what
// their histories cover and the links on top, and show the write that was last.
func TestReplicasConverge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := newNetwork(rapid.IntRange(2, 4).Draw(t, "replicas"))
		n.live(t)
		if len(n.records) == 0 {
			return
		}
		want := n.last()
		for _, r := range n.replicas {
			if diff := cmp.Diff(n.replicas[0].State, r.State, alike); diff != "" {
				t.Fatalf("replicas differ (-first +%c):\n%s", r.self.Device[0], diff)
			}
		}
		h := n.replicas[0].Heads
		if len(h) != 1 || h[0].Version != want.Version || h[0].Deleted != want.Deleted || string(h[0].Value) != string(want.Value) {
			t.Fatalf("want the last write %s, have\n%s", brief(want.Version), describe(&n.replicas[0].State))
		}
		n.checkCausality(t)
	})
}

// checkCausality holds the promise on which the last writer's victory rests: a write is later than those it followed.
func (n *network) checkCausality(t *rapid.T) {
	for v, past := range n.past {
		for p := range past {
			if n.records[v].Kind != wire.Link && n.records[p].Kind != wire.Link && n.records[p].time >= n.records[v].time {
				t.Fatalf("%s at %d follows from %s at %d", brief(v), n.records[v].time, brief(p), n.records[p].time)
			}
		}
	}
}

// A device that only listens comes to the same row from any order in which causes stand before effects, however often
// each record arrives.
func TestCausalOrderSuffices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := newNetwork(rapid.IntRange(2, 4).Draw(t, "replicas"))
		n.live(t)
		var s history.State
		done := map[id.Version]bool{}
		for len(done) < len(n.records) {
			v := rapid.SampledFrom(n.ready(done)).Draw(t, "next")
			rec := n.records[v]
			n.apply(t, &s, &rec)
			done[v] = true
			again := n.records[rapid.SampledFrom(sorted(done)).Draw(t, "again")]
			n.apply(t, &s, &again)
		}
		if !same(s.Heads, n.replicas[0].Heads) {
			t.Fatalf("the listener has\n%sthe others\n%s", describe(&s), describe(&n.replicas[0].State))
		}
	})
}

// ready lists the records not done yet whose causes are.
func (n *network) ready(done map[id.Version]bool) []id.Version {
	list := []id.Version{}
	for v, past := range n.past {
		waits := done[v]
		for p := range past {
			waits = waits || !done[p]
		}
		if !waits {
			list = append(list, v)
		}
	}
	slices.SortFunc(list, id.Version.Compare)
	return list
}

func sorted(set map[id.Version]bool) []id.Version {
	return slices.SortedFunc(maps.Keys(set), id.Version.Compare)
}

// In an order in which effects come before causes, a link may arrive before its winner and is then lost. The row still
// shows the last write, because the conflict is found again and settled alike; only the histories may be told shorter,
// until the next write.
func TestAnyOrderShowsTheLastWrite(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := newNetwork(rapid.IntRange(2, 4).Draw(t, "replicas"))
		n.live(t)
		if len(n.records) == 0 {
			return
		}
		all := sorted(set(n.records))
		var s history.State
		for _, v := range rapid.Permutation(all).Draw(t, "order") {
			rec := n.records[v]
			n.apply(t, &s, &rec)
		}
		if got, want := s.Heads[merge.LastWins(s.Heads)].Version, n.last().Version; got != want {
			t.Fatalf("shows %s, want %s:\n%s", brief(got), brief(want), describe(&s))
		}
	})
}

func set(records map[id.Version]stamped) map[id.Version]bool {
	s := map[id.Version]bool{}
	for v := range records {
		s[v] = true
	}
	return s
}
