package like

import (
	"errors"
	"regexp"
	"strings"
	"testing"
)

// reference: store-068 what is matched with wildcards, with characters that are taken literally, and beyond ASCII.
func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern string
		yes, no []string
		prefix  string
	}{
		{"", []string{""}, []string{"a", "%"}, ""},
		{"%", []string{"", "a", "a\nb"}, nil, ""},
		{"abc%", []string{"abc", "abcd"}, []string{"ab", "xabc"}, "abc"},
		{"abc_", []string{"abcd", "abc世"}, []string{"abc", "abcde"}, "abc"},
		{"abc_efg", []string{"abcdefg"}, []string{"abcefg"}, "abc"},
		{"abc%def", []string{"abcdef", "abcxdef", "abcdefdef"}, []string{"abcde", "abcdefx"}, "abc"},
		{`a\%b\_c\\d`, []string{`a%b_c\d`}, []string{`axb_c\d`, `a%bxc\d`}, `a%b_c\d`},
		{"[0-9]*a.c$", []string{"[0-9]*a.c$"}, []string{"5abc"}, "[0-9]*a.c$"},
		{"%ab%ba%", []string{"abba", "xabyabax"}, []string{"aba", "baab"}, ""},
		{"_%_", []string{"ab", "abc"}, []string{"a", ""}, ""},
		{"世_%界", []string{"世a界", "世ab界界"}, []string{"世界", "世界a"}, "世"},
	} {
		p, err := Compile(c.pattern)
		if err != nil {
			t.Errorf("%q: %v", c.pattern, err)
			continue
		}
		for _, text := range c.yes {
			if !p.Match(text) {
				t.Errorf("%q does not match %q", c.pattern, text)
			}
		}
		for _, text := range c.no {
			if p.Match(text) {
				t.Errorf("%q matches %q", c.pattern, text)
			}
		}
		if got := p.Prefix(); got != c.prefix {
			t.Errorf("prefix of %q is %q, want %q", c.pattern, got, c.prefix)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, pattern := range []string{`\`, `a\`, `\a`, `a\bc`, `%\`, "\xff", strings.Repeat("a", MaxLen+1)} {
		if _, err := Compile(pattern); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", pattern, err)
		}
	}
}

// FuzzMatch compares with regular expressions that say the same.
func FuzzMatch(f *testing.F) {
	f.Add("a%b_c", "axbyc")
	f.Add(`\%%\\_`, `%a\b`)
	f.Add("%a%_", "banana")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		p, err := Compile(pattern)
		if err != nil || len(pattern) > 100 || len(text) > 100 {
			return
		}
		var re strings.Builder
		escaped := false
		for _, r := range pattern {
			switch {
			case !escaped && r == '\\':
				escaped = true
				continue
			case !escaped && r == '%':
				re.WriteString(`.*`)
			case !escaped && r == '_':
				re.WriteString(`.`)
			default:
				re.WriteString(regexp.QuoteMeta(string(r)))
			}
			escaped = false
		}
		if strings.ToValidUTF8(text, "") != text || strings.Contains(pattern, "\ufffd") {
			return
		}
		want := regexp.MustCompile(`(?s)\A(?:` + re.String() + `)\z`).MatchString(text)
		if got := p.Match(text); got != want {
			t.Errorf("%q matches %q: %v, want %v", pattern, text, got, want)
		}
		literal, err := Compile(Literal(text))
		if err == nil && !literal.Match(text) {
			t.Errorf("the literal of %q does not match it", text)
		}
		if p.Match(text) && !strings.HasPrefix(text, p.Prefix()) {
			t.Errorf("%q matches %q, which does not begin with %q", pattern, text, p.Prefix())
		}
	})
}
