package hosttest_test

import (
	"context"
	"fmt"
	"maps"
	"sync"

	"github.com/syncbase/syncbase/host/hosttest"
	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// truth listens to what hosts tell each other, and holds them to it: what a host says that it holds never becomes less while
// it runs, it sends no record twice in one pull, and of a collection that few share nothing to anybody else.
type truth struct {
	// few are the hosts that share the collection inner.
	few map[string]bool

	// mu guards the fields below it.
	mu sync.Mutex
	// runs counts the starts of each host: what an earlier run still says does not count.
	runs map[string]int
	// claims are what each host has said that it holds since its last start.
	claims map[string]map[id.Scope]id.Vector
	// free are hosts that need not keep to what they said.
	free map[string]bool
	// records counts how often each was sent from one host to another.
	records map[sending]int
	faults  []string
}

type sending struct {
	from, to string
	of       id.Collection
	version  id.Version
}

const inner = "inner"

func newTruth(few ...string) *truth {
	t := &truth{
		few: map[string]bool{}, runs: map[string]int{}, claims: map[string]map[id.Scope]id.Vector{}, free: map[string]bool{}, records: map[sending]int{},
	}
	for _, name := range few {
		t.few[name] = true
	}
	return t
}

// restart forgets what the host said: it may have told of what it had only heard of, and not kept.
func (t *truth) restart(host string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.runs[host]++
	delete(t.claims, host)
}

// release lets the host take back what it said.
func (t *truth) release(host string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.free[host] = true
}

// held returns what the host has said that it holds of a collection.
func (t *truth) held(host, local string) id.Vector {
	t.mu.Lock()
	defer t.mu.Unlock()
	for s, v := range t.claims[host] {
		if s.Collection.Kind == id.Rows && s.Collection.Name.Local == local {
			return v.Clone()
		}
	}
	return nil
}

// said returns what the hosts did that they may not.
func (t *truth) said() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.faults
}

// twice returns how many records were sent, and how many of them to a host that the same one had sent them before.
func (t *truth) twice() (all, again int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range t.records {
		all += n
		again += n - 1
	}
	return all, again
}

// pull is one answer to a pull.
type pull struct {
	*truth
	from, to string
	run      int
	// floor is what the host must hold at least by what it said before.
	floor map[id.Scope]id.Vector
	sent  map[sending]bool
}

func (t *truth) tap(from, to string, _ *delta.Open) hosttest.Answer {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := pull{truth: t, from: from, to: to, run: t.runs[from], floor: maps.Clone(t.claims[from]), sent: map[sending]bool{}}
	if p.floor == nil {
		p.floor = map[id.Scope]id.Vector{}
	}
	return func(_ context.Context, m delta.Message, send func(delta.Message) error) error {
		p.hear(m)
		return send(m)
	}
}

func (p *pull) hear(m delta.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.runs[p.from] != p.run {
		return
	}
	for _, data := range m.Commits {
		c, err := wire.DecodeCommit(data)
		if err != nil {
			p.fault("a commit that is none: %v", err)
			continue
		}
		for i := range c.Records {
			p.record(c.Records[i].Collection, &c.Records[i].Record)
		}
	}
	for _, sv := range m.Progress {
		p.progress(sv)
	}
}

// fault is called with mu held.
func (p *pull) fault(format string, args ...any) {
	p.faults = append(p.faults, fmt.Sprintf("%s to %s: ", p.from, p.to)+fmt.Sprintf(format, args...))
}

func (p *pull) record(of id.Collection, r *wire.Record) {
	s := sending{p.from, p.to, of, r.Version}
	p.records[s]++
	if p.sent[s] {
		p.fault("%s of %s twice in one pull", r.Version, of)
	}
	p.sent[s] = true
	if of.Name.Local == inner && !p.few[p.to] {
		p.fault("%s of %s, which it does not share", r.Key, of)
	}
}

func (p *pull) progress(sv delta.ScopeVector) {
	if floor := p.floor[sv.Scope]; !p.free[p.from] && !sv.Vector.Dominates(floor) {
		p.fault("holds %s of %s, having said %s", sv.Vector, sv.Scope, floor)
	}
	p.floor[sv.Scope] = sv.Vector
	if p.claims[p.from] == nil {
		p.claims[p.from] = map[id.Scope]id.Vector{}
	}
	all := p.claims[p.from][sv.Scope].Clone()
	if all == nil {
		all = id.Vector{}
	}
	all.Merge(sv.Vector)
	p.claims[p.from][sv.Scope] = all
}
