package conf

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// maxSecretBytes bounds a file that a reference names.
const maxSecretBytes = 64 << 10

// A text in a plugin's config or env may be a reference instead of the value itself, so that secrets need not stand in
// the file: ${env:NAME} is the value of a variable of the daemon, ${file:/path} the content of a file without the
// newline at its end. A reference is the whole text, never a part of it.

// reference takes a text apart; isReference is false for ordinary texts.
func reference(text string) (scheme, target string, isReference bool) {
	inner, ok := strings.CutPrefix(text, "${")
	if !ok {
		return "", "", false
	}
	inner, ok = strings.CutSuffix(inner, "}")
	if !ok {
		return "", "", false
	}
	scheme, target, ok = strings.Cut(inner, ":")
	return scheme, target, ok && (scheme == "env" || scheme == "file")
}

func checkReference(text string) error {
	scheme, target, ok := reference(text)
	switch {
	case !ok:
		return nil
	case scheme == "env" && !validVariable(target):
		return fmt.Errorf("%q does not name an environment variable", text)
	case scheme == "file" && !filepath.IsAbs(target):
		return fmt.Errorf("%q does not name a file by its absolute path", text)
	}
	return nil
}

// dereference gives the value that a text stands for.
func dereference(text string) (string, error) {
	scheme, target, ok := reference(text)
	switch {
	case !ok:
		return text, nil
	case scheme == "env":
		value, set := os.LookupEnv(target)
		if !set {
			return "", fmt.Errorf("environment variable %s is not set", target)
		}
		return value, nil
	}
	f, err := os.Open(target)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSecretBytes+1))
	if err != nil {
		return "", err
	}
	if len(data) > maxSecretBytes {
		return "", fmt.Errorf("%s is larger than %d bytes", target, maxSecretBytes)
	}
	return strings.TrimRight(string(data), "\r\n"), nil
}

// eachReference reports the malformed references of a plugin with their keys below the instance.
func (p Plugin) eachReference(report func(path []string, err error)) {
	_, err := mapTexts(p.texts(), nil, func(path []string, text string) (string, error) {
		if err := checkReference(text); err != nil {
			report(slices.Clone(path), err)
		}
		return text, nil
	})
	if err != nil {
		report(nil, err)
	}
}

// texts gives everything of a plugin in which references may stand.
func (p Plugin) texts() map[string]any {
	env := make(map[string]any, len(p.Env))
	for name, value := range p.Env {
		env[name] = value
	}
	return map[string]any{"config": p.Config, "env": env}
}

// ConfigJSON gives the configuration as the plugin receives it: one JSON object, with references replaced by what they
// name. It reads variables and files, and is to be called each time the plugin is configured, so that a changed secret
// arrives with a reload.
func (p Plugin) ConfigJSON() ([]byte, error) {
	if p.Config == nil {
		return []byte("{}"), nil
	}
	resolved, err := mapTexts(p.Config, []string{"config"}, resolveText)
	if err != nil {
		return nil, err
	}
	return json.Marshal(resolved)
}

// Environ gives the additions to the plugin's environment as sorted NAME=VALUE pairs, with references replaced by what
// they name.
func (p Plugin) Environ() ([]string, error) {
	var pairs []string
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(p.Env)) {
		value, err := resolveText([]string{"env", name}, p.Env[name])
		faults = append(faults, err)
		pairs = append(pairs, name+"="+value)
	}
	return pairs, errors.Join(faults...)
}

func resolveText(path []string, text string) (string, error) {
	value, err := dereference(text)
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(path, "."), err)
	}
	return value, nil
}

// mapTexts copies nested maps and lists, passing every text through f. It gives all errors joined.
func mapTexts(value any, path []string, f func(path []string, text string) (string, error)) (any, error) {
	var faults []error
	below := func(key string, v any) any {
		out, err := mapTexts(v, append(path[:len(path):len(path)], key), f)
		faults = append(faults, err)
		return out
	}
	switch v := value.(type) {
	case string:
		return f(path, v)
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			out[key] = below(key, v[key])
		}
		return out, errors.Join(faults...)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = below(strconv.Itoa(i), v[i])
		}
		return out, errors.Join(faults...)
	default:
		return value, nil
	}
}
