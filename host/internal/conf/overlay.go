package conf

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

const (
	envPrefix    = "SYNCBASE_"
	envSeparator = "__"
)

// overlay collects single settings, from variables or flags, as nested maps.
type overlay struct {
	values map[string]any
	report *report
	// below is what the overlay will lie on: it decides whether a plugin's value stays a text.
	below map[string]any
}

func newOverlay(r *report, below map[string]any) *overlay {
	return &overlay{values: map[string]any{}, report: r, below: below}
}

// environment reads the settings among NAME=VALUE pairs. A variable is a setting when its name has the prefix and
// holds a level separator or is a top-level key. Others with the prefix belong to someone else (SYNCBASE_ADDRESS to
// the command line, SYNCBASE_SERVICE_HOST to a container scheduler) unless one underscore is all that is missing.
func (o *overlay) environment(environ []string) {
	// Sorted, so that faults come in the same order whatever order the environment has.
	for _, pair := range slices.Sorted(slices.Values(environ)) {
		name, value, ok := strings.Cut(pair, "=")
		rest, has := strings.CutPrefix(name, envPrefix)
		if !ok || !has || rest == "" {
			continue
		}
		from := origin{source: "environment variable " + name}
		path := envPath(rest)
		_, topLevel := keysOf(reflect.TypeFor[Config]())[path[0]]
		if topLevel || len(path) > 1 {
			o.text(from, path, value)
			continue
		}
		if meant := oneUnderscoreShort(rest); meant != "" {
			o.report.at(from, nil, "is not a setting; did you mean %s?", meant)
		}
	}
}

// envPath splits the name of a variable into a key. Keys are lower case; only the names below a plugin's env, which
// are names of variables themselves, stay as they are.
func envPath(name string) []string {
	path := strings.Split(name, envSeparator)
	for i, part := range path {
		if i != 3 || path[0] != "plugins" || path[2] != "env" {
			path[i] = strings.ToLower(part)
		}
	}
	return path
}

// oneUnderscoreShort finds the setting that NODE_NAME was meant for: NODE__NAME.
func oneUnderscoreShort(name string) string {
	for section, t := range keysOf(reflect.TypeFor[Config]()) {
		rest, ok := strings.CutPrefix(strings.ToLower(name), section+"_")
		if !ok || shapeOf(t) != shapeSection {
			continue
		}
		if _, known := keysOf(t)[rest]; known {
			return envPrefix + strings.ToUpper(section) + envSeparator + strings.ToUpper(rest)
		}
	}
	return ""
}

// flags takes values by dotted key. A value is a string, which is parsed like a variable's, or already a list or bool.
func (o *overlay) flags(flags map[string]any) {
	for _, key := range slices.Sorted(maps.Keys(flags)) {
		from, path := origin{source: "flag"}, strings.Split(key, ".")
		switch v := flags[key].(type) {
		case string:
			o.text(from, path, v)
		case []string:
			o.typed(from, path, shapeList, texts(v))
		case bool:
			o.typed(from, path, shapeBool, v)
		case time.Duration:
			o.typed(from, path, shapeDuration, v)
		default:
			o.report.at(from, path, "a flag cannot hold a value of type %T", v)
		}
	}
}

// text parses a value by the type of its key and stores it.
func (o *overlay) text(from origin, path []string, value string) {
	t, free, err := lookup(path)
	if err != nil {
		o.report.at(from, path, "%v", err)
		return
	}
	if free {
		o.put(from, path, freeText(value, valueAt(o.below, path)))
		return
	}
	v, err := parseText(shapeOf(t), value)
	if err != nil {
		o.report.at(from, path, "%v", err)
		return
	}
	o.put(from, path, v)
}

func (o *overlay) typed(from origin, path []string, want shape, value any) {
	t, free, err := lookup(path)
	switch {
	case err != nil:
		o.report.at(from, path, "%v", err)
	case !free && shapeOf(t) != want:
		o.report.at(from, path, "must be %s", shapeOf(t))
	default:
		o.put(from, path, value)
	}
}

// lookup finds the type of a key; free is true for what lies below a plugin's config.
func lookup(path []string) (t reflect.Type, free bool, err error) {
	if slices.Contains(path, "") {
		return nil, false, errors.New("a level of the key is empty")
	}
	t = reflect.TypeFor[Config]()
	for _, key := range path {
		if shapeOf(t) == shapeFree {
			return nil, true, nil
		}
		in := t
		if t, err = child(in, key); err != nil {
			if shapeOf(in) == shapeList {
				err = fmt.Errorf("%w, set as a whole with commas between its items", err)
			}
			return nil, false, err
		}
	}
	return t, false, nil
}

func parseText(want shape, value string) (any, error) {
	switch want {
	case shapeText:
		return value, nil
	case shapeBool:
		b, err := strconv.ParseBool(value)
		if err != nil {
			return nil, fmt.Errorf("must be true or false, not %q", value)
		}
		return b, nil
	case shapeDuration:
		d, err := time.ParseDuration(value)
		if err != nil {
			return nil, fmt.Errorf("must be %s, not %q", want, value)
		}
		return d, nil
	case shapeNumber:
		i, err := strconv.Atoi(value)
		if err != nil {
			return nil, fmt.Errorf("must be %s, not %q", want, value)
		}
		return i, nil
	case shapeList:
		if value = strings.TrimSpace(value); value == "" {
			return []any{}, nil
		}
		// An address may begin with a bracket, as in [::1]:4001, but ends with its port.
		if strings.HasPrefix(value, "[") && strings.HasSuffix(value, "]") {
			return nil, fmt.Errorf("is a list: write its items with commas between them, as in a,b, and nothing for an empty list; not %q", value)
		}
		parts := strings.Split(value, ",")
		for i := range parts {
			parts[i] = strings.TrimSpace(parts[i])
		}
		return texts(parts), nil
	default:
		return nil, errors.New("is a section; set the keys in it")
	}
}

// freeText reads a value of a plugin's config: JSON when it is valid JSON, otherwise a text. Where the file already
// holds a text it stays one, so that a password of digits does not turn into a number. JSON is read as the YAML that it
// also is, because that keeps integers exact.
func freeText(value string, before any) any {
	if _, ok := before.(string); ok {
		return value
	}
	var v any
	if !json.Valid([]byte(value)) || yaml.Unmarshal([]byte(value), &v) != nil || v == nil {
		return value
	}
	return v
}

func (o *overlay) put(from origin, path []string, value any) {
	if before, ok := o.report.origins[strings.Join(path, ".")]; ok && before.line == 0 && before.source != from.source && from.source != "flag" {
		o.report.at(from, path, "is also set by %s", before.source)
		return
	}
	level := o.values
	for i, key := range path[:len(path)-1] {
		if level[key] == nil {
			level[key] = map[string]any{}
		}
		next, ok := level[key].(map[string]any)
		if !ok {
			o.report.at(from, path, "%s is already set to a value", strings.Join(path[:i+1], "."))
			return
		}
		level = next
	}
	last := path[len(path)-1]
	if _, ok := level[last].(map[string]any); ok {
		o.report.at(from, path, "has keys that are set by other variables")
		return
	}
	level[last] = value
	o.report.set(path, from)
}

// valueAt gives the value at a path of nested maps, nil when there is none.
func valueAt(values map[string]any, path []string) any {
	var v any = values
	for _, key := range path {
		level, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = level[key]
	}
	return v
}

func texts(values []string) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = v
	}
	return out
}
