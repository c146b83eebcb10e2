package strictjson

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"sync"
)

var (
	opaque          = reflect.TypeFor[json.RawMessage]()
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// goShape is the shape of a Go type, as encoding/json reads it.
type goShape struct {
	t      reflect.Type
	kind   Kind
	null   bool
	fields map[string]reflect.Type
}

// shapes holds the goShape of each reflect.Type that was asked for.
var shapes sync.Map

func shapeOf(t reflect.Type) *goShape {
	if known, ok := shapes.Load(t); ok {
		return known.(*goShape)
	}
	s := &goShape{t: t, kind: kindOfType(t)}
	switch t.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Interface:
		s.null = true
	case reflect.Struct:
		s.fields = map[string]reflect.Type{}
		addFields(s.fields, t)
	}
	shapes.Store(t, s)
	return s
}

// addFields lists the fields of a struct, with those of structs embedded in it, by what they are called in JSON.
func addFields(fields map[string]reflect.Type, t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-":
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			addFields(fields, f.Type)
		case !f.IsExported():
		case name == "":
			fields[f.Name] = f.Type
		default:
			fields[name] = f.Type
		}
	}
}

func kindOfType(t reflect.Type) Kind {
	switch {
	case t == opaque || reflect.PointerTo(t).Implements(jsonUnmarshaler):
		return ""
	case reflect.PointerTo(t).Implements(textUnmarshaler):
		return Text
	}
	switch t.Kind() {
	case reflect.Pointer:
		return kindOfType(t.Elem())
	case reflect.String:
		return Text
	case reflect.Bool:
		return Bool
	case reflect.Struct, reflect.Map:
		return Object
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return Text
		}
		return List
	case reflect.Interface:
		return ""
	}
	return Number
}

// Wanted implements Shape.
func (s *goShape) Wanted() string { return string(s.kind) }

// Takes implements Shape.
func (s *goShape) Takes(k Kind) bool { return k == s.kind || k == Null && s.null }

// Member implements Shape.
func (s *goShape) Member(name string) (Shape, bool) {
	t := s.t
	if t.Kind() == reflect.Pointer {
		return shapeOf(t.Elem()).Member(name)
	}
	if t.Kind() == reflect.Map {
		return shapeOf(t.Elem()), true
	}
	f, known := s.fields[name]
	if !known {
		return nil, false
	}
	return shapeOf(f), true
}

// Item implements Shape.
func (s *goShape) Item() Shape {
	if s.t.Kind() == reflect.Pointer {
		return shapeOf(s.t.Elem()).Item()
	}
	return shapeOf(s.t.Elem())
}

// Accept implements Shape.
func (s *goShape) Accept(value []byte) string {
	if s.kind == Bool || s.kind == Text && s.t.Kind() == reflect.String {
		return ""
	}
	if err := json.Unmarshal(value, reflect.New(s.t).Interface()); err == nil {
		return ""
	}
	t := s.t
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return fmt.Sprintf("%.40s is not %s", bytes.TrimSpace(value), described(t))
}

// described says which texts or numbers a type takes.
func described(t reflect.Type) string {
	switch bits := t.Bits; t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return fmt.Sprintf("a whole number from %d to %d", math.MinInt64>>(64-bits()), math.MaxInt64>>(64-bits()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return fmt.Sprintf("a whole number from 0 to %d", uint64(math.MaxUint64)>>(64-bits()))
	case reflect.Slice:
		return "bytes in base64"
	case reflect.Float32, reflect.Float64:
		return "a number of that size"
	}
	return "such a value" // of a type that reads texts of its own
}
