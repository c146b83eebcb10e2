package conf

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

var (
	// yamlLine is how the YAML library tells where it stopped.
	yamlLine = regexp.MustCompile(`^line (\d+): `)
	// yamlGrammar matches what its parser says, which counts lines from 0; its scanner counts them from 1.
	yamlGrammar = regexp.MustCompile(`^did not find expected (node content|key|',' or|'-'|<)|^found (undefined|duplicate|incompatible)`)
	yamlAnchor  = regexp.MustCompile(`^unknown anchor '(.+)' referenced`)
)

// syntax reports why data is not YAML. The library leaves the line out when it is the first one, and when it concerns
// the encoding or an anchor; those places are looked up.
func (r *fileReader) syntax(data []byte, err error) {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	from := origin{source: r.name, line: 1}
	if m := yamlLine.FindStringSubmatch(message); m != nil {
		from.line, _ = strconv.Atoi(m[1])
		message = message[len(m[0]):]
		if yamlGrammar.MatchString(message) {
			from.line++
		}
	}
	// What is missing at the end is reported after it.
	from.line = min(from.line, 1+bytes.Count(bytes.TrimRight(data, "\r\n\t "), []byte("\n")))

	at, advice := -1, ""
	switch m := yamlAnchor.FindStringSubmatch(message); {
	case m != nil:
		at = bytes.Index(data, []byte("*"+m[1]))
	case strings.HasPrefix(message, "control characters") || strings.Contains(message, "UTF-"):
		at, advice = notText(data), "; is it a text file?"
	case strings.Contains(message, "tab character") || strings.HasPrefix(message, "found character that cannot start"):
		if at = indentingTab(data, from.line); at >= 0 {
			advice = "; indent with spaces, not with tabs"
		}
	}
	if at >= 0 {
		from.line, from.column = position(data, at)
	}
	r.report.at(from, nil, "not valid YAML: %s%s", message, advice)
}

// notText finds the first byte that is no part of a YAML text, -1 when there is none.
func notText(data []byte) int {
	for i := 0; i < len(data); {
		c, size := utf8.DecodeRune(data[i:])
		if c == utf8.RuneError && size == 1 || !isYAML(c) {
			return i
		}
		i += size
	}
	return -1
}

// isYAML tells whether a YAML text may hold the character.
func isYAML(c rune) bool {
	switch {
	case c < ' ':
		return c == '\t' || c == '\n' || c == '\r'
	case c >= 0x7f && c < 0xa0:
		return c == 0x85
	}
	return c != 0xfffe && c != 0xffff
}

// indentingTab finds the first tab among the spaces that begin the line or, when it has none, one of the two after it:
// a value that a tab breaks off is reported where it began.
func indentingTab(data []byte, line int) int {
	const nearby = 3
	offset := 0
	for i, text := range bytes.SplitAfter(data, []byte("\n")) {
		indent := text[:len(text)-len(bytes.TrimLeft(text, " \t"))]
		if tab := bytes.IndexByte(indent, '\t'); tab >= 0 && i+1 >= line && i+1 < line+nearby {
			return offset + tab
		}
		offset += len(text)
	}
	return -1
}

// position gives the line and column, from 1, of a byte.
func position(data []byte, at int) (line, column int) {
	before := data[:at]
	start := bytes.LastIndexByte(before, '\n') + 1
	return 1 + bytes.Count(before, []byte("\n")), 1 + utf8.RuneCount(before[start:])
}
