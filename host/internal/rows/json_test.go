package rows

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// jsonTexts are where two readers of JSON might disagree.
var jsonTexts = []string{
	`{}`, `[]`, `""`, `0`, `-0`, `-`, `01`, `1.`, `.1`, `1.5e+10`, `1e`, `1E-2`, `1e+`, `+1`, `0x1`, `true`, `tru`, `truee`, `nul`, `null`,
	`False`, `{"a":1}`, `{"a":1,}`, `{"a"}`, `{"a":}`, `{a:1}`, `{,}`, `{"a":1 "b":2}`, `[1,]`, `[,1]`, `[1 2]`, `[1`, `]`, `}`, `{"a":[{"b":null}, -3.25e7 ]}`,
	" \t\r\n{ \"a\" : [ 1 , 2 ] } \n", "\v1", "1\f", `1 2`, `"a`, `"\"`, `"\\"`, `"\x"`, `"\u12aF"`, `"\u12g4"`, `"\u12"`, `"\ud800"`, "\"\n\"", "\"\x00\"", "\"\x7f\"",
	"\"\xff\"", "\"\xc3\xa4\"", "\xef\xbb\xbf1", ``, ` `, "\"\xed\xa0\x80\"", `{"a":"b\/c"}`, `{"":""}`, `[[],{}]`, `{"a":1}}`,
	strings.Repeat("[", 64) + strings.Repeat("]", 64), strings.Repeat("[", 65) + strings.Repeat("]", 65), strings.Repeat(`{"a":`, 64) + "1" + strings.Repeat("}", 64),
	strings.Repeat("[", 100_000),
}

func shallow(text []byte) bool {
	depth := 0
	for _, c := range text {
		if c == '[' || c == '{' {
			depth++
		}
	}
	return depth <= maxPlainDepth
}

func checkPlainJSON(t *testing.T, text []byte) {
	t.Helper()
	got, want := plainJSON(text), json.Valid(text) && utf8.Valid(text)
	if got && !want || want && !got && shallow(text) {
		t.Errorf("plainJSON(%.100q) = %v, want %v", text, got, want)
	}
}

func TestPlainJSONIsThatOfTheStandardLibrary(t *testing.T) {
	t.Parallel()
	for _, text := range jsonTexts {
		checkPlainJSON(t, []byte(text))
		for n := range min(len(text), 200) {
			checkPlainJSON(t, []byte(text[:n]))
		}
	}
	for at := range 24 {
		for c := range 256 {
			text := []byte(`"` + strings.Repeat("x", 24) + `"`)
			text[1+at] = byte(c)
			checkPlainJSON(t, text)
		}
	}
	if deepest := []byte(jsonTexts[len(jsonTexts)-4]); !plainJSON(deepest) {
		t.Errorf("plainJSON refuses a depth of %d", maxPlainDepth)
	}
}

// FuzzPlainJSON holds the reader of values against the standard library's: it may never take what that refuses.
func FuzzPlainJSON(f *testing.F) {
	for _, text := range jsonTexts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) { checkPlainJSON(t, text) })
}

func BenchmarkPlainJSON(b *testing.B) {
	value := benchValue(1)
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			plainJSON(value)
		}
	})
	b.Run("standard", func(b *testing.B) {
		for b.Loop() {
			json.Valid(value)
		}
	})
}
