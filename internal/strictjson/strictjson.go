// Package strictjson reads JSON that people and programs wrote for us: access lists, schemas, specifications, operations.
//
// It guarantees that two readers of one text cannot disagree on what it says: it is UTF-8, one value and nothing after it,
// no member is given twice, and members have exactly the names and kinds that are wanted. What is refused is refused with
// its place. What applications store as JSON of their own, fields of type json.RawMessage, is checked for syntax alone.
//
// It must not know what it reads, and it is not for what is stored or sent between daemons: that has to bear members that
// a later version adds. Read Decode, Fault and, for values that are no Go types, Shape and Check.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"
)

// Fault says what is wrong with a text, and where.
type Fault struct {
	// Line and Column are where it is wrong, both from 1; columns are characters. Lines is how many lines the text has.
	Line, Column, Lines int
	// Path leads from the whole value to the part that is wrong, such as rules[0].resolver; empty for the whole.
	Path string
	// Problem says what is wrong with it.
	Problem string
}

// Error has the line only for a text of several.
func (f *Fault) Error() string {
	place := fmt.Sprintf("column %d: ", f.Column)
	if f.Lines > 1 {
		place = fmt.Sprintf("line %d, column %d: ", f.Line, f.Column)
	}
	if f.Path == "" {
		return place + f.Problem
	}
	return place + f.Path + ": " + f.Problem
}

// Decode reads the one JSON value that data is into what the pointer points at. Nothing is written unless all is right. The
// error is a *Fault.
func Decode(data []byte, into any) error {
	t := reflect.TypeOf(into)
	if t == nil || t.Kind() != reflect.Pointer {
		panic("strictjson: Decode takes a pointer")
	}
	if err := Check(data, shapeOf(t.Elem())); err != nil {
		return err
	}
	fresh := reflect.New(t.Elem())
	if err := json.Unmarshal(data, fresh.Interface()); err != nil {
		return at(data, 0, "", err.Error()) // what Check let pass and a type of its own refuses
	}
	reflect.ValueOf(into).Elem().Set(fresh.Elem())
	return nil
}

// Check holds a text against a shape.
func Check(data []byte, shape Shape) error {
	if !utf8.Valid(data) {
		return at(data, len(firstValid(data)), "", "it is not UTF-8")
	}
	if err := Syntax(data); err != nil {
		return err
	}
	w := walker{text: data}
	return w.value(shape, "")
}

// firstValid is the text up to the first byte that is not UTF-8.
func firstValid(data []byte) []byte {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return data[:i]
		}
		i += size
	}
	return data
}

// Syntax checks the syntax alone, and that there is one value. The error is a *Fault.
func Syntax(data []byte) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return at(data, 0, "", "there is no JSON here")
	}
	if json.Valid(data) {
		return nil
	}
	var syntax *json.SyntaxError
	err := json.Unmarshal(data, new(json.RawMessage))
	if !errors.As(err, &syntax) {
		return at(data, 0, "", fmt.Sprint(err))
	}
	text := syntax.Error()
	switch {
	case strings.HasSuffix(text, "exceeded max depth"):
		return at(data, int(syntax.Offset)-1, "", "it is nested more than 10,000 deep")
	case strings.HasPrefix(text, "unexpected end"), strings.HasPrefix(text, "invalid character ' '") && data[syntax.Offset-1] != ' ':
		// The second is how a word that is cut short looks to the decoder.
		return at(data, len(data), "", "the text ends too early")
	case strings.HasSuffix(text, "after top-level value"):
		return at(data, int(syntax.Offset)-1, "", "something follows the JSON value")
	}
	return at(data, int(syntax.Offset)-1, "", text)
}

// at makes a fault at an offset.
func at(data []byte, offset int, path, problem string) *Fault {
	offset = max(0, min(offset, len(data)))
	before := data[:offset]
	return &Fault{
		Line: bytes.Count(before, []byte("\n")) + 1, Lines: bytes.Count(bytes.TrimRight(data, " \t\r\n"), []byte("\n")) + 1,
		Column: utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1,
		Path:   path, Problem: problem,
	}
}
