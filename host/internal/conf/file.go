package conf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	// maxFileBytes bounds a configuration file.
	maxFileBytes = 1 << 20
	// maxDepth bounds the nesting of a configuration file.
	maxDepth = 32
)

// readFile reads a configuration file of bounded size.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("configuration file: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("configuration file: %w", err)
	}
	if len(data) > maxFileBytes {
		return nil, fmt.Errorf("configuration file %s is larger than %d bytes; is it a configuration?", path, maxFileBytes)
	}
	return data, nil
}

// fileReader checks a YAML tree against the schema and turns it into nested maps. It goes over the tree of nodes, and
// not over decoded values, because only nodes know their lines and only nodes still show duplicate keys.
type fileReader struct {
	name   string
	report *report
}

// read gives the values of a file as nested maps. Sections left empty are absent from the result.
func (r *fileReader) read(data []byte) map[string]any {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		r.syntax(data, err)
		return nil
	}
	var second yaml.Node
	switch err := decoder.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		r.syntax(data, err)
		return nil
	default:
		r.report.at(origin{source: r.name, line: second.Line}, nil, "only one YAML document is allowed in a configuration file")
		return nil
	}
	if len(doc.Content) != 1 || isNull(doc.Content[0]) {
		return nil
	}
	values, _ := r.value(doc.Content[0], reflect.TypeFor[Config](), nil).(map[string]any)
	return values
}

// value converts one node, or reports why it cannot and gives nil.
func (r *fileReader) value(n *yaml.Node, t reflect.Type, path []string) any {
	if len(path) > maxDepth {
		r.fault(n, path[:1], "nested more than %d levels deep", maxDepth)
		return nil
	}
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		r.fault(n, path, "anchors and aliases are not supported; write the value out")
		return nil
	}
	want := shapeOf(t)
	switch want {
	case shapeFree:
		if n.Kind != yaml.MappingNode {
			r.wrongType(n, path, want)
			return nil
		}
		return r.free(n, path)
	case shapeSection, shapeMap:
		return r.mapping(n, t, path)
	case shapeList:
		return r.list(n, path)
	default:
		return r.scalar(n, want, path)
	}
}

func (r *fileReader) mapping(n *yaml.Node, t reflect.Type, path []string) any {
	if n.Kind != yaml.MappingNode {
		r.wrongType(n, path, shapeOf(t))
		return nil
	}
	values := map[string]any{}
	r.eachKey(n, path, func(key string, keyNode, valueNode *yaml.Node, at []string) {
		ct, err := child(t, key)
		if err != nil {
			r.fault(keyNode, at, "%v", err)
			return
		}
		if isNull(valueNode) {
			return
		}
		if v := r.value(valueNode, ct, at); v != nil {
			values[key] = v
		}
	})
	return values
}

// free converts what stands below a plugin's config: anything that JSON can say.
func (r *fileReader) free(n *yaml.Node, path []string) any {
	if len(path) > maxDepth {
		r.fault(n, path[:1], "nested more than %d levels deep", maxDepth)
		return nil
	}
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		r.fault(n, path, "anchors and aliases are not supported; write the value out")
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		values := map[string]any{}
		r.eachKey(n, path, func(key string, _, valueNode *yaml.Node, at []string) {
			values[key] = r.free(valueNode, at)
		})
		return values
	case yaml.SequenceNode:
		values := make([]any, len(n.Content))
		for i, item := range n.Content {
			values[i] = r.free(item, append(path[:len(path):len(path)], strconv.Itoa(i)))
		}
		return values
	default:
		return r.freeScalar(n, path)
	}
}

func (r *fileReader) freeScalar(n *yaml.Node, path []string) any {
	var v any
	if err := n.Decode(&v); err != nil {
		r.fault(n, path, "not a value: %v", err)
		return nil
	}
	switch f := v.(type) {
	case nil, bool, int, int64, uint64:
		return v
	case string:
		if utf8.ValidString(f) { // what !!binary says need not be a text
			return v
		}
	case float64:
		if !math.IsNaN(f) && !math.IsInf(f, 0) {
			return v
		}
	case time.Time:
		// YAML reads a bare date as a time; a plugin gets JSON, where it can only be the text that was written.
		return n.Value
	}
	r.fault(n, path, "%q cannot be passed to a plugin as JSON; quote it", n.Value)
	return nil
}

// eachKey visits the keys of a mapping, refusing those that are not texts or stand there twice.
func (r *fileReader) eachKey(n *yaml.Node, path []string, visit func(key string, keyNode, valueNode *yaml.Node, at []string)) {
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		keyNode, valueNode := n.Content[i], n.Content[i+1]
		if keyNode.Kind != yaml.ScalarNode || keyNode.ShortTag() != "!!str" {
			r.fault(keyNode, path, "key %q is not a text; quote it", keyNode.Value)
			continue
		}
		at := append(path[:len(path):len(path)], keyNode.Value)
		if line, ok := first[keyNode.Value]; ok {
			r.fault(keyNode, at, "duplicate key, first set in line %d", line)
			continue
		}
		first[keyNode.Value] = keyNode.Line
		r.report.set(at, origin{source: r.name, line: keyNode.Line})
		visit(keyNode.Value, keyNode, valueNode, at)
	}
}

func (r *fileReader) list(n *yaml.Node, path []string) any {
	if n.Kind != yaml.SequenceNode {
		r.wrongType(n, path, shapeList)
		return nil
	}
	values := make([]any, 0, len(n.Content))
	for i, item := range n.Content {
		at := append(path[:len(path):len(path)], strconv.Itoa(i))
		r.report.set(at, origin{source: r.name, line: item.Line})
		if v := r.value(item, reflect.TypeFor[string](), at); v != nil {
			values = append(values, v)
		}
	}
	return values
}

func (r *fileReader) scalar(n *yaml.Node, want shape, path []string) any {
	if n.Kind != yaml.ScalarNode {
		r.wrongType(n, path, want)
		return nil
	}
	switch want {
	case shapeBool:
		var v bool
		if n.ShortTag() != "!!bool" || n.Decode(&v) != nil {
			r.wrongType(n, path, want)
			return nil
		}
		return v
	case shapeDuration:
		d, err := time.ParseDuration(n.Value)
		if err != nil {
			r.wrongType(n, path, want)
			return nil
		}
		return d
	case shapeNumber:
		i, err := strconv.Atoi(n.Value)
		if err != nil || n.ShortTag() != "!!int" {
			r.wrongType(n, path, want)
			return nil
		}
		return i
	default:
		if n.ShortTag() != "!!str" {
			r.wrongType(n, path, want)
			return nil
		}
		return n.Value
	}
}

func (r *fileReader) wrongType(n *yaml.Node, path []string, want shape) {
	got := map[yaml.Kind]string{yaml.MappingNode: "a map", yaml.SequenceNode: "a list"}[n.Kind]
	if got == "" {
		got = fmt.Sprintf("%q", n.Value)
	}
	advice := ""
	if want == shapeText && n.Kind == yaml.ScalarNode {
		advice = "; quote it"
	}
	r.fault(n, path, "must be %s, not %s%s", want, got, advice)
}

func (r *fileReader) fault(n *yaml.Node, path []string, format string, args ...any) {
	r.report.at(origin{source: r.name, line: n.Line}, path, format, args...)
}

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}
