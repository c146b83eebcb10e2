package plugin

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"

	pluginv1 "github.com/syncbase/syncbase/sdk/api/plugin/v1"
)

// Spec is a whole plugin: a name, a version and the kinds it implements.
type Spec struct {
	// Name is 1 to 64 characters of a-z, 0-9 and hyphen, such as "blobstore-fs".
	Name string
	// Version is free text of at most 64 bytes.
	Version string
	Kinds   []Kind
}

var nameForm = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

// Validate lists every fault of the specification; they are mistakes of the plugin's author.
func (s Spec) Validate() error {
	var faults []error
	if !nameForm.MatchString(s.Name) {
		faults = append(faults, fmt.Errorf("plugin: name %q is not 1 to 64 characters of a-z, 0-9 and hyphen", s.Name))
	}
	if len(s.Version) > 64 {
		faults = append(faults, fmt.Errorf("plugin: version of %d bytes; at most 64 are allowed", len(s.Version)))
	}
	if len(s.Kinds) == 0 {
		faults = append(faults, errors.New("plugin: it has no kinds"))
	}
	for i, k := range s.Kinds {
		if k.Service == "" || k.Open == nil || k.Register == nil {
			faults = append(faults, fmt.Errorf("plugin: kind %d lacks its service, Open or Register", i))
		}
		if slices.ContainsFunc(s.Kinds[:i], func(o Kind) bool { return o.Service == k.Service }) {
			faults = append(faults, fmt.Errorf("plugin: kind %s is there twice", k.Service))
		}
	}
	if _, err := s.defaults(); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// defaults is the one configuration value of all kinds; an empty struct when the plugin takes none.
func (s Spec) defaults() (reflect.Value, error) {
	found := reflect.ValueOf(struct{}{})
	declared := false
	for _, k := range s.Kinds {
		if k.Config == nil {
			continue
		}
		v := reflect.Indirect(reflect.ValueOf(k.Config))
		if v.Kind() != reflect.Struct {
			return v, fmt.Errorf("plugin: the configuration of %s is a %T, it has to be a struct", k.Service, k.Config)
		}
		if declared && v.Type() != found.Type() {
			return v, fmt.Errorf("plugin: kinds declare two configurations, %v and %v; a plugin has one", found.Type(), v.Type())
		}
		found, declared = v, true
	}
	return found, nil
}

// Describe answers what the plugin is, without configuring it.
func (s Spec) Describe() (*pluginv1.DescribeResponse, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	out := &pluginv1.DescribeResponse{Name: s.Name, Version: s.Version}
	for _, k := range s.Kinds {
		out.Kinds = append(out.Kinds, &pluginv1.Kind{Service: k.Service, Revision: k.Revision, Features: k.Features})
		out.Exclusive = out.Exclusive || k.Exclusive
		if k.Config == nil || out.ConfigSchema != nil {
			continue
		}
		schema, err := configSchema(k.Config)
		if err != nil {
			return nil, fmt.Errorf("plugin: schema of %T: %w", k.Config, err)
		}
		out.ConfigSchema = schema
	}
	return out, nil
}

// CheckConfig judges a configuration without applying it; nil when it is good. Faults are *ConfigError where they have a
// place.
func (s Spec) CheckConfig(data []byte) error {
	defaults, err := s.defaults()
	if err != nil {
		return err
	}
	target := reflect.New(defaults.Type())
	target.Elem().Set(defaults)
	if err := Decode(data, target.Interface()); err != nil {
		return err
	}
	if judge, ok := target.Interface().(interface{ Validate() error }); ok {
		return judge.Validate()
	}
	return nil
}

const (
	maxDiagnostics     = 100
	maxDiagnosticBytes = 1 << 10
)

// diagnostics flattens an error into what the host shows; none for nil.
func diagnostics(err error) []*pluginv1.Diagnostic {
	var out []*pluginv1.Diagnostic
	for _, fault := range flatten(err) {
		if len(out) == maxDiagnostics {
			break
		}
		d := &pluginv1.Diagnostic{Severity: pluginv1.Severity_SEVERITY_ERROR, Summary: Clip(fault.Error(), maxDiagnosticBytes)}
		var at *ConfigError
		if errors.As(fault, &at) {
			d.Path = Clip(at.Path, maxDiagnosticBytes)
			d.Summary = Clip(at.Summary, maxDiagnosticBytes)
			d.Detail = Clip(at.Detail, maxDiagnosticBytes)
		}
		out = append(out, d)
	}
	return out
}

// flatten takes joined errors apart.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var out []error
	for _, e := range joined.Unwrap() {
		out = append(out, flatten(e)...)
	}
	return out
}
