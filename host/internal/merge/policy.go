package merge

import (
	"errors"
	"fmt"
	"strings"

	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/internal/strictjson"
)

// ErrPolicy is wrapped by every error about a policy.
var ErrPolicy = errors.New("invalid policy")

// MaxRules bounds the rules of a policy.
const MaxRules = 10_000

// Method says who settles conflicts. The later in the list, the stricter: of rows whose conflicts are settled together the
// strictest decides for all.
type Method uint8

// The methods. The zero value settles at once.
const (
	Last Method = iota
	Plugin
	App
	Defer
)

// Choice is who settles the conflicts of a row.
type Choice struct {
	Method Method
	// Plugin is the name of the resolver plugin, with Plugin.
	Plugin string
}

// pluginPrefix comes before the name of a plugin.
const pluginPrefix = "plugin:"

var methods = map[string]Method{"last-wins": Last, "app": App, "defer": Defer}

func (c Choice) String() string {
	if c.Method == Plugin {
		return pluginPrefix + c.Plugin
	}
	for name, m := range methods {
		if m == c.Method {
			return name
		}
	}
	return "unknown"
}

// Stricter returns the choice that decides where both apply; of two plugins that is the one whose name comes first.
func (c Choice) Stricter(o Choice) Choice {
	if o.Method > c.Method || o.Method == c.Method && o.Plugin < c.Plugin {
		return o
	}
	return c
}

// Policy says who settles the conflicts of which rows. The zero value leaves all to the last writer.
type Policy struct{ rules []rule }

// rule is one line of a policy.
type rule struct {
	// owner and name select the collection: any if owner is empty; with every, all whose names begin with name.
	owner  id.Principal
	name   string
	every  bool
	prefix string
	typ    string
	choice Choice
}

// ruleDoc is a rule as it is written.
type ruleDoc struct {
	Collection string `json:"collection"`
	Prefix     string `json:"prefix"`
	Type       string `json:"type"`
	Resolver   string `json:"resolver"`
}

// ParsePolicy reads {"rules":[{"collection","prefix","type","resolver"}]}. A collection is a name, of which a bare one
// belongs to the owner, a name that ends in * for all that begin like it, or absent for all there are.
func ParsePolicy(data []byte, owner id.Principal) (Policy, error) {
	var doc struct {
		Rules []ruleDoc `json:"rules"`
	}
	if err := strictjson.Decode(data, &doc); err != nil {
		return Policy{}, fmt.Errorf(`%w: %w; it looks like {"rules":[{"collection":"notes","resolver":"last-wins"}]}`, ErrPolicy, err)
	}
	if len(doc.Rules) > MaxRules {
		return Policy{}, fmt.Errorf("%w: %d rules, the limit is %d", ErrPolicy, len(doc.Rules), MaxRules)
	}
	var p Policy
	var faults []error
	for i, r := range doc.Rules {
		parsed, err := r.parse(owner)
		if err != nil {
			faults = append(faults, fmt.Errorf("rules[%d]: %w", i, err))
		}
		p.rules = append(p.rules, parsed)
	}
	if len(faults) > 0 {
		return Policy{}, errors.Join(faults...)
	}
	return p, nil
}

func (d ruleDoc) parse(owner id.Principal) (rule, error) {
	r := rule{prefix: d.Prefix, typ: d.Type}
	if err := r.parseCollection(d.Collection, owner); err != nil {
		return r, err
	}
	if d.Prefix != "" && d.Collection == "" {
		return r, fmt.Errorf("%w: the prefix %q without a collection; name the collection whose keys begin with it", ErrPolicy, d.Prefix)
	}
	if d.Prefix != "" {
		if err := id.ValidateKey(d.Prefix); err != nil {
			return r, fmt.Errorf("%w: prefix: %w", ErrPolicy, err)
		}
	}
	if err := id.ValidateType(d.Type); err != nil {
		return r, fmt.Errorf("%w: %w", ErrPolicy, err)
	}
	plugin, isPlugin := strings.CutPrefix(d.Resolver, pluginPrefix)
	method, known := methods[d.Resolver]
	switch {
	case isPlugin && plugin != "":
		r.choice = Choice{Method: Plugin, Plugin: plugin}
	case known:
		r.choice = Choice{Method: method}
	default:
		return r, fmt.Errorf("%w: resolver %q, want last-wins, app, defer or %sNAME", ErrPolicy, d.Resolver, pluginPrefix)
	}
	return r, nil
}

func (r *rule) parseCollection(text string, owner id.Principal) error {
	if text == "" {
		return nil
	}
	stem := strings.TrimSuffix(text, "*")
	if r.every = stem != text; r.every && (stem == "" || strings.HasSuffix(stem, ":")) {
		stem += "x" // any name will do to read the owner
	}
	name, err := id.ParseName(stem, owner)
	if err != nil {
		return fmt.Errorf("%w: collection: %w", ErrPolicy, err)
	}
	r.owner, r.name = name.Owner, name.Local
	if r.every && (text == "*" || strings.HasSuffix(text, ":*")) {
		r.name = ""
	}
	return nil
}

// applies reports whether the rule is about rows of the collection with this key, one version of which has one of the types.
func (r *rule) applies(c id.Name, key string, heads []history.Head) bool {
	switch {
	case r.owner == "":
	case r.owner != c.Owner:
		return false
	case r.every && !strings.HasPrefix(c.Local, r.name), !r.every && r.name != c.Local:
		return false
	}
	if !strings.HasPrefix(key, r.prefix) {
		return false
	}
	if r.typ == "" {
		return true
	}
	for i := range heads {
		if heads[i].Type == r.typ {
			return true
		}
	}
	return false
}

// specific reports whether the rule says more exactly than another which rows it is about: by a collection rather than by
// the beginning of its name rather than by nothing, by the longer prefix, by a type.
func (r *rule) specific(o *rule) bool {
	rank := func(r *rule) [4]int {
		v := [4]int{0, len(r.name), len(r.prefix), 0}
		switch {
		case r.owner == "":
		case r.every:
			v[0] = 1
		default:
			v[0], v[1] = 2, 0
		}
		if r.typ != "" {
			v[3] = 1
		}
		return v
	}
	a, b := rank(r), rank(o)
	for i := range a {
		if a[i] != b[i] {
			return a[i] > b[i]
		}
	}
	return false
}

// Settles reports whether the policy leaves everything to the last writer.
func (p *Policy) Settles() bool {
	for i := range p.rules {
		if p.rules[i].choice.Method != Last {
			return false
		}
	}
	return true
}

// For returns who settles a conflict of a row between the heads: the most specific rule, of equals the later, decides.
// Access lists of collections and metadata of syncgroups are never left to a rule.
func (p *Policy) For(c id.Collection, key string, heads []history.Head) Choice {
	if c.Kind != id.Rows || key == "" {
		return Choice{}
	}
	var best *rule
	for i := range p.rules {
		if r := &p.rules[i]; r.applies(c.Name, key, heads) && (best == nil || !best.specific(r)) {
			best = r
		}
	}
	if best == nil {
		return Choice{}
	}
	return best.choice
}
