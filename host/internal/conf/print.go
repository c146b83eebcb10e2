package conf

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// mask stands where a secret was.
const mask = "********"

// secretWord matches the names of keys, variables and arguments whose values are not for the eyes of whoever reads a
// printed configuration. It errs on the side of hiding.
var secretWord = regexp.MustCompile(`(?i)secret|passw|passphrase|token|credential|private|keys?([_-]?id)?$`)

// Print gives the configuration as YAML that Load would accept, with secrets masked: values whose key sounds like a
// secret, and passwords in URLs. References are shown, for they are not secrets themselves.
func Print(c Config) ([]byte, error) {
	masked := c
	masked.Plugins = make(map[string]Plugin, len(c.Plugins))
	for name, p := range c.Plugins {
		masked.Plugins[name] = p.masked()
	}
	var b strings.Builder
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(masked); err != nil {
		return nil, err
	}
	return []byte(b.String()), encoder.Close()
}

// PrintJSON gives the same as a JSON object.
func PrintJSON(c Config) ([]byte, error) {
	text, err := Print(c)
	if err != nil {
		return nil, err
	}
	var object map[string]any
	if err := yaml.Unmarshal(text, &object); err != nil {
		return nil, err
	}
	return json.Marshal(object)
}

func (p Plugin) masked() Plugin {
	p.Args = maskArgs(p.Args)
	if p.Env != nil {
		env := make(map[string]string, len(p.Env))
		for name, value := range p.Env {
			env[name] = maskText(name, value)
		}
		p.Env = env
	}
	if p.Config != nil {
		p.Config, _ = maskValue("", p.Config).(map[string]any)
	}
	return p
}

// maskArgs masks the value in "--token=VALUE" and the argument after "--token".
func maskArgs(args []string) []string {
	masked := slices.Clone(args)
	for i, arg := range args {
		if name, value, ok := strings.Cut(arg, "="); ok {
			masked[i] = name + "=" + maskText(name, value)
		} else if i > 0 && strings.HasPrefix(args[i-1], "-") && !strings.Contains(args[i-1], "=") {
			masked[i] = maskText(args[i-1], arg)
		}
	}
	return masked
}

// maskValue masks below a key; everything below a key that sounds like a secret is one.
func maskValue(key string, value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, below := range v {
			if secretWord.MatchString(key) {
				out[k] = maskValue(key, below)
			} else {
				out[k] = maskValue(k, below)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = maskValue(key, v[i])
		}
		return out
	case string:
		return maskText(key, v)
	case nil:
		return nil
	default:
		if secretWord.MatchString(key) {
			return mask
		}
		return v
	}
}

func maskText(key, text string) string {
	if _, _, ok := reference(text); ok || text == "" {
		return text
	}
	if secretWord.MatchString(key) {
		return mask
	}
	if u, err := url.Parse(text); err == nil && u.User != nil {
		if _, has := u.User.Password(); has {
			u.User = url.UserPassword(u.User.Username(), "xxxxx")
			return u.String()
		}
	}
	return text
}
