package conf

import (
	"errors"
	"strings"
	"testing"
)

// Whatever keeps a file from being YAML is reported at the line where to look, and at the column where that is certain.
func TestSyntaxErrorsHaveTheirPlace(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"tab in the first line", "\tnode: a\n", "test.yaml:1:1: not valid YAML: found character that cannot start any token; indent with spaces, not with tabs"},
		{"tab", "node:\n\tname: a\n", "test.yaml:2:1: not valid YAML: found character that cannot start any token; indent with spaces, not with tabs"},
		{"tab after spaces", "log:\n  level: info\n \tformat: x\n", "test.yaml:3:2: not valid YAML: found a tab character that violates indentation; indent with spaces, not with tabs"},
		{"unclosed bracket", "node: {name: a}\ndiscovery: [a, b\nsync: {}\n", "test.yaml:2: not valid YAML: did not find expected ',' or ']'"},
		{"unclosed bracket further down", "plugins:\n  disk:\n    kind: blobstore\n    args: [self\nblobs:\n  store: disk\n", "test.yaml:4: not valid YAML: did not find expected ',' or ']'"},
		{"bracket at the end", "log: {}\nnode: [", "test.yaml:2: not valid YAML: did not find expected node content"},
		{"bracket before empty lines", "log: {}\nnode: [\n\n\n", "test.yaml:2: not valid YAML: did not find expected node content"},
		{"unclosed quote", "log:\n  level: 'x\n  format: y\n", "test.yaml:2: not valid YAML: found unexpected end of stream"},
		{"two values in a line", "a: b: c\n", "test.yaml:1: not valid YAML: mapping values are not allowed in this context"},
		{"wrong indentation", "node:\n  a\n b: c\n", "test.yaml:3: not valid YAML: mapping values are not allowed in this context"},
		{"a list among keys", "node: a\n- b\n", "test.yaml:2: not valid YAML: did not find expected key"},
		{"bad character", "a: 1\nb: @a\n", "test.yaml:2: not valid YAML: found character that cannot start any token"},
		{"zero byte", "node: {}\nlog: ä\x00\n", "test.yaml:2:7: not valid YAML: control characters are not allowed; is it a text file?"},
		{"not UTF-8", "node: {}\nlog: \xff\xfe\n", "test.yaml:2:6: not valid YAML: invalid leading UTF-8 octet; is it a text file?"},
		{"executable", "\x7fELF\x02\x01\x01\x00", "test.yaml:1:1: not valid YAML: control characters are not allowed; is it a text file?"},
		{"picture", "\x89PNG\r\n\x1a\n\x00", "test.yaml:1:1: not valid YAML: invalid leading UTF-8 octet; is it a text file?"},
		{"unknown anchor", "a: 1\nx: *a\n", "test.yaml:2:4: not valid YAML: unknown anchor 'a' referenced"},
		{"directive", "%YAML 9\n---\na: b", "test.yaml:1: not valid YAML: did not find expected digit or '.' character"},
		{"second document", "log: {}\n---\nnode: [\n", "test.yaml:3: not valid YAML: did not find expected node content"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := load(t, c.file, Options{})
			var faults Faults
			if !errors.As(err, &faults) || len(faults) != 1 {
				t.Fatalf("error = %v, want one fault", err)
			}
			if got := faults[0].String(); got != c.want {
				t.Errorf("fault = %s\n want = %s", got, c.want)
			}
		})
	}
}

func FuzzSyntaxErrorsHaveTheirPlace(f *testing.F) {
	f.Add("a: [")
	f.Add("a:\n\t- b")
	f.Add("\xff")
	f.Add("a: *b\n---\n[")
	f.Fuzz(func(t *testing.T, text string) {
		r := newReport()
		reader := fileReader{name: "x", report: r}
		reader.read([]byte(text))
		lines := strings.Count(text, "\n") + strings.Count(text, "\r") + strings.Count(text, "\u0085") +
			strings.Count(text, "\u2028") + strings.Count(text, "\u2029") + 1
		for _, fault := range r.faults {
			if strings.HasPrefix(fault.Message, "not valid YAML") && (fault.Line < 1 || fault.Line > lines) {
				t.Errorf("line %d of %d: %s", fault.Line, lines, fault)
			}
		}
	})
}
