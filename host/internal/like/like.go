// Package like matches texts against patterns: % stands for any run of characters, also none, _ for exactly one, and a
// backslash takes the character after it literally, which must be one of the three that mean something.
//
// Matching takes time that grows with the product of the lengths at worst, whatever the pattern. It knows nothing of what
// the texts are. Read Compile and Pattern.
package like

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ErrInvalid is wrapped by every error that refuses a pattern.
var ErrInvalid = errors.New("invalid pattern")

// MaxLen bounds a pattern, in bytes.
const MaxLen = 8192

// Pattern is a compiled pattern. The zero Pattern matches the empty text alone.
type Pattern struct {
	// parts are runs of elements with a % between each two; the first is bound to the beginning, the last to the end.
	parts [][]rune
}

// one stands for any character in a part; no text has it.
const one = rune(-1)

// Compile reads a pattern. The error says what is wrong, and where.
func Compile(text string) (Pattern, error) {
	if len(text) > MaxLen {
		return Pattern{}, fmt.Errorf("%w: %d bytes, the limit is %d", ErrInvalid, len(text), MaxLen)
	}
	if !utf8.ValidString(text) {
		return Pattern{}, fmt.Errorf("%w: %q is not UTF-8", ErrInvalid, text)
	}
	var p Pattern
	part := []rune{}
	escaped := false
	for at, r := range text {
		switch {
		case escaped && r != '%' && r != '_' && r != '\\':
			return Pattern{}, fmt.Errorf("%w: %q has a backslash before %q at byte %d; it goes before %%, _ and \\ only", ErrInvalid, text, r, at)
		case escaped:
			part, escaped = append(part, r), false
		case r == '\\':
			escaped = true
		case r == '%':
			p.parts, part = append(p.parts, part), []rune{}
		case r == '_':
			part = append(part, one)
		default:
			part = append(part, r)
		}
	}
	if escaped {
		return Pattern{}, fmt.Errorf("%w: %q ends with a backslash that takes nothing", ErrInvalid, text)
	}
	p.parts = append(p.parts, part)
	return p, nil
}

// Literal returns the pattern text that matches exactly the given text.
func Literal(text string) string {
	return strings.NewReplacer(`%`, `\%`, `_`, `\_`, `\`, `\\`).Replace(text)
}

// Prefix returns what every text that matches begins with.
func (p Pattern) Prefix() string {
	var b strings.Builder
	if len(p.parts) == 0 {
		return ""
	}
	for _, r := range p.parts[0] {
		if r == one {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Match reports whether the whole text matches.
func (p Pattern) Match(text string) bool {
	if len(p.parts) == 0 {
		return text == ""
	}
	rest, ok := cutFront(text, p.parts[0])
	if !ok {
		return false
	}
	if len(p.parts) == 1 {
		return rest == ""
	}
	// The earliest place for each part in the middle leaves the most to those after it.
	for _, part := range p.parts[1 : len(p.parts)-1] {
		if rest, ok = find(rest, part); !ok {
			return false
		}
	}
	return endsWith(rest, p.parts[len(p.parts)-1])
}

// cutFront takes the part from the front of the text.
func cutFront(text string, part []rune) (rest string, ok bool) {
	for _, want := range part {
		r, n := utf8.DecodeRuneInString(text)
		if n == 0 || want != one && (r != want || r == utf8.RuneError && n == 1) {
			return "", false
		}
		text = text[n:]
	}
	return text, true
}

// find takes everything up to the end of the first occurrence of the part.
func find(text string, part []rune) (rest string, ok bool) {
	for {
		if rest, ok = cutFront(text, part); ok {
			return rest, true
		}
		_, n := utf8.DecodeRuneInString(text)
		if n == 0 {
			return "", false
		}
		text = text[n:]
	}
}

func endsWith(text string, part []rune) bool {
	at := len(text)
	for range part {
		_, n := utf8.DecodeLastRuneInString(text[:at])
		if n == 0 {
			return false
		}
		at -= n
	}
	rest, ok := cutFront(text[at:], part)
	return ok && rest == ""
}
