package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// Messages in JSON look as protobuf says, with the names of the .proto files, all fields that are no alternative, and one
// thing that is different: bytes that hold JSON are that JSON. What a row holds is in "value": JSON, or a text of base64
// when "raw" is true, or nothing where there is no value.

// jsonFields are the fields of type bytes that hold JSON. tools/protogen, which makes the OpenAPI document, goes by the
// same names.
var jsonFields = []protoreflect.Name{"permissions", "policy", "spec", "value"}

func holdsJSON(f protoreflect.FieldDescriptor) bool {
	return f.Kind() == protoreflect.BytesKind && slices.Contains(jsonFields, f.Name())
}

// rawField is the field beside a value that says that it is no JSON.
const rawField = "raw"

// isWellKnown tells of the messages for which protobuf has a JSON of their own, such as Timestamp.
func isWellKnown(d protoreflect.MessageDescriptor) bool {
	return d.FullName().Parent() == "google.protobuf"
}

// appendMessage appends a message as one line of JSON, without its end.
func appendMessage(b []byte, m protoreflect.Message) []byte {
	if isWellKnown(m.Descriptor()) {
		return appendWellKnown(b, m)
	}
	if row, ok := m.Interface().(*nodev1.Row); ok {
		return appendRow(b, row, true)
	}
	return appendFields(b, m)
}

// appendRow is appendFields for what there may be millions of, with the value or without.
func appendRow(b []byte, row *nodev1.Row, value bool) []byte {
	b = appendText(append(b, `{"key":`...), row.GetKey())
	raw := row.GetRaw() || len(row.GetValue()) > 0 && !json.Valid(row.GetValue())
	switch {
	case !value:
	case raw:
		b = appendBase64(append(b, `,"value":`...), row.GetValue())
	case len(row.GetValue()) > 0:
		b = appendLine(append(b, `,"value":`...), row.GetValue())
	}
	b = appendText(append(b, `,"type":`...), row.GetType())
	b = appendText(append(b, `,"version":`...), row.GetVersion())
	if row.GetUpdated() != nil {
		b = appendWellKnown(append(b, `,"updated":`...), row.GetUpdated().ProtoReflect())
	}
	b = strconv.AppendBool(append(b, `,"raw":`...), raw)
	return append(b, '}')
}

// appendFields appends a message field by field.
func appendFields(b []byte, m protoreflect.Message) []byte {
	fields := m.Descriptor().Fields()
	raw := fields.ByName(rawField)
	b = append(b, '{')
	empty := true
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.HasPresence() && !m.Has(f) {
			continue
		}
		if f == raw && hasForeignValue(m) {
			b = appendKey(b, &empty, f)
			b = append(b, "true"...)
			continue
		}
		if holdsJSON(f) {
			b = appendJSONField(b, &empty, m, f, raw != nil && m.Get(raw).Bool())
			continue
		}
		b = appendKey(b, &empty, f)
		b = appendField(b, f, m.Get(f))
	}
	return append(b, '}')
}

func appendKey(b []byte, empty *bool, f protoreflect.FieldDescriptor) []byte {
	if !*empty {
		b = append(b, ',')
	}
	*empty = false
	b = append(b, '"')
	b = append(b, f.Name()...)
	return append(b, '"', ':')
}

// appendJSONField embeds JSON. Empty bytes are no JSON and are left out; as a raw value they are an empty text.
func appendJSONField(b []byte, empty *bool, m protoreflect.Message, f protoreflect.FieldDescriptor, raw bool) []byte {
	value := m.Get(f).Bytes()
	if len(value) == 0 && !raw {
		return b
	}
	b = appendKey(b, empty, f)
	if raw || !json.Valid(value) {
		return appendBase64(b, value)
	}
	return appendLine(b, value)
}

// appendLine embeds valid JSON, on one line and otherwise as it is.
func appendLine(b, value []byte) []byte {
	if bytes.IndexByte(value, '\n') < 0 && bytes.IndexByte(value, '\r') < 0 {
		return append(b, value...)
	}
	var line bytes.Buffer
	_ = json.Compact(&line, value) // it is valid
	return append(b, line.Bytes()...)
}

// hasForeignValue tells of a value that says it is JSON and is not. What another device wrote is taken for what it is, so
// that nothing it wrote can pass for a part of the answer.
func hasForeignValue(m protoreflect.Message) bool {
	f := m.Descriptor().Fields().ByName("value")
	if f == nil || !holdsJSON(f) {
		return false
	}
	value := m.Get(f).Bytes()
	return len(value) > 0 && !json.Valid(value)
}

func appendField(b []byte, f protoreflect.FieldDescriptor, v protoreflect.Value) []byte {
	if !f.IsList() {
		return appendValue(b, f, v)
	}
	list := v.List()
	b = append(b, '[')
	for i := range list.Len() {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendValue(b, f, list.Get(i))
	}
	return append(b, ']')
}

// appendValue appends one value. 64 bits are more than a number of JavaScript holds, so those are texts.
func appendValue(b []byte, f protoreflect.FieldDescriptor, v protoreflect.Value) []byte {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return strconv.AppendBool(b, v.Bool())
	case protoreflect.StringKind:
		return appendText(b, v.String())
	case protoreflect.BytesKind:
		return appendBase64(b, v.Bytes())
	case protoreflect.EnumKind:
		return appendEnum(b, f, v.Enum())
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return appendMessage(b, v.Message())
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return strconv.AppendInt(b, v.Int(), 10)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return strconv.AppendUint(b, v.Uint(), 10)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return append(strconv.AppendInt(append(b, '"'), v.Int(), 10), '"')
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return append(strconv.AppendUint(append(b, '"'), v.Uint(), 10), '"')
	default:
		return appendFloat(b, v.Float())
	}
}

func appendFloat(b []byte, v float64) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(b, "null"...)
	}
	return strconv.AppendFloat(b, v, 'g', -1, 64)
}

func appendEnum(b []byte, f protoreflect.FieldDescriptor, n protoreflect.EnumNumber) []byte {
	if d := f.Enum().Values().ByNumber(n); d != nil {
		return appendText(b, string(d.Name()))
	}
	return strconv.AppendInt(b, int64(n), 10)
}

func appendWellKnown(b []byte, m protoreflect.Message) []byte {
	if t, ok := m.Interface().(*timestamppb.Timestamp); ok && t.IsValid() {
		b = append(b, '"')
		b = t.AsTime().AppendFormat(b, time.RFC3339Nano)
		return append(b, '"')
	}
	text, err := protojson.Marshal(m.Interface())
	if err != nil {
		return append(b, "null"...)
	}
	return append(b, text...)
}

// appendText appends a text of JSON.
func appendText(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			text, _ := json.Marshal(s) // a text has no other error than none
			return append(b, text...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

func appendBase64(b, data []byte) []byte {
	b = append(b, '"')
	b = base64.StdEncoding.AppendEncode(b, data)
	return append(b, '"')
}
