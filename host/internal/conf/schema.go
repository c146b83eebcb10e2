package conf

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// The schema of a configuration file is the type Config itself, read by reflection. These are the only shapes that a
// field may have; a test walks Config and fails when a field has another.
type shape int

const (
	shapeSection  shape = iota // struct: a fixed set of keys
	shapeMap                   // map[string]T: keys of the user's choice
	shapeFree                  // map[string]any: anything below, passed on untouched
	shapeList                  // []string
	shapeText                  // string
	shapeBool                  // bool
	shapeDuration              // time.Duration, written as "30s"
	shapeNumber                // int
	shapeUnknown
)

var (
	typeFree     = reflect.TypeFor[map[string]any]()
	typeDuration = reflect.TypeFor[time.Duration]()
	typeList     = reflect.TypeFor[[]string]()
)

func shapeOf(t reflect.Type) shape {
	switch {
	case t == typeFree:
		return shapeFree
	case t == typeDuration:
		return shapeDuration
	case t == typeList:
		return shapeList
	}
	switch t.Kind() {
	case reflect.Struct:
		return shapeSection
	case reflect.Map:
		return shapeMap
	case reflect.String:
		return shapeText
	case reflect.Bool:
		return shapeBool
	case reflect.Int:
		return shapeNumber
	default:
		return shapeUnknown
	}
}

func (s shape) String() string {
	switch s {
	case shapeSection, shapeMap, shapeFree:
		return "a map of keys"
	case shapeList:
		return "a list of texts"
	case shapeText:
		return "a text"
	case shapeBool:
		return "true or false"
	case shapeDuration:
		return `a duration such as "30s"`
	case shapeNumber:
		return "a whole number"
	default:
		return "unknown"
	}
}

// keysOf lists the keys of a section with the types of their values.
func keysOf(t reflect.Type) map[string]reflect.Type {
	keys := make(map[string]reflect.Type, t.NumField())
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		keys[name] = f.Type
	}
	return keys
}

// child gives the type of the value at a key, or why there is no such key.
func child(t reflect.Type, key string) (reflect.Type, error) {
	switch shapeOf(t) {
	case shapeSection:
		keys := keysOf(t)
		if c, ok := keys[key]; ok {
			return c, nil
		}
		return nil, fmt.Errorf("unknown key %q; %s", key, hint(key, slices.Sorted(maps.Keys(keys))))
	case shapeMap:
		return t.Elem(), nil
	default:
		return nil, fmt.Errorf("unknown key %q: what it stands in is %s", key, shapeOf(t))
	}
}

// hint names the known key that was probably meant, or all of them.
func hint(key string, known []string) string {
	best, distance := "", len(key)/3+2
	for _, k := range known {
		if d := editDistance(strings.ToLower(key), k); d < distance {
			best, distance = k, d
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return "known keys here: " + strings.Join(known, ", ")
}

// editDistance counts the insertions, deletions and replacements between two words. Keys that are long are cut: they
// are no near miss of anything.
func editDistance(a, b string) int {
	const longest = 64
	a, b = a[:min(len(a), longest)], b[:min(len(b), longest)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
