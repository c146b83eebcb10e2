package delta_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
)

func TestElsewhereThen(t *testing.T) {
	a, b := writer('a'), writer('b')
	at := func(s string, v id.Vector) delta.ScopeVector { return delta.ScopeVector{Scope: scope(s), Vector: v} }
	for name, test := range map[string]struct{ one, two, want delta.Elsewhere }{
		"writers stay": {
			delta.Elsewhere{Writers: []id.Writer{a}}, delta.Elsewhere{Known: []delta.ScopeVector{at("s", id.Vector{a: 1})}},
			delta.Elsewhere{Writers: []id.Writer{a}, Known: []delta.ScopeVector{at("s", id.Vector{a: 1})}},
		},
		"writers are replaced": {
			delta.Elsewhere{Writers: []id.Writer{a}}, delta.Elsewhere{Writers: []id.Writer{}}, delta.Elsewhere{Writers: []id.Writer{}},
		},
		"knowledge grows": {
			delta.Elsewhere{Known: []delta.ScopeVector{at("s", id.Vector{a: 3}), at("t", id.Vector{a: 1})}},
			delta.Elsewhere{Known: []delta.ScopeVector{at("s", id.Vector{a: 2, b: 2})}},
			delta.Elsewhere{Known: []delta.ScopeVector{at("s", id.Vector{a: 3, b: 2}), at("t", id.Vector{a: 1})}},
		},
		"so do news": {
			delta.Elsewhere{News: []delta.ScopeVector{at("s", id.Vector{a: 3})}},
			delta.Elsewhere{News: []delta.ScopeVector{at("s", id.Vector{b: 2})}},
			delta.Elsewhere{News: []delta.ScopeVector{at("s", id.Vector{a: 3, b: 2})}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.one.Then(test.two)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// What the initiator has from elsewhere is not sent, and the rest is.
func TestPlanLearns(t *testing.T) {
	a, b, self := writer('a'), writer('b'), writer('i')
	know := delta.NewKnowledge(id.Version{Writer: writer('r')})
	for _, s := range []string{"s", "t"} {
		know.Track(scope(s))
		know.Advance(scope(s), id.Vector{a: 5, b: 2, self: 4})
	}
	p := delta.NewPlan(self, []delta.ScopeVector{{Scope: scope("s")}, {Scope: scope("t")}})
	p.Update(know)
	of := func(writers ...id.Writer) bool {
		return p.Lacks(func(w id.Writer) bool { return slices.Contains(writers, w) })
	}
	held := p.Held()
	if !of(a) || !of(b) || of(self) || p.Has(held) {
		t.Fatal("at first everything is lacking but what the initiator wrote")
	}
	p.Learned([]delta.ScopeVector{{Scope: scope("s"), Vector: id.Vector{a: 5}}, {Scope: scope("elsewhere"), Vector: id.Vector{b: 9}}})
	if p.Update(know); !of(a) {
		t.Error("what is lacking in the other scope is not lacking")
	}
	p.Learned([]delta.ScopeVector{{Scope: scope("t"), Vector: id.Vector{a: 4}}})
	if p.Update(know); !of(a) {
		t.Error("generation 5 is not lacking after 4 has come")
	}
	p.Learned([]delta.ScopeVector{{Scope: scope("t"), Vector: id.Vector{a: 5}}})
	if p.Update(know); of(a) || !of(b) || p.Has(held) {
		t.Error("of a nothing and of b everything should be lacking")
	}
	for _, r := range p.Update(know) {
		if r.Writer == a {
			t.Errorf("%v is to be sent", r)
		}
	}
	p.Sent()
	nobody := writer('n')
	p.Learned([]delta.ScopeVector{{Scope: scope("s"), Vector: id.Vector{nobody: 9}}})
	know.Advance(scope("s"), id.Vector{nobody: 9})
	if p.Update(know); !of(nobody) {
		t.Error("what was said of a writer whom the responder did not know was kept")
	}
	p.Sent()
	know.Advance(scope("s"), id.Vector{a: 6})
	if p.Update(know); !of(a) || of(b) || !p.Has(held) {
		t.Error("of a generation 6 should be lacking, and nothing of what was held before")
	}
}
