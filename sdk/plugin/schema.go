package plugin

import (
	"encoding/json"
	"reflect"
)

// schema is the part of JSON Schema (draft 2020-12) that configuration types need.
type schema struct {
	Dialect     string            `json:"$schema,omitempty"`
	Description string            `json:"description,omitempty"`
	Type        string            `json:"type,omitempty"`
	Properties  map[string]schema `json:"properties,omitempty"`
	Required    []string          `json:"required,omitempty"`
	Items       *schema           `json:"items,omitempty"`
	// Additional is false for structs and the schema of the values for maps.
	Additional any             `json:"additionalProperties,omitempty"`
	Default    json.RawMessage `json:"default,omitempty"`
}

// maxSchemaDepth stops at types that contain themselves; below it everything is allowed.
const maxSchemaDepth = 16

// configSchema describes the type of defaults, a struct or a pointer to one.
func configSchema(defaults any) ([]byte, error) {
	v := reflect.Indirect(reflect.ValueOf(defaults))
	s := schemaOf(v.Type(), v, 0)
	s.Dialect = "https://json-schema.org/draft/2020-12/schema"
	return json.Marshal(s)
}

func schemaOf(t reflect.Type, defaults reflect.Value, depth int) schema {
	for t.Kind() == reflect.Pointer {
		t, defaults = t.Elem(), reflect.Value{}
	}
	s := schema{Type: schemaType(t)}
	if depth > maxSchemaDepth || s.Type == "" {
		return schema{}
	}
	switch {
	case s.Type == "array":
		items := schemaOf(t.Elem(), reflect.Value{}, depth+1)
		s.Items = &items
	case s.Type == "object" && t.Kind() == reflect.Map:
		s.Additional = schemaOf(t.Elem(), reflect.Value{}, depth+1)
	case s.Type == "object":
		s.members(t, defaults, depth)
	case defaults.IsValid() && !defaults.IsZero():
		s.Default, _ = json.Marshal(defaults.Interface())
	}
	return s
}

func (s *schema) members(t reflect.Type, defaults reflect.Value, depth int) {
	s.Additional = false
	s.Properties = map[string]schema{}
	for _, f := range fieldsOf(t) {
		var value reflect.Value
		if defaults.IsValid() {
			value = defaults.FieldByIndex(f.index)
		}
		property := schemaOf(f.typ, value, depth+1)
		property.Description = f.doc
		s.Properties[f.name] = property
		if f.required {
			s.Required = append(s.Required, f.name)
		}
	}
}

// schemaType is the JSON type of t, empty when anything goes.
func schemaType(t reflect.Type) string {
	if reflect.PointerTo(t).Implements(jsonUnmarshaler) {
		return ""
	}
	if reflect.PointerTo(t).Implements(textUnmarshaler) {
		return "string"
	}
	switch t.Kind() {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "integer"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "string"
		}
		return "array"
	case reflect.Struct, reflect.Map:
		return "object"
	default:
		return ""
	}
}
