package merge_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/merge"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// written is a commit as devices exchange it.
type written struct {
	at      hlc.Time
	records []wire.Record
}

// party is a device that settles every conflict by the last writer.
type party struct {
	self    id.Writer
	gen     uint64
	rows    map[string]*history.State
	commits []*written
	have    map[*written]bool
}

func (p *party) row(key string) *history.State {
	if p.rows[key] == nil {
		p.rows[key] = &history.State{}
	}
	return p.rows[key]
}

// write commits rows together: at one time, later than all that any of them follows from.
func (p *party) write(wall hlc.Time, keys []string, value string) *written {
	w := &written{at: wall}
	for _, k := range keys {
		w.at = max(w.at, p.row(k).Time()+1)
	}
	for _, k := range keys {
		p.gen++
		next := p.row(k).Next(p.self)
		w.records = append(w.records, wire.Record{
			Version: id.Version{Writer: p.self, Gen: p.gen}, Key: k, Value: []byte(value), Parents: next.Parents, Seen: next.Seen,
		})
	}
	p.take(w)
	return w
}

func (p *party) take(w *written) {
	if p.have[w] {
		return
	}
	p.have[w] = true
	p.commits = append(p.commits, w)
	for i := range w.records {
		r := &w.records[i]
		s := p.row(r.Key)
		s.Apply(r, w.at)
		if len(s.Heads) > 1 {
			p.gen++
			s.Join(merge.LastWins(s.Heads), r.Key, id.Version{Writer: p.self, Gen: p.gen})
		}
	}
}

func (p *party) state() map[string]string {
	m := map[string]string{}
	for k, s := range p.rows {
		if len(s.Heads) > 0 {
			m[k] = string(s.Heads[merge.LastWins(s.Heads)].Value)
		}
	}
	return m
}

// reference: sync-199 whatever batches overlap in whatever part of their rows, every device has after each of them what a
// replay of the whole batches that it holds, in the order of their times and writers, comes to: what one batch loses to
// another it loses only to one that is later as a whole, and no row shows what no batch wrote.
func TestLastWinsReplaysWholeBatches(t *testing.T) {
	keys := []string{"a", "b", "c", "d"}
	rapid.Check(t, func(t *rapid.T) {
		parties := make([]*party, rapid.IntRange(2, 4).Draw(t, "devices"))
		for i := range parties {
			parties[i] = &party{
				self: id.Writer{Device: id.Device{byte(i + 1)}, Epoch: 1}, rows: map[string]*history.State{}, have: map[*written]bool{},
			}
		}
		which := rapid.IntRange(0, len(parties)-1)
		check := func(p *party) {
			order := slices.Clone(p.commits)
			slices.SortFunc(order, func(a, b *written) int {
				return merge.Compare(
					&history.Head{Time: a.at, Version: a.records[0].Version}, &history.Head{Time: b.at, Version: b.records[0].Version})
			})
			want := map[string]string{}
			for _, w := range order {
				for _, r := range w.records {
					want[r.Key] = string(r.Value)
				}
			}
			if diff := cmp.Diff(want, p.state()); diff != "" {
				t.Fatalf("device %d (-replayed +have):\n%s", p.self.Device[0], diff)
			}
		}
		for i := range rapid.IntRange(1, 40).Draw(t, "steps") {
			p := parties[which.Draw(t, "who")]
			if rapid.Bool().Draw(t, "write") {
				some := slices.Compact(slices.Sorted(slices.Values(rapid.SliceOfN(rapid.SampledFrom(keys), 1, 4).Draw(t, "keys"))))
				p.write(hlc.Time(rapid.IntRange(1, 20).Draw(t, "wall")), some, string(rune('A'+i)))
			} else {
				for _, w := range parties[which.Draw(t, "from")].commits {
					p.take(w)
				}
			}
			check(p)
		}
		for range parties {
			for _, to := range parties {
				for _, from := range parties {
					for _, w := range from.commits {
						to.take(w)
					}
				}
			}
		}
		for _, p := range parties {
			check(p)
			if !maps.Equal(p.state(), parties[0].state()) {
				t.Fatalf("devices differ: %v and %v", parties[0].state(), p.state())
			}
		}
	})
}
