package delta_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
)

var (
	collections = []id.Collection{{Name: id.Name{Owner: "o", Local: "c"}}, {Name: id.Name{Owner: "o", Local: "d"}}}
	prefixes    = []string{"", "a", "ab", "abc", "b"}
	keys        = []string{"", "a", "ab", "abx", "abc", "b", "x"}
)

func writer(name byte) id.Writer { return id.Writer{Device: id.Device{name}} }

// record is one that exists somewhere.
type record struct {
	version id.Version
	c       id.Collection
	key     string
}

func (r record) String() string {
	return fmt.Sprintf("%c%d %s[%s]", r.version.Writer.Device[0], r.version.Gen, r.c.Name.Local, r.key)
}

// pair is an initiator and a responder with their claims, and the truth: which records the initiator really has. What
// the responder claims it has.
type pair struct {
	all         []record // in the order of generations of each writer
	initiator   *delta.Knowledge
	responder   *delta.Knowledge
	held        map[record]bool
	agreed      []id.Scope
	generations uint64
}

func drawScopes(t *rapid.T, label string) []id.Scope {
	one := rapid.Custom(func(t *rapid.T) id.Scope {
		return id.Scope{Collection: rapid.SampledFrom(collections).Draw(t, "c"), Prefix: rapid.SampledFrom(prefixes).Draw(t, "prefix")}
	})
	return rapid.SliceOfNDistinct(one, 1, 5, rapid.ID[id.Scope]).Draw(t, label)
}

func newPair(t *rapid.T) *pair {
	p := &pair{held: map[record]bool{}, generations: 12}
	ownI, ownR := rapid.Uint64Range(0, p.generations).Draw(t, "own i"), rapid.Uint64Range(0, 6).Draw(t, "own r")
	for _, w := range []byte("irvw") {
		for g := uint64(1); g <= p.generations && (w != 'i' || g <= ownI); g++ {
			p.all = append(p.all, record{
				id.Version{Writer: writer(w), Gen: g}, rapid.SampledFrom(collections).Draw(t, "c"), rapid.SampledFrom(keys).Draw(t, "key"),
			})
		}
	}
	p.initiator = delta.NewKnowledge(id.Version{Writer: writer('i'), Gen: ownI})
	p.responder = delta.NewKnowledge(id.Version{Writer: writer('r'), Gen: ownR})
	scopes := drawScopes(t, "initiator's")
	for _, s := range scopes {
		p.initiator.Track(s)
		p.initiator.Advance(s, id.Vector{
			writer('r'): rapid.Uint64Range(0, ownR).Draw(t, "r"), writer('v'): rapid.Uint64Range(0, 12).Draw(t, "v"), writer('w'): rapid.Uint64Range(0, 12).Draw(t, "w"),
		})
	}
	p.agreed = scopes[:rapid.IntRange(1, len(scopes)).Draw(t, "agreed")]
	for _, s := range drawScopes(t, "responder's") {
		p.responder.Track(s)
	}
	for _, r := range p.all {
		if p.initiator.Holds(r.c, r.key, r.version) {
			p.held[r] = true
		}
	}
	p.learn(t)
	return p
}

// learn lets the responder learn something.
func (p *pair) learn(t *rapid.T) {
	p.responder.SetOwn(rapid.Uint64Range(0, p.generations).Draw(t, "own r"))
	for _, s := range p.responder.Scopes() {
		p.responder.Advance(s, id.Vector{
			writer('i'): rapid.Uint64Range(0, p.initiator.Own().Gen).Draw(t, "i"),
			writer('v'): rapid.Uint64Range(0, p.generations).Draw(t, "v"), writer('w'): rapid.Uint64Range(0, p.generations).Draw(t, "w"),
		})
	}
}

// knownAt says by brute force whether some agreed scope with the row claims the record.
func (p *pair) knownAt(k *delta.Knowledge, r record) bool {
	for _, s := range p.agreed {
		if s.Has(r.c, r.key) && k.At(s).Covers(r.version) {
			return true
		}
	}
	return false
}

func (p *pair) checkTruth(t *rapid.T, when string) {
	for _, r := range p.all {
		if p.initiator.Holds(r.c, r.key, r.version) && !p.held[r] {
			t.Fatalf("%s the initiator claims %s, which it lacks", when, r)
		}
	}
}

// queues splits what the responder holds into the runs, each in the order of generations, as a log does.
func (p *pair) queues(plan *delta.Plan, ranges []delta.Range) (queues [][]record, total int) {
	for _, run := range ranges {
		var queue []record
		for _, r := range p.all {
			v := r.version
			if r.c == run.Collection && v.Writer == run.Writer && v.Gen > run.From && v.Gen <= run.To &&
				p.responder.Holds(r.c, r.key, v) && plan.Wants(r.c, r.key, v) {
				queue = append(queue, r)
			}
		}
		if len(queue) > 0 {
			queues, total = append(queues, queue), total+len(queue)
		}
	}
	return queues, total
}

// stream sends the runs, interleaved in any way, and stops after `cut` records. It reports whether it came to the end.
func (p *pair) stream(t *rapid.T, queues [][]record, cut int) bool {
	for ; len(queues) > 0; cut-- {
		if cut == 0 {
			return false
		}
		i := rapid.IntRange(0, len(queues)-1).Draw(t, "run")
		r := queues[i][0]
		if queues[i] = queues[i][1:]; len(queues[i]) == 0 {
			queues = append(queues[:i], queues[i+1:]...)
		}
		if p.held[r] && p.knownAt(p.initiator, r) {
			t.Fatalf("%s was sent, which the initiator said it knows", r)
		}
		p.held[r] = true
		if s, found := delta.Innermost(p.agreed, r.c, r.key); found {
			p.initiator.Advance(s, id.Vector{r.version.Writer: r.version.Gen})
		}
		p.checkTruth(t, "after "+r.String())
	}
	return true
}

// reference: sync-060
// A plan sends exactly what lies in an agreed scope, is known to the responder there and not to the initiator; whatever
// the nesting of scopes, the interleaving of runs, what the responder learns in between and where the stream is cut, the
// initiator never claims a record it lacks; and at the end it knows all that the responder does.
func TestPlanAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPair(t)
		p.checkTruth(t, "at the start")
		plan := delta.NewPlan(writer('i'), delta.Request(p.initiator, p.agreed))
		for range rapid.IntRange(1, 4).Draw(t, "updates") {
			queues, total := p.queues(plan, plan.Update(p.responder))
			p.checkExact(t, queues)
			if !p.stream(t, queues, rapid.IntRange(0, 2*total+1).Draw(t, "cut")) {
				plan = delta.NewPlan(writer('i'), delta.Request(p.initiator, p.agreed))
			} else {
				p.progress(t, plan)
			}
			if rapid.Bool().Draw(t, "learn") {
				p.learn(t)
			}
		}
		queues, _ := p.queues(plan, plan.Update(p.responder))
		p.stream(t, queues, -1)
		p.progress(t, plan)
		for _, s := range p.agreed {
			if have, want := p.initiator.At(s), p.responder.At(s); !have.Dominates(want) {
				t.Fatalf("of %s the initiator knows %s after everything was sent, the responder %s", s, have, want)
			}
		}
	})
}

// checkExact compares what is queued with what brute force says is missing. The plan stands where the initiator stands:
// it was made anew after a cut, and progress was reported otherwise.
func (p *pair) checkExact(t *rapid.T, queues [][]record) {
	queued := map[record]bool{}
	for _, q := range queues {
		for _, r := range q {
			if queued[r] {
				t.Fatalf("%s would be sent twice", r)
			}
			queued[r] = true
		}
	}
	for _, r := range p.all {
		missing := p.knownAt(p.responder, r) && !p.knownAt(p.initiator, r)
		if missing != queued[r] {
			t.Fatalf("%s: missing %v, sent %v", r, missing, queued[r])
		}
	}
}

func (p *pair) progress(t *rapid.T, plan *delta.Plan) {
	for _, sv := range plan.Sent() {
		p.initiator.Advance(sv.Scope, sv.Vector)
		p.checkTruth(t, "after progress of "+sv.Scope.String())
	}
	if again := plan.Update(p.responder); len(again) > 0 {
		t.Fatalf("with nothing new the plan has runs: %v", again)
	}
	if again := plan.Sent(); len(again) > 0 {
		t.Fatalf("with nothing new there is progress: %v", again)
	}
}

// What is held is what some scope with the row claims, or what the device made; At agrees with it for every row of the
// scope.
func TestKnowledgeAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPair(t)
		k := p.responder
		for _, s := range k.Scopes() {
			at := k.At(s)
			for _, r := range p.all {
				if s.Has(r.c, r.key) && at.Covers(r.version) && !k.Holds(r.c, r.key, r.version) {
					t.Fatalf("At(%s) claims %s, Holds does not", s, r)
				}
			}
			if _, own := k.Stored(s)[k.Own().Writer]; own {
				t.Fatalf("%s stores the own entry", s)
			}
		}
		c := k.Clone()
		c.SetOwn(99)
		for _, s := range c.Scopes() {
			c.Advance(s, id.Vector{writer('z'): 9})
			if k.Stored(s).Covers(id.Version{Writer: writer('z'), Gen: 9}) {
				t.Fatalf("advancing a clone changed the original at %s", s)
			}
			c.Forget(s)
		}
		if k.Own().Gen == 99 || len(c.Scopes()) != 0 || len(k.Scopes()) == 0 {
			t.Fatal("a clone shares state with its original")
		}
	})
}
