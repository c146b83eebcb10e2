package plug

import (
	"fmt"
	"strings"

	pluginv1 "github.com/syncbase/syncbase/sdk/api/plugin/v1"
)

// Diagnostic is a plugin's remark about a configuration.
type Diagnostic struct {
	// Fatal says that the configuration is refused.
	Fatal bool
	// Path is a JSON Pointer into the configuration.
	Path string
	// Summary is one line on what is wrong; Detail, which may be empty, says what to do about it.
	Summary, Detail string
}

func (d Diagnostic) String() string {
	s := d.Summary
	if d.Path != "" {
		s = d.Path + ": " + s
	}
	if d.Detail != "" {
		s += " (" + d.Detail + ")"
	}
	return s
}

// ConfigError means that a plugin refused its configuration.
type ConfigError struct {
	Diagnostics []Diagnostic
}

func (e *ConfigError) Error() string {
	lines := make([]string, len(e.Diagnostics))
	for i, d := range e.Diagnostics {
		lines[i] = d.String()
	}
	return "configuration refused: " + strings.Join(lines, "; ")
}

type diagnostics []Diagnostic

const (
	maxDiagnostics = 100
	maxMessage     = 1 << 10
)

func readDiagnostics(in []*pluginv1.Diagnostic) diagnostics {
	out := make(diagnostics, 0, min(len(in), maxDiagnostics))
	for _, d := range in[:min(len(in), maxDiagnostics)] {
		out = append(out, Diagnostic{
			Fatal:   d.GetSeverity() != pluginv1.Severity_SEVERITY_WARNING,
			Path:    bounded(d.GetPath(), maxMessage),
			Summary: bounded(d.GetSummary(), maxMessage),
			Detail:  bounded(d.GetDetail(), maxMessage),
		})
	}
	return out
}

// refusal returns a ConfigError with the fatal remarks, nil if there are none.
func (ds diagnostics) refusal() error {
	var fatal []Diagnostic
	for _, d := range ds {
		if d.Fatal {
			fatal = append(fatal, d)
		}
	}
	if len(fatal) == 0 {
		return nil
	}
	return &ConfigError{Diagnostics: fatal}
}

// warnings returns the other remarks.
func (ds diagnostics) warnings() []string {
	var warnings []string
	for _, d := range ds {
		if !d.Fatal {
			warnings = append(warnings, d.String())
		}
	}
	return warnings
}

// bounded makes a text that can be sent of what a plugin says.
func bounded(s string, limit int) string {
	if len(s) <= limit {
		return strings.ToValidUTF8(s, "?")
	}
	return fmt.Sprintf("%s... (%d bytes)", strings.ToValidUTF8(s[:limit], ""), len(s))
}
