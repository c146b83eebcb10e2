package id_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/syncbase/syncbase/host/internal/id"
)

func TestPrincipalGrammar(t *testing.T) {
	long := "d/" + strings.Repeat("a", id.MaxPrincipalLen-2)
	accepted := []string{"d", "d/a", "syncbase-3f9a.local/owner/device/laptop", "d/A-b_c.9", "d/.a", long}
	for _, text := range accepted {
		for _, form := range []string{text, "spiffe://" + text} {
			p, err := id.ParsePrincipal(form)
			if err != nil || string(p) != text || p.URI() != "spiffe://"+text {
				t.Errorf("%.40q: %.40q, %v", form, p, err)
			}
		}
	}
	refused := []string{
		"", "/", "d/", "/d", "d//a", "d/.", "d/..", "d/...", "...", "D/a", "d a", "d/a b", "d/a:b", "d/ä", "d/\xff", "d/\x00",
		"d/$", "http://d/a", "spiffe:/d", "spiffe://", "spiffe://spiffe://d", long + "a",
	}
	for _, text := range refused {
		if p, err := id.ParsePrincipal(text); !errors.Is(err, id.ErrInvalid) || p != "" {
			t.Errorf("%.40q passes as %.40q, %v", text, p, err)
		}
	}
}

func TestPrincipalParts(t *testing.T) {
	tests := []struct{ principal, domain, owner id.Principal }{
		{"d", "d", "d"},
		{"d/alice", "d", "d/alice"},
		{"d/alice/device/phone", "d", "d/alice"},
		{"d/alice/device/phone/device/x", "d", "d/alice"},
		{"d/people/alice/device/phone", "d", "d/people/alice"},
		{"d/alice/device", "d", "d/alice/device"},
		{"d/alice/devices/phone", "d", "d/alice/devices/phone"},
		{"d/device/phone", "d", "d/device/phone"}, // somebody called "device", not a device of the whole domain
		{"d/device/device/phone", "d", "d/device"},
	}
	for _, test := range tests {
		if got := test.principal.TrustDomain(); got != string(test.domain) {
			t.Errorf("domain of %s is %s", test.principal, got)
		}
		if got := test.principal.Owner(); got != test.owner {
			t.Errorf("owner of %s is %s, want %s", test.principal, got, test.owner)
		}
		if !test.principal.Extends(test.owner) {
			t.Errorf("%s does not extend its owner", test.principal)
		}
	}
	for p, q := range map[id.Principal]id.Principal{"d/alicia": "d/ali", "d": "d/a", "d/a": "", "e/a": "d"} {
		if p.Extends(q) {
			t.Errorf("%q extends %q", p, q)
		}
	}
}

func TestParseName(t *testing.T) {
	const self = id.Principal("d/self")
	tests := map[string]id.Name{
		"notes":                  {Owner: self, Local: "notes"},
		":notes":                 {Owner: self, Local: "notes"},
		":a:b":                   {Owner: self, Local: "a:b"},
		"d/alice:notes":          {Owner: "d/alice", Local: "notes"},
		"spiffe://d/alice:notes": {Owner: "d/alice", Local: "notes"},
		"d/alice:a:b":            {Owner: "d/alice", Local: "a:b"},
		"d/alice::":              {Owner: "d/alice", Local: ":"},
		"d/alice":                {Owner: self, Local: "d/alice"},
		"ключ 🔑":                 {Owner: self, Local: "ключ 🔑"},
		":spiffe://d:x":          {Owner: self, Local: "spiffe://d:x"},
	}
	for text, want := range tests {
		got, err := id.ParseName(text, self)
		if err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
		if again, err := id.ParseName(want.String(), "d/other"); err != nil || again != want {
			t.Errorf("%q was written as %q and read as %+v, %v", text, want, again, err)
		}
	}
	refused := []string{
		"", ":", "d/alice:", "D:x", "d//a:x", "a b:x", "x\x00", "x\n", "x\x7f", "x\u0085", "\xff",
		"spiffe://d/alice", "spiffe://:x", "spiffe://", strings.Repeat("x", id.MaxNameLen+1),
	}
	for _, text := range refused {
		if got, err := id.ParseName(text, self); !errors.Is(err, id.ErrInvalid) || got != (id.Name{}) {
			t.Errorf("%.40q passes as %+v, %v", text, got, err)
		}
	}
	if _, err := id.ParseName("notes", ""); !errors.Is(err, id.ErrInvalid) {
		t.Errorf("a name of nobody: %v", err)
	}
}

func TestKeysAndTypes(t *testing.T) {
	for _, key := range []string{"k", " ", "a/b", "ä", "k\u00a0", strings.Repeat("k", id.MaxKeyLen)} {
		if err := id.ValidateKey(key); err != nil {
			t.Errorf("key %.20q: %v", key, err)
		}
	}
	for _, key := range []string{"", "\x00", "a\tb", "\x7f", "ä\u009f", "\xc3", strings.Repeat("k", id.MaxKeyLen+1)} {
		if err := id.ValidateKey(key); !errors.Is(err, id.ErrInvalid) {
			t.Errorf("key %.20q: %v", key, err)
		}
	}
	for text, ok := range map[string]bool{
		"": true, "note": true, strings.Repeat("t", id.MaxTypeLen): true, strings.Repeat("t", id.MaxTypeLen+1): false, "a\nb": false,
	} {
		if err := id.ValidateType(text); (err == nil) != ok {
			t.Errorf("type %.20q: %v", text, err)
		}
	}
}

func TestNamesOrder(t *testing.T) {
	ordered := []id.Name{{"a", "z"}, {"b", "a"}, {"b", "b"}, {"b/c", "a"}}
	for i, a := range ordered {
		for j, b := range ordered {
			if got := a.Compare(b); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%s and %s compare %d", a, b, got)
			}
		}
	}
}

func FuzzParsePrincipal(f *testing.F) {
	f.Add("spiffe://d/alice/device/phone")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := id.ParsePrincipal(text)
		if err != nil {
			return
		}
		for _, form := range []string{string(p), p.URI()} {
			if again, err := id.ParsePrincipal(form); err != nil || again != p {
				t.Errorf("%q became %q, and %q became %q, %v", text, p, form, again, err)
			}
		}
		if owner := p.Owner(); owner.Validate() != nil || owner.Owner() != owner || !p.Extends(owner) {
			t.Errorf("%q has the owner %q", p, owner)
		}
	})
}

func FuzzParseName(f *testing.F) {
	f.Add("d/alice:notes")
	f.Add(":a:b")
	f.Add("spiffe://d:x")
	f.Fuzz(func(t *testing.T, text string) {
		n, err := id.ParseName(text, "d/self")
		if err != nil {
			return
		}
		if again, err := id.ParseName(n.String(), "d/other"); err != nil || again != n {
			t.Errorf("%q became %+v, written %q, which became %+v, %v", text, n, n, again, err)
		}
	})
}
