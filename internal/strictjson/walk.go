package strictjson

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf16"
)

// Kind is a kind of JSON value.
type Kind string

// Kinds, by what they are called in faults.
const (
	Text   Kind = "a text"
	Number Kind = "a number"
	Bool   Kind = "true or false"
	Object Kind = "an object"
	List   Kind = "a list"
	Null   Kind = "null"
)

// Shape says what a value has to look like.
type Shape interface {
	// Wanted names the kinds of values that it takes; empty for any, which is then not looked into.
	Wanted() string
	// Takes reports whether a kind will do.
	Takes(Kind) bool
	// Member is the shape of a member of an object. known is false where there is no such member.
	Member(name string) (shape Shape, known bool)
	// Item is the shape of what a list has in it.
	Item() Shape
	// Accept says what is wrong with a text, a number, true or false beyond its kind; mostly nothing.
	Accept(value []byte) (problem string)
}

// walker goes through a text that is valid JSON.
type walker struct {
	text []byte
	pos  int
}

func (w *walker) fault(offset int, path, format string, args ...any) error {
	return at(w.text, offset, path, fmt.Sprintf(format, args...))
}

// space passes over white space, and commas and colons, which are where they belong.
func (w *walker) space() {
	for w.pos < len(w.text) {
		switch w.text[w.pos] {
		case ' ', '\t', '\r', '\n', ',', ':':
			w.pos++
		default:
			return
		}
	}
}

func (w *walker) value(shape Shape, path string) error {
	w.space()
	start := w.pos
	wanted, kind := shape.Wanted(), kindOf(w.text[start])
	switch {
	case wanted != "" && !shape.Takes(kind):
		return w.fault(start, path, "%s where %s is wanted", kind, wanted)
	case wanted == "" || kind == Null:
		w.skip()
		return nil
	case kind == Object:
		return w.object(shape, path)
	case kind == List:
		return w.list(shape, path)
	}
	w.skip()
	token := w.text[start:w.pos]
	if half := HalfCharacter(token); kind == Text && half != "" {
		return w.fault(start, path, "%s is half a character, which a text cannot have", half)
	}
	if problem := shape.Accept(token); problem != "" {
		return w.fault(start, path, "%s", problem)
	}
	return nil
}

func (w *walker) object(shape Shape, path string) error {
	var seen names
	w.pos++
	for {
		w.space()
		if w.text[w.pos] == '}' {
			w.pos++
			return nil
		}
		start := w.pos
		w.skip()
		name, err := w.name(w.text[start:w.pos])
		switch {
		case err != nil:
			return w.fault(start, path, "%v", err)
		case seen.add(name):
			return w.fault(start, path, "%q is given twice", name)
		}
		member, known := shape.Member(name)
		if !known {
			return w.fault(start, path, "unknown field %q", name)
		}
		if err := w.value(member, join(path, name)); err != nil {
			return err
		}
	}
}

// names are the members that an object had so far: a few in place, many in a map.
type names struct {
	few  [8]string
	n    int
	many map[string]struct{}
}

// add reports whether the name was there already.
func (s *names) add(name string) bool {
	if s.many == nil && s.n < len(s.few) {
		if slices.Contains(s.few[:s.n], name) {
			return true
		}
		s.few[s.n] = name
		s.n++
		return false
	}
	if s.many == nil {
		s.many = map[string]struct{}{}
		for _, one := range s.few {
			s.many[one] = struct{}{}
		}
	}
	before := len(s.many)
	s.many[name] = struct{}{}
	return len(s.many) == before
}

func (w *walker) list(shape Shape, path string) error {
	w.pos++
	for i := 0; ; i++ {
		w.space()
		if w.text[w.pos] == ']' {
			w.pos++
			return nil
		}
		if err := w.value(shape.Item(), path+"["+strconv.Itoa(i)+"]"); err != nil {
			return err
		}
	}
}

// name reads the name of a member.
func (w *walker) name(token []byte) (string, error) {
	if bytes.IndexByte(token, '\\') < 0 {
		return string(token[1 : len(token)-1]), nil
	}
	if half := HalfCharacter(token); half != "" {
		return "", fmt.Errorf("%s is half a character, which the name of a field cannot have", half)
	}
	var name string
	err := json.Unmarshal(token, &name)
	return name, err
}

// skip passes over one value.
func (w *walker) skip() {
	depth := 0
	for {
		switch c := w.text[w.pos]; c {
		case '"':
			w.skipText()
		case '{', '[':
			depth++
			w.pos++
		case '}', ']':
			depth--
			w.pos++
		default:
			for w.pos < len(w.text) && !ends(w.text[w.pos]) {
				w.pos++
			}
		}
		if depth == 0 {
			return
		}
		w.space()
	}
}

// ends reports whether a number or a word ends before a byte.
func ends(c byte) bool {
	switch c {
	case ' ', '\t', '\r', '\n', ',', ':', ']', '}':
		return true
	}
	return false
}

func (w *walker) skipText() {
	for w.pos++; w.text[w.pos] != '"'; w.pos++ {
		if w.text[w.pos] == '\\' {
			w.pos++
		}
	}
	w.pos++
}

func kindOf(first byte) Kind {
	switch first {
	case '"':
		return Text
	case '{':
		return Object
	case '[':
		return List
	case 't', 'f':
		return Bool
	case 'n':
		return Null
	}
	return Number
}

// join extends a path by the name of a member, which is quoted where it could be taken for more.
func join(path, name string) string {
	plain := name != ""
	for _, r := range name {
		plain = plain && (r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z')
	}
	switch {
	case !plain:
		return path + "[" + strconv.Quote(name) + "]"
	case path == "":
		return name
	}
	return path + "." + name
}

// HalfCharacter returns the first escape of a surrogate without the other one in valid JSON, empty if there is none: read as
// a text, each would become the mark for what cannot be read, so two texts would become one.
func HalfCharacter(text []byte) string {
	if !bytes.Contains(text, []byte(`\u`)) {
		return ""
	}
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		unit := escaped(text[i:])
		switch {
		case !utf16.IsSurrogate(unit):
			i++ // passes over what is escaped, such as another backslash
		case utf16.DecodeRune(unit, escaped(text[i+6:])) == '\ufffd':
			return string(text[i : i+6])
		default:
			i += 11
		}
	}
	return ""
}

// escaped is the unit of UTF-16 that the text begins with as an escape, 0 if it begins otherwise.
func escaped(text []byte) rune {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return 0
	}
	unit, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	if err != nil {
		return 0
	}
	return rune(unit)
}
