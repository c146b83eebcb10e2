package conf

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxFaults bounds a report; a file with more than that is not a configuration.
const maxFaults = 100

// Fault is one thing wrong with a configuration.
type Fault struct {
	// Source is where the value came from: a file name, "environment variable NAME", "flag" or "default".
	Source string
	// Line is the line in the file, 0 when the source is not a file.
	Line int
	// Column is the character in that line, counted from 1; 0 when the fault concerns the line or what begins in it.
	Column int
	// Key is the dotted key, empty when the fault concerns the whole source.
	Key string
	// Message says what is wrong and what to do.
	Message string
}

// String gives the fault in the form FILE:LINE:COLUMN: KEY: MESSAGE, without what is not known, which editors can jump to.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.Source)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d", f.Line)
	}
	if f.Column > 0 {
		fmt.Fprintf(&b, ":%d", f.Column)
	}
	if f.Key != "" {
		b.WriteString(": " + f.Key)
	}
	b.WriteString(": " + f.Message)
	return b.String()
}

// Faults is the error of Load and Check: everything that is wrong, in the order of the file.
type Faults []Fault

func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// origin is where the value of a key was set.
type origin struct {
	source string
	line   int
	column int
}

// report collects faults while a configuration is read, and remembers where every key was set, so that a fault found
// in the merged result can still be traced to its place.
type report struct {
	faults  []Fault
	origins map[string]origin
}

func newReport() *report {
	return &report{origins: map[string]origin{}}
}

func (r *report) set(path []string, o origin) {
	r.origins[strings.Join(path, ".")] = o
}

// at records a fault at a known place.
func (r *report) at(o origin, path []string, format string, args ...any) {
	if len(r.faults) < maxFaults {
		r.faults = append(r.faults, Fault{Source: o.source, Line: o.line, Column: o.column, Key: strings.Join(path, "."), Message: fmt.Sprintf(format, args...)})
	}
}

// key records a fault of a value in the merged configuration, at the place that set it or the nearest level above it.
// A key that has a fault already is left alone: what was wrong with it is why it looks wrong now.
func (r *report) key(path []string, format string, args ...any) {
	dotted := strings.Join(path, ".")
	if slices.ContainsFunc(r.faults, func(f Fault) bool { return f.Key == dotted }) {
		return
	}
	r.at(r.originOf(path), path, format, args...)
}

// unreadable tells whether a value is missing because it, a level above it or the whole file could not be read.
func (r *report) unreadable(path ...string) bool {
	return slices.ContainsFunc(r.faults, func(f Fault) bool {
		for n := range path {
			if f.Key == strings.Join(path[:n+1], ".") {
				return true
			}
		}
		return f.Key == "" && f.Line > 0
	})
}

func (r *report) originOf(path []string) origin {
	for n := len(path); n > 0; n-- {
		if o, ok := r.origins[strings.Join(path[:n], ".")]; ok {
			return o
		}
	}
	// A plugin may be there only because a variable speaks of it, which is then what is incomplete.
	for _, key := range slices.Sorted(maps.Keys(r.origins)) {
		if len(path) > 2 && path[0] == "plugins" && strings.HasPrefix(key, "plugins."+path[1]+".") {
			return r.origins[key]
		}
	}
	return origin{source: "default"}
}

// err is nil, or all faults sorted by place.
func (r *report) err() error {
	if len(r.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(r.faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Line, b.Line))
	})
	return Faults(r.faults)
}
