package gateway

import (
	"bytes"
	"encoding/base64"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/syncbase/syncbase/internal/strictjson"
)

// messageShape is what the JSON of a message looks like. JSON of the application is not looked into.
type messageShape struct {
	d protoreflect.MessageDescriptor
}

// Wanted implements strictjson.Shape.
func (s messageShape) Wanted() string {
	if isWellKnown(s.d) {
		return string(strictjson.Text)
	}
	return string(strictjson.Object)
}

// Takes implements strictjson.Shape.
func (s messageShape) Takes(k strictjson.Kind) bool { return s.Wanted() == string(k) }

// Member implements strictjson.Shape.
func (s messageShape) Member(name string) (strictjson.Shape, bool) {
	f := fieldOf(s.d, name)
	if f == nil {
		return nil, false
	}
	return fieldShape{f: f, item: !f.IsList()}, true
}

// Item implements strictjson.Shape.
func (s messageShape) Item() strictjson.Shape { return s }

// Accept implements strictjson.Shape.
func (s messageShape) Accept(value []byte) string { return refuseWellKnown(s.d, textOf(value)) }

// textOf is what a JSON text without escapes, or a number, says.
func textOf(value []byte) string { return strings.Trim(string(bytes.TrimSpace(value)), `"`) }

// fieldOf finds a field by the name in the protocol, or by that in lower camel case.
func fieldOf(d protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if f := d.Fields().ByTextName(name); f != nil {
		return f
	}
	return d.Fields().ByJSONName(name)
}

// fieldShape is what the JSON of a field looks like or, if item is set, of one of its values.
type fieldShape struct {
	f    protoreflect.FieldDescriptor
	item bool
}

// Wanted implements strictjson.Shape.
func (s fieldShape) Wanted() string {
	switch kind := s.f.Kind(); {
	case !s.item:
		return string(strictjson.List)
	case holdsJSON(s.f):
		return ""
	case s.f.Message() != nil:
		return messageShape{s.f.Message()}.Wanted()
	case kind == protoreflect.StringKind || kind == protoreflect.BytesKind:
		return string(strictjson.Text)
	case kind == protoreflect.BoolKind:
		return string(strictjson.Bool)
	case kind == protoreflect.EnumKind:
		return "a name such as " + lastName(s.f.Enum())
	}
	return string(strictjson.Number)
}

// lastName is a name of an enumeration that says something; the first one says that nothing was said.
func lastName(d protoreflect.EnumDescriptor) string {
	return string(d.Values().Get(d.Values().Len() - 1).Name())
}

// Takes implements strictjson.Shape. Numbers of 64 bits are texts in what we write, and may be either in what we read.
func (s fieldShape) Takes(k strictjson.Kind) bool {
	switch {
	case k == strictjson.Null || string(k) == s.Wanted():
		return true
	case !s.item || s.f.Message() != nil || s.f.Kind() == protoreflect.BoolKind:
		return false
	case s.f.Kind() == protoreflect.StringKind || s.f.Kind() == protoreflect.BytesKind:
		return false
	}
	return k == strictjson.Text || k == strictjson.Number
}

// Member implements strictjson.Shape.
func (s fieldShape) Member(name string) (strictjson.Shape, bool) {
	return messageShape{s.f.Message()}.Member(name)
}

// Item implements strictjson.Shape.
func (s fieldShape) Item() strictjson.Shape { return fieldShape{f: s.f, item: true} }

// Accept implements strictjson.Shape.
func (s fieldShape) Accept(value []byte) string {
	switch {
	case isNull(value):
		return ""
	case s.f.Message() != nil:
		return messageShape{s.f.Message()}.Accept(value)
	case s.f.Kind() == protoreflect.EnumKind:
		return refuseName(s.f.Enum(), textOf(value))
	case s.f.Kind() != protoreflect.BytesKind:
		return refuseNumber(s.f, textOf(value))
	}
	if _, err := base64.StdEncoding.DecodeString(strings.Trim(string(value), `"`)); err != nil {
		return "that is not base64"
	}
	return ""
}
