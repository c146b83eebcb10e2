package plugin

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// ConfigError is a fault of a configuration at one place. Factories, Reconfigure and Validate return one, or several
// joined by errors.Join; the host shows it with the place.
type ConfigError struct {
	// Path is the JSON pointer (RFC 6901) of the value at fault; empty for the whole configuration.
	Path string
	// Summary says in one line what is wrong.
	Summary string
	// Detail says what to do about it; may be empty.
	Detail string
}

func (e *ConfigError) Error() string {
	text := e.Summary
	if e.Path != "" {
		text = e.Path + ": " + text
	}
	if e.Detail != "" {
		text += " (" + e.Detail + ")"
	}
	return text
}

// Decode reads a JSON object into v, a pointer to a struct whose present values are the defaults. Unknown fields, wrong
// types and trailing bytes are refused; the error joins a *ConfigError for every fault. Empty data is an empty object.
func Decode(data []byte, v any) error {
	target := reflect.ValueOf(v)
	if target.Kind() != reflect.Pointer || target.IsNil() || target.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("plugin: Decode needs a pointer to a struct, got %T", v)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		data = []byte("{}")
	}
	if len(data) > MaxConfigBytes {
		return &ConfigError{Summary: fmt.Sprintf("the configuration has %d bytes, at most %d are allowed", len(data), MaxConfigBytes)}
	}
	if err := wellFormed(data); err != nil {
		return err
	}
	var d decoder
	d.value(data, target.Elem(), "")
	return errors.Join(d.faults...)
}

// wellFormed checks the syntax of the whole text once, so that the walk below meets errors of type alone.
func wellFormed(data []byte) error {
	var whole json.RawMessage
	err := json.Unmarshal(data, &whole)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return &ConfigError{Summary: fmt.Sprintf("not valid JSON at byte %d: %v", syntax.Offset, err)}
	}
	if err != nil {
		return &ConfigError{Summary: fmt.Sprintf("not valid JSON: %v", err)}
	}
	return nil
}

// decoder walks text and type side by side, which is what gives every fault its place.
type decoder struct {
	faults []error
}

func (d *decoder) fault(path, format string, args ...any) {
	d.faults = append(d.faults, &ConfigError{Path: path, Summary: fmt.Sprintf(format, args...)})
}

func (d *decoder) value(data json.RawMessage, v reflect.Value, path string) {
	if isNull(data) || decodesItself(v.Type()) {
		d.leaf(data, v, path)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		fresh := reflect.New(v.Type().Elem()) // the defaults stay as they are
		if !v.IsNil() {
			fresh.Elem().Set(v.Elem())
		}
		v.Set(fresh)
		d.value(data, v.Elem(), path)
	case reflect.Struct:
		d.object(data, v, path)
	case reflect.Map:
		d.mapping(data, v, path)
	case reflect.Slice:
		d.list(data, v, path)
	default:
		d.leaf(data, v, path)
	}
}

func (d *decoder) leaf(data json.RawMessage, v reflect.Value, path string) {
	if err := json.Unmarshal(data, v.Addr().Interface()); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			d.fault(path, "want %s, got %s", wantedName(v.Type()), wrong.Value)
			return
		}
		d.fault(path, "%v", err)
	}
}

func (d *decoder) object(data json.RawMessage, v reflect.Value, path string) {
	var members map[string]json.RawMessage
	if json.Unmarshal(data, &members) != nil {
		d.fault(path, "want an object, got %s", jsonName(data))
		return
	}
	fields := fieldsOf(v.Type())
	for _, name := range slices.Sorted(maps.Keys(members)) {
		at := path + "/" + escapePointer(name)
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
		if i < 0 {
			d.faults = append(d.faults, unknownField(at, name, fields))
			continue
		}
		d.value(members[name], v.FieldByIndex(fields[i].index), at)
	}
	for _, f := range fields {
		if _, there := members[f.name]; f.required && !there {
			d.fault(path+"/"+escapePointer(f.name), "is required")
		}
	}
}

func (d *decoder) mapping(data json.RawMessage, v reflect.Value, path string) {
	var members map[string]json.RawMessage
	if v.Type().Key().Kind() != reflect.String {
		d.leaf(data, v, path)
		return
	}
	if json.Unmarshal(data, &members) != nil {
		d.fault(path, "want an object, got %s", jsonName(data))
		return
	}
	out := reflect.MakeMapWithSize(v.Type(), len(members))
	for _, name := range slices.Sorted(maps.Keys(members)) {
		item := reflect.New(v.Type().Elem()).Elem()
		d.value(members[name], item, path+"/"+escapePointer(name))
		out.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), item)
	}
	v.Set(out)
}

func (d *decoder) list(data json.RawMessage, v reflect.Value, path string) {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		d.leaf(data, v, path)
		return
	}
	var items []json.RawMessage
	if json.Unmarshal(data, &items) != nil {
		d.fault(path, "want a list, got %s", jsonName(data))
		return
	}
	out := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		d.value(item, out.Index(i), fmt.Sprintf("%s/%d", path, i))
	}
	v.Set(out)
}

// field is a struct field as the configuration sees it.
type field struct {
	name     string
	index    []int
	typ      reflect.Type
	doc      string
	required bool
}

// fieldsOf lists the exported fields of a struct, those of embedded structs included.
func fieldsOf(t reflect.Type) []field {
	var out []field
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "-" || (f.Anonymous && name == "") || throughPointer(t, f.Index) {
			continue
		}
		if name == "" {
			name = f.Name
		}
		_, required := f.Tag.Lookup("required")
		out = append(out, field{name: name, index: f.Index, typ: f.Type, doc: f.Tag.Get("doc"), required: required})
	}
	return out
}

// throughPointer reports whether the way to a field leads through an embedded pointer, which may be nil.
func throughPointer(t reflect.Type, index []int) bool {
	for _, i := range index[:len(index)-1] {
		f := t.Field(i)
		if f.Type.Kind() == reflect.Pointer {
			return true
		}
		t = f.Type
	}
	return false
}

func unknownField(path, name string, fields []field) error {
	var known []string
	for _, f := range fields {
		if strings.EqualFold(f.name, name) {
			return &ConfigError{Path: path, Summary: "unknown field", Detail: fmt.Sprintf("did you mean %q?", f.name)}
		}
		known = append(known, f.name)
	}
	if len(known) == 0 {
		return &ConfigError{Path: path, Summary: "unknown field", Detail: "no fields are taken here"}
	}
	return &ConfigError{Path: path, Summary: "unknown field", Detail: "known are " + strings.Join(known, ", ")}
}

var (
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func decodesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(jsonUnmarshaler) || p.Implements(textUnmarshaler)
}

func isNull(data json.RawMessage) bool { return string(bytes.TrimSpace(data)) == "null" }

func escapePointer(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

func jsonName(data json.RawMessage) string {
	switch first := bytes.TrimSpace(data)[0]; first {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case 't', 'f':
		return "a truth value"
	default:
		return "a number"
	}
}

func wantedName(t reflect.Type) string {
	switch schemaType(t) {
	case "string":
		return "a string"
	case "integer":
		return fmt.Sprintf("a whole number (%s)", t.Kind())
	case "number":
		return "a number"
	case "boolean":
		return "true or false"
	default:
		return t.String()
	}
}

// Duration is a time span that a configuration writes as Go does: "90s", "1h30m".
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 90s or 1h30m", text)
	}
	*d = Duration(parsed)
	return nil
}
