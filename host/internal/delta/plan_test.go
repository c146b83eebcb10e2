package delta_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
)

// vector reads "w:1,v:2"; an entry of 0 is kept.
func vector(t *testing.T, d *datadriven.TestData, text string) id.Vector {
	v := id.Vector{}
	for _, entry := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' }) {
		name, gen, _ := strings.Cut(entry, ":")
		g, err := strconv.ParseUint(gen, 10, 64)
		if err != nil {
			d.Fatalf(t, "entry %q: %v", entry, err)
		}
		v[writer(name[0])] = g
	}
	return v
}

func describeVector(v id.Vector) string {
	var parts []string
	for _, w := range v.Writers() {
		parts = append(parts, fmt.Sprintf("%c:%d", w.Device[0], v[w]))
	}
	return "{" + strings.Join(parts, " ") + "}"
}

func scope(prefix string) id.Scope { return id.Scope{Collection: collections[0], Prefix: prefix} }

func describePlan(b *strings.Builder, ranges []delta.Range) {
	for _, r := range ranges {
		fmt.Fprintf(b, "%c (%d, %d]\n", r.Writer.Device[0], r.From, r.To)
	}
}

// The verbs of the transcripts:
//
//	diff responder=VECTOR initiator=VECTOR [and=VECTOR]   one scope, and a second one of the same collection
//	plan                                                  scopes of responder and initiator, one a line
func run(t *testing.T, d *datadriven.TestData) string {
	own, known := id.Version{}, []delta.ScopeVector{}
	var responder *delta.Knowledge
	switch d.Cmd {
	case "diff":
		responder = delta.NewKnowledge(own)
		for _, arg := range d.CmdArgs {
			at := scope("s")
			if arg.Key == "and" {
				at = scope("t")
			}
			responder.Track(at)
			v := vector(t, d, strings.Join(arg.Vals, ","))
			if arg.Key == "responder" {
				responder.Advance(at, v)
				continue
			}
			responder.Advance(scope("t"), responder.Stored(scope("s")))
			known = append(known, delta.ScopeVector{Scope: at, Vector: v})
		}
	case "plan":
		responder = delta.NewKnowledge(id.Version{Writer: writer('r'), Gen: 5})
		for line := range strings.Lines(d.Input) {
			words := strings.Fields(line)
			v := vector(t, d, words[2])
			if words[0] == "initiator" {
				known = append(known, delta.ScopeVector{Scope: scope(words[1]), Vector: v})
				continue
			}
			responder.Track(scope(words[1]))
			responder.Advance(scope(words[1]), v)
		}
	default:
		d.Fatalf(t, "unknown command %q", d.Cmd)
	}
	var b strings.Builder
	plan := delta.NewPlan(id.Writer{}, known)
	describePlan(&b, plan.Update(responder))
	if d.Cmd == "plan" {
		for _, sv := range plan.Sent() {
			fmt.Fprintf(&b, "complete %s %s\n", sv.Scope.Prefix, describeVector(sv.Vector))
		}
	}
	return b.String()
}

// reference: sync-040 equal vectors: nothing is missing.
// reference: sync-041 two that know nothing have nothing to tell each other.
// reference: sync-042 a responder that knows nothing has nothing for one that does.
// reference: sync-043 entries of 0 are no entries, whoever they are for.
// reference: sync-044 a responder that is behind in everything has nothing to send.
// reference: sync-045 ahead for one writer: the generations after the initiator's.
// reference: sync-046 ahead for two writers; a writer that only the initiator knows adds nothing.
// reference: sync-047 a writer that the initiator never heard of is missing from its first generation.
// reference: sync-048 an initiator that knows nothing lacks everything.
// reference: sync-049 another scope of the same collection widens the runs: they are the union of what any scope lacks.
// reference: sync-050 nested scopes on both sides: each is answered with its own vector, the own generations in both.
// reference: sync-055 only a wider scope is known: its vector holds for the wanted one.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/transcripts", func(t *testing.T, path string) { datadriven.RunTest(t, path, run) })
}

func TestInnermost(t *testing.T) {
	wide, narrow, other := scope(""), scope("a"), scope("b")
	elsewhere := id.Scope{Collection: collections[1]}
	tests := map[string]struct {
		scopes []id.Scope
		key    string
		want   id.Scope
		found  bool
	}{
		"outside all":                 {[]id.Scope{narrow, elsewhere}, "b", id.Scope{}, false},
		"only the wide one":           {[]id.Scope{wide, narrow}, "b", wide, true},
		"narrow before wide":          {[]id.Scope{narrow, wide}, "ab", narrow, true},
		"narrow after wide":           {[]id.Scope{wide, narrow}, "ab", narrow, true},
		"own record in one scope":     {[]id.Scope{narrow, elsewhere}, "", narrow, true},
		"own record in several":       {[]id.Scope{narrow, other}, "", id.Scope{}, false},
		"own record in nested scopes": {[]id.Scope{wide, narrow}, "", id.Scope{}, false},
		"a scope named twice":         {[]id.Scope{wide, wide}, "", wide, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, found := delta.Innermost(test.scopes, collections[0], test.key)
			if got != test.want || found != test.found {
				t.Errorf("%s, %v; want %s, %v", got, found, test.want, test.found)
			}
		})
	}
}

func TestAdvance(t *testing.T) {
	k := delta.NewKnowledge(id.Version{Writer: writer('r'), Gen: 5})
	s, w := scope("a"), writer('w')
	if k.Advance(s, id.Vector{w: 1}) || k.Tracks(s) {
		t.Error("a scope that is not tracked was advanced")
	}
	k.Track(s)
	if k.Advance(s, id.Vector{writer('r'): 9}) || k.At(s)[writer('r')] != 5 {
		t.Error("somebody else's word on what this device made was taken")
	}
	if !k.Advance(s, id.Vector{w: 2}) || k.Advance(s, id.Vector{w: 2}) || k.Advance(s, id.Vector{w: 1}) {
		t.Error("advancing says that it changed something when it did not, or the reverse")
	}
	k.Track(s)
	if got := k.Stored(s)[w]; got != 2 {
		t.Errorf("after tracking again generation %d is known, want 2", got)
	}
	k.SetOwn(3)
	if got := k.Own().Gen; got != 5 {
		t.Errorf("own generations went back to %d", got)
	}
}

// A session that stays open does not send the initiator's own records back to it, though the responder may hear of them
// only after the session began; that they are held is progress all the same.
func TestPlanKeepsOwnRecordsBack(t *testing.T) {
	s := scope("a")
	responder := delta.NewKnowledge(id.Version{Writer: writer('r')})
	responder.Track(s)
	plan := delta.NewPlan(writer('i'), []delta.ScopeVector{{Scope: s, Vector: id.Vector{writer('i'): 1}}})
	responder.Advance(s, id.Vector{writer('i'): 3, writer('w'): 2})
	want := delta.Range{Collection: collections[0], Writer: writer('w'), From: 0, To: 2}
	if runs := plan.Update(responder); len(runs) != 1 || runs[0] != want {
		t.Errorf("runs %v, want %v", runs, want)
	}
	if plan.Wants(collections[0], "a", id.Version{Writer: writer('i'), Gen: 2}) {
		t.Error("the initiator's own record is wanted")
	}
	for name, list := range map[string][]delta.ScopeVector{"held": plan.Held(), "progress": plan.Sent()} {
		if len(list) != 1 || list[0].Scope != s || list[0].Vector.Compare(responder.At(s)) != id.Equal {
			t.Errorf("%s is %v, want all of %s", name, list, responder.At(s))
		}
	}
}
