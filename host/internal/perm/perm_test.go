package perm_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
)

func TestPatternMatches(t *testing.T) {
	tests := []struct {
		pattern   perm.Pattern
		principal id.Principal
		want      bool
	}{
		{"...", "d/alice", true},
		{"...", "", false},
		{"d/alice", "d/alice", true},
		{"d/alice", "d/alice/device/phone", true},
		{"d/alice", "d/alicia", false},
		{"d/alice", "d", false},
		{"d/alice", "d/bob", false},
		{"d/alice", "", false},
		{"d/alice/$", "d/alice", true},
		{"d/alice/$", "d/alice/device/phone", false},
		{"d/alice/$", "d", false},
		{"d", "d/alice", true},
		{"d", "d.e/alice", false},
		{"", "d/alice", false},
		{"/$", "", true}, // never valid, and nobody is nobody: Access refuses the empty principal
	}
	for _, test := range tests {
		if got := test.pattern.Matches(test.principal); got != test.want {
			t.Errorf("%q matches %q: %v, want %v", test.pattern, test.principal, got, test.want)
		}
	}
}

func TestPatternValidate(t *testing.T) {
	for _, pattern := range []perm.Pattern{"...", "d", "d/alice", "d/alice/$", "d-1.local/Alice_B"} {
		if err := pattern.Validate(); err != nil {
			t.Errorf("%q: %v", pattern, err)
		}
	}
	for _, pattern := range []perm.Pattern{"", "/$", "$", "d/$/$", "d/$x", "d/...", ".../$", "d//a", "/d", "d/", "D/a", "d/a b", "*", "spiffe://d/a"} {
		if err := pattern.Validate(); err == nil {
			t.Errorf("%q passes", pattern)
		}
	}
}

func TestAllows(t *testing.T) {
	list := perm.List{
		perm.Admin: {In: []perm.Pattern{"d/alice"}},
		perm.Read:  {In: []perm.Pattern{"..."}, NotIn: []perm.Pattern{"d/mallory", "d/bob/device/lost"}},
		perm.Write: {In: []perm.Pattern{"d/bob", "d/carol"}, NotIn: []perm.Pattern{"..."}},
	}
	tests := []struct {
		principal id.Principal
		tag       perm.Tag
		want      bool
	}{
		{"d/alice", perm.Admin, true},
		{"d/alice/device/phone", perm.Admin, true},
		{"d/bob", perm.Admin, false},
		{"d/anybody", perm.Read, true},
		{"d/mallory", perm.Read, false},
		{"d/mallory/device/phone", perm.Read, false},
		{"d/bob", perm.Read, true},
		{"d/bob/device/lost", perm.Read, false},
		{"", perm.Read, false},
		{"d/bob", perm.Write, false},
		{"d/alice", perm.Resolve, false},
	}
	for _, test := range tests {
		if got := list.Allows(test.principal, test.tag); got != test.want {
			t.Errorf("%q has %s: %v, want %v", test.principal, test.tag, got, test.want)
		}
	}
	if !list.AllowsAny("d/bob") || list.AllowsAny("d/mallory") || list.AllowsAny("") || perm.List(nil).AllowsAny("d/bob") {
		t.Error("AllowsAny does not say whether any tag allows")
	}
}

// Who matches NotIn is out, whatever else is in either list.
func TestNotInAlwaysWins(t *testing.T) {
	pattern := rapid.SampledFrom([]perm.Pattern{"...", "d", "d/a", "d/a/$", "d/a/b", "d/b/$", "e"})
	principal := rapid.SampledFrom([]id.Principal{"d", "d/a", "d/a/b", "d/b", "e/a"})
	rapid.Check(t, func(t *rapid.T) {
		access := perm.Access{In: rapid.SliceOf(pattern).Draw(t, "in"), NotIn: rapid.SliceOf(pattern).Draw(t, "not in")}
		p := principal.Draw(t, "principal")
		in, out := false, false
		for _, pat := range access.In {
			in = in || pat.Matches(p)
		}
		for _, pat := range access.NotIn {
			out = out || pat.Matches(p)
		}
		list := perm.List{perm.Admin: access}
		if got := list.Allows(p, perm.Admin); got != (in && !out) {
			t.Fatalf("%s: allowed %v", p, got)
		}
		if list.Allows(p, perm.Admin) && list.Validate(perm.DatabaseTags) != nil {
			t.Fatalf("%s has Admin and the list is refused: %v", p, list.Validate(perm.DatabaseTags))
		}
	})
}

func TestValidate(t *testing.T) {
	many := make([]perm.Pattern, perm.MaxPatterns)
	for i := range many {
		many[i] = "d/alice"
	}
	admin := func(in, notIn []perm.Pattern) perm.List { return perm.List{perm.Admin: {In: in, NotIn: notIn}} }
	type patterns = []perm.Pattern
	tests := map[string]struct {
		list perm.List
		tags []perm.Tag
		ok   bool
	}{
		"owner of a database":             {perm.For("d/alice", perm.DatabaseTags), perm.DatabaseTags, true},
		"database tags on a collection":   {perm.For("d/alice", perm.DatabaseTags), perm.CollectionTags, false},
		"owner of a syncgroup":            {perm.For("d/alice", perm.SyncgroupTags), perm.SyncgroupTags, true},
		"nil":                             {nil, perm.DatabaseTags, false},
		"empty":                           {perm.List{}, perm.DatabaseTags, false},
		"no Admin":                        {perm.List{perm.Read: {In: patterns{"..."}}}, perm.DatabaseTags, false},
		"unknown tag":                     {perm.List{perm.Admin: {In: patterns{"d"}}, "Own": {}}, perm.DatabaseTags, false},
		"Admin in small letters":          {perm.List{"admin": {In: patterns{"d"}}}, perm.DatabaseTags, false},
		"malformed pattern":               {admin(patterns{"d", "d//a"}, nil), perm.DatabaseTags, false},
		"malformed exclusion":             {admin(patterns{"d"}, patterns{""}), perm.DatabaseTags, false},
		"as many patterns as may be":      {admin(many, nil), perm.DatabaseTags, true},
		"too many patterns":               {admin(many, patterns{"d/bob"}), perm.DatabaseTags, false},
		"Admin for everyone":              {admin(patterns{"..."}, nil), perm.DatabaseTags, true},
		"everyone but one":                {admin(patterns{"..."}, patterns{"d/mallory"}), perm.DatabaseTags, true},
		"locked out: everyone excluded":   {admin(patterns{"...", "d/alice"}, patterns{"..."}), perm.DatabaseTags, false},
		"locked out: the same":            {admin(patterns{"d/alice"}, patterns{"d/alice"}), perm.DatabaseTags, false},
		"locked out: wider exclusion":     {admin(patterns{"d/alice/$"}, patterns{"d"}), perm.DatabaseTags, false},
		"locked out: one by one":          {admin(patterns{"d/a", "d/b/$"}, patterns{"d/b", "d/a"}), perm.DatabaseTags, false},
		"locked out: exactly":             {admin(patterns{"d/a/$"}, patterns{"d/a/$"}), perm.DatabaseTags, false},
		"only the owner proper is out":    {admin(patterns{"d/alice"}, patterns{"d/alice/$"}), perm.DatabaseTags, true},
		"only a device is out":            {admin(patterns{"d/alice"}, patterns{"d/alice/device/lost"}), perm.DatabaseTags, true},
		"one of two is out":               {admin(patterns{"d/a", "d/b"}, patterns{"d/a"}), perm.DatabaseTags, true},
		"exact owner, a device excluded":  {admin(patterns{"d/a/$"}, patterns{"d/a/b"}), perm.DatabaseTags, true},
		"a name that begins alike is out": {admin(patterns{"d/alice"}, patterns{"d/al"}), perm.DatabaseTags, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := test.list.Validate(test.tags)
			if (err == nil) != test.ok || err != nil && !errors.Is(err, perm.ErrInvalid) {
				t.Errorf("%v, want accepted: %v", err, test.ok)
			}
		})
	}
}

func TestParse(t *testing.T) {
	const good = `{"Admin":{"in":["d/alice"],"not_in":["d/alice/device/lost"]},"Read":{"in":["..."]}}`
	want := perm.List{
		perm.Admin: {In: []perm.Pattern{"d/alice"}, NotIn: []perm.Pattern{"d/alice/device/lost"}},
		perm.Read:  {In: []perm.Pattern{"..."}},
	}
	got, err := perm.Parse([]byte(" "+good+"\n"), perm.DatabaseTags)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if text := string(got.Marshal()); text != good {
		t.Errorf("marshalled as %s", text)
	}
	refused := map[string]string{
		"nothing":                   ``,
		"null":                      `null`,
		"a list":                    `[]`,
		"a text":                    `"Admin"`,
		"empty":                     `{}`,
		"cut short":                 `{"Admin":{"in":["d"]}`,
		"cut in a list":             `{"Admin":{"in":["d"`,
		"null access":               `{"Admin":null}`,
		"access is a list":          `{"Admin":["d"]}`,
		"in is a text":              `{"Admin":{"in":"d"}}`,
		"pattern is a number":       `{"Admin":{"in":[1]}}`,
		"pattern is null":           `{"Admin":{"in":[null]}}`,
		"unknown field":             `{"Admin":{"in":["d"],"only":["e"]}}`,
		"other spelling of a field": `{"Admin":{"IN":["d"]}}`,
		"field twice":               `{"Admin":{"in":["d"],"in":["e"]}}`,
		"tag twice":                 `{"Admin":{"in":["d"]},"Admin":{"in":["e"]}}`,
		"unknown tag":               `{"Admin":{"in":["d"]},"Own":{}}`,
		"locked out":                `{"Admin":{"in":["d"],"not_in":["..."]}}`,
		"another object behind":     good + `{}`,
		"a brace behind":            good + `}`,
		"a bracket behind":          good + `]`,
		"letters behind":            good + `x`,
		"too long":                  good + strings.Repeat(" ", 1<<20),
	}
	for name, text := range refused {
		t.Run(name, func(t *testing.T) {
			if list, err := perm.Parse([]byte(text), perm.DatabaseTags); !errors.Is(err, perm.ErrInvalid) || list != nil {
				t.Errorf("%v, %v", list, err)
			}
		})
	}
}

func TestCloneSharesNothing(t *testing.T) {
	list := perm.For("d/alice", perm.DatabaseTags)
	before := string(list.Marshal())
	c := list.Clone()
	c[perm.Admin].In[0] = "d/mallory"
	delete(c, perm.Read)
	if after := string(list.Marshal()); after != before {
		t.Errorf("changing the clone made %s of %s", after, before)
	}
}

// What is accepted is accepted again in its canonical form, and means the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"Admin":{"in":["d/alice"],"not_in":["d/alice/$"]},"Read":{"in":["..."]}}`))
	f.Add([]byte(`{"Admin":{"in":["d"]}}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := perm.Parse(data, perm.CollectionTags)
		if err != nil {
			if !errors.Is(err, perm.ErrInvalid) || list != nil {
				t.Errorf("%v, %v", list, err)
			}
			return
		}
		text := list.Marshal()
		again, err := perm.Parse(text, perm.CollectionTags)
		if err != nil {
			t.Fatalf("%s was accepted, %s is not: %v", data, text, err)
		}
		if !bytes.Equal(again.Marshal(), text) {
			t.Errorf("%s became %s", text, again.Marshal())
		}
	})
}
