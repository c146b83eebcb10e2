package rows

import "unicode/utf8"

// maxPlainDepth is how deep a value may nest for plainJSON to follow it.
const maxPlainDepth = 64

// plainJSON reports whether the text is JSON (RFC 8259) in UTF-8. It is several times quicker than encoding/json on the
// values that rows mostly have, and never more lenient; of what nests deeper than maxPlainDepth it says no, so only yes is
// the last word.
func plainJSON(text []byte) bool {
	p := jsonText(text)
	i := p.value(p.space(0), maxPlainDepth)
	return i >= 0 && p.space(i) == len(p) && utf8.Valid(text)
}

// jsonText is read by methods that take a position and return where what they found ends, -1 if it is not there.
type jsonText []byte

func (p jsonText) space(i int) int {
	for i < len(p) && p[i] <= ' ' && (p[i] == ' ' || p[i] == '\n' || p[i] == '\t' || p[i] == '\r') {
		i++
	}
	return i
}

func (p jsonText) value(i, depth int) int {
	if i >= len(p) {
		return -1
	}
	switch p[i] {
	case '"':
		return p.string(i + 1)
	case '{':
		return p.object(i+1, depth-1)
	case '[':
		return p.array(i+1, depth-1)
	case 't':
		return p.word(i, "true")
	case 'f':
		return p.word(i, "false")
	case 'n':
		return p.word(i, "null")
	}
	return p.number(i)
}

func (p jsonText) word(i int, w string) int {
	if len(p)-i < len(w) || string(p[i:i+len(w)]) != w {
		return -1
	}
	return i + len(w)
}

// object reads what follows the opening brace.
func (p jsonText) object(i, depth int) int {
	if depth < 0 {
		return -1
	}
	if i = p.space(i); i < len(p) && p[i] == '}' {
		return i + 1
	}
	for i < len(p) && p[i] == '"' {
		if i = p.string(i + 1); i < 0 {
			return -1
		}
		if i = p.space(i); i >= len(p) || p[i] != ':' {
			return -1
		}
		if i = p.value(p.space(i+1), depth); i < 0 {
			return -1
		}
		if i = p.space(i); i >= len(p) {
			return -1
		}
		if p[i] == '}' {
			return i + 1
		}
		if p[i] != ',' {
			return -1
		}
		i = p.space(i + 1)
	}
	return -1
}

// array reads what follows the opening bracket.
func (p jsonText) array(i, depth int) int {
	if depth < 0 {
		return -1
	}
	if i = p.space(i); i < len(p) && p[i] == ']' {
		return i + 1
	}
	for {
		if i = p.value(i, depth); i < 0 {
			return -1
		}
		if i = p.space(i); i >= len(p) {
			return -1
		}
		if p[i] == ']' {
			return i + 1
		}
		if p[i] != ',' {
			return -1
		}
		i = p.space(i + 1)
	}
}

// inString tells the bytes that stand for themselves in a string.
var inString = func() (plain [256]bool) {
	for c := range plain {
		plain[c] = c >= 0x20 && c != '"' && c != '\\'
	}
	return plain
}()

// string reads what follows the opening quote.
func (p jsonText) string(i int) int {
	for i >= 0 {
		for i < len(p) && inString[p[i]] {
			i++
		}
		switch {
		case i >= len(p):
			return -1
		case p[i] == '"':
			return i + 1
		case p[i] != '\\':
			return -1
		}
		i = p.escape(i + 1)
	}
	return -1
}

// escape reads what follows a backslash.
func (p jsonText) escape(i int) int {
	if i >= len(p) {
		return -1
	}
	switch p[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		if len(p)-i < 5 {
			return -1
		}
		for _, c := range p[i+1 : i+5] {
			if lower := c | 0x20; (c < '0' || c > '9') && (lower < 'a' || lower > 'f') {
				return -1
			}
		}
		return i + 5
	}
	return -1
}

func (p jsonText) number(i int) int {
	if p[i] == '-' {
		i++
	}
	if i < len(p) && p[i] == '0' {
		i++
	} else if i = p.digits(i); i < 0 {
		return -1
	}
	if i < len(p) && p[i] == '.' {
		if i = p.digits(i + 1); i < 0 {
			return -1
		}
	}
	if i < len(p) && p[i]|0x20 == 'e' {
		i++
		if i < len(p) && (p[i] == '+' || p[i] == '-') {
			i++
		}
		return p.digits(i)
	}
	return i
}

// digits reads one digit or more.
func (p jsonText) digits(i int) int {
	from := i
	for i < len(p) && p[i] >= '0' && p[i] <= '9' {
		i++
	}
	if i == from {
		return -1
	}
	return i
}
