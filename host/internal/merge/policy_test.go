package merge_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/merge"
)

func parse(t *testing.T, rules string) merge.Policy {
	t.Helper()
	p, err := merge.ParsePolicy([]byte(`{"rules":[`+rules+`]}`), "home/me")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func rowsOf(name string) id.Collection {
	return id.Collection{Name: id.Name{Owner: "home/me", Local: name}}
}

// reference: sync-081
// Of two rules for a row the one with a collection decides over the one without, that with a longer prefix over that with a
// shorter, a name over a pattern, a type over none, and of equals the later.
func TestTheMoreSpecificRuleDecides(t *testing.T) {
	tests := map[string]struct{ rules, want string }{
		"collection over none":         {`{"collection":"c","resolver":"app"},{"resolver":"defer"}`, "app"},
		"none does not win by order":   {`{"resolver":"defer"},{"collection":"c","resolver":"app"}`, "app"},
		"longer prefix":                {`{"collection":"c","prefix":"ke","resolver":"app"},{"collection":"c","prefix":"k","resolver":"defer"}`, "app"},
		"prefix over none":             {`{"collection":"c","prefix":"k","resolver":"app"},{"collection":"c","resolver":"defer"}`, "app"},
		"equal, the later":             {`{"collection":"c","resolver":"app"},{"collection":"c","resolver":"defer"}`, "defer"},
		"equal with prefix, the later": {`{"collection":"c","prefix":"k","resolver":"defer"},{"collection":"c","prefix":"k","resolver":"app"}`, "app"},
		"name over pattern":            {`{"collection":"c","resolver":"app"},{"collection":"c*","prefix":"key","resolver":"defer"}`, "app"},
		"longer pattern":               {`{"collection":"c*","resolver":"app"},{"collection":"*","resolver":"defer"}`, "app"},
		"pattern over none":            {`{"collection":"*","resolver":"app"},{"resolver":"defer"}`, "app"},
		"type over none":               {`{"collection":"c","type":"t","resolver":"app"},{"collection":"c","resolver":"defer"}`, "app"},
		"prefix over type":             {`{"collection":"c","type":"t","resolver":"app"},{"collection":"c","prefix":"k","resolver":"defer"}`, "defer"},
		"another collection's prefix":  {`{"collection":"d","prefix":"key","resolver":"app"},{"resolver":"defer"}`, "defer"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := parse(t, test.rules)
			if got := p.For(rowsOf("c"), "key", []history.Head{{Type: "t"}}).String(); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

// reference: sync-082
// A rule is about a row if its collection is that of the row or none, and the key begins with its prefix.
func TestWhichRowsARuleIsAbout(t *testing.T) {
	deferred := func(rule string) string { return strings.Replace(rule, "}", `,"resolver":"defer"}`, 1) }
	tests := map[string]struct {
		rule            string
		collection, key string
		want            bool
	}{
		"any":                     {`{"type":""}`, "c", "k", true},
		"the collection":          {`{"collection":"c"}`, "c", "k", true},
		"another collection":      {`{"collection":"d"}`, "c", "k", false},
		"another's collection":    {`{"collection":"home/you:c"}`, "c", "k", false},
		"by full name":            {`{"collection":"home/me:c"}`, "c", "k", true},
		"prefix":                  {`{"collection":"c","prefix":"a/"}`, "c", "a/b", true},
		"prefix is the key":       {`{"collection":"c","prefix":"a"}`, "c", "a", true},
		"key shorter than prefix": {`{"collection":"c","prefix":"ab"}`, "c", "a", false},
		"another prefix":          {`{"collection":"c","prefix":"b/"}`, "c", "a/b", false},
		"beginning of a name":     {`{"collection":"to*"}`, "todo", "k", true},
		"not that beginning":      {`{"collection":"to*"}`, "notes", "k", false},
		"all of another":          {`{"collection":"home/you:*"}`, "c", "k", false},
		"all of one's own":        {`{"collection":"*"}`, "c", "k", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := parse(t, deferred(test.rule))
			got := p.For(rowsOf(test.collection), test.key, nil)
			if want := map[bool]merge.Method{true: merge.Defer, false: merge.Last}[test.want]; got.Method != want {
				t.Errorf("%s, want method %d", got, want)
			}
		})
	}
}

// reference: sync-083
// Each row finds its resolver; access lists and metadata of syncgroups are always left to the last writer, and so is what no
// rule is about.
func TestWhoResolves(t *testing.T) {
	p := parse(t, `{"resolver":"defer"},{"collection":"c","resolver":"app"},{"collection":"c","prefix":"p/","resolver":"plugin:x"},
		{"collection":"c","prefix":"p/last/","resolver":"last-wins"}`)
	group := id.Collection{Kind: id.Syncgroup, Name: rowsOf("c").Name}
	for _, test := range []struct {
		c    id.Collection
		key  string
		want string
	}{
		{rowsOf("c"), "k", "app"}, {rowsOf("c"), "p/1", "plugin:x"}, {rowsOf("c"), "p/last/1", "last-wins"},
		{rowsOf("other"), "k", "defer"}, {rowsOf("c"), "", "last-wins"}, {group, "k", "last-wins"}, {group, "", "last-wins"},
	} {
		if got := p.For(test.c, test.key, nil).String(); got != test.want {
			t.Errorf("%v %q: %s, want %s", test.c, test.key, got, test.want)
		}
	}
	if p.Settles() {
		t.Error("the policy is said to leave all to the last writer")
	}
	var none merge.Policy
	if got := none.For(rowsOf("c"), "k", nil).String(); got != "last-wins" || !none.Settles() {
		t.Errorf("no policy: %s", got)
	}
}

func TestStricter(t *testing.T) {
	order := []merge.Choice{{}, {Method: merge.Plugin, Plugin: "b"}, {Method: merge.Plugin, Plugin: "a"}, {Method: merge.App}, {Method: merge.Defer}}
	for i, a := range order {
		for j, b := range order {
			if got, want := a.Stricter(b), order[max(i, j)]; got != want {
				t.Errorf("%s and %s: %s", a, b, got)
			}
		}
	}
}

// A type counts whichever of the versions in conflict has it.
func TestRuleByType(t *testing.T) {
	p := parse(t, `{"type":"counter","resolver":"app"}`)
	if got := p.For(rowsOf("c"), "k", []history.Head{{Type: "x"}, {Type: "counter"}}); got.Method != merge.App {
		t.Errorf("one head of the type: %s", got)
	}
	if got := p.For(rowsOf("c"), "k", []history.Head{{Type: "x"}, {}}); got.Method != merge.Last {
		t.Errorf("no head of the type: %s", got)
	}
}

func TestPolicyRefusals(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"no JSON":           {`{`, "too early"},
		"unknown field":     {`{"rules":[{"colection":"c"}]}`, "colection"},
		"something follows": {`{"rules":[]} x`, "follows"},
		"no resolver":       {`{"rules":[{"collection":"c"}]}`, `resolver ""`},
		"unknown resolver":  {`{"rules":[{"collection":"c","resolver":"later"}]}`, `"later"`},
		"plugin of no name": {`{"rules":[{"collection":"c","resolver":"plugin:"}]}`, `"plugin:"`},
		"lone prefix":       {`{"rules":[{"prefix":"p","resolver":"app"}]}`, "without a collection"},
		"bad name":          {`{"rules":[{"collection":"a\u0007","resolver":"app"}]}`, "collection"},
		"bad prefix":        {`{"rules":[{"collection":"c","prefix":"\u0007","resolver":"app"}]}`, "prefix"},
		"bad type":          {`{"rules":[{"collection":"c","type":"\u0007","resolver":"app"}]}`, "type"},
		"the second rule":   {`{"rules":[{"resolver":"app"},{"resolver":"x"}]}`, "rules[1]"},
	} {
		_, err := merge.ParsePolicy([]byte(test.text), "home/me")
		if !errors.Is(err, merge.ErrPolicy) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want an error about %s", name, err, test.want)
		}
	}
}
