package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// GetSchema takes Read on the database.
func (s *Server) GetSchema(ctx context.Context, req *nodev1.GetSchemaRequest) (*nodev1.GetSchemaResponse, error) {
	t, err := s.openFor(ctx, req.GetDatabase(), perm.Read)
	if err != nil {
		return nil, err
	}
	schema, err := t.db.Schema()
	if err == nil && schema.Version == 0 {
		err = fmt.Errorf("%w: the database %s has none", errNoSchema, t.db.Name())
	}
	if err != nil {
		return nil, err
	}
	return &nodev1.GetSchemaResponse{Schema: &nodev1.Schema{Version: schema.Version, Policy: schema.Policy}}, nil
}

// SetSchema takes Admin on the database.
func (s *Server) SetSchema(ctx context.Context, req *nodev1.SetSchemaRequest) (*nodev1.SetSchemaResponse, error) {
	t, err := s.openFor(ctx, req.GetDatabase(), perm.Admin)
	if err != nil {
		return nil, err
	}
	schema := rows.Schema{Version: req.GetSchema().GetVersion(), Policy: req.GetSchema().GetPolicy()}
	if err := checkPolicy(schema.Policy, t.caller.Owner()); err != nil {
		return nil, err
	}
	return &nodev1.SetSchemaResponse{}, t.db.SetSchema(schema)
}

// policy is what a schema says about conflicts.
type policy struct {
	Rules []rule `json:"rules"`
}

// rule says who resolves conflicts of the rows of a collection, narrowed to a prefix of their keys and to a type.
type rule struct {
	Collection string `json:"collection"`
	Prefix     string `json:"prefix,omitempty"`
	Type       string `json:"type,omitempty"`
	Resolver   string `json:"resolver"`
}

const (
	// maxRules bounds the rules of a schema.
	maxRules = 10_000
	// resolverPlugin comes before the name of a plugin that resolves.
	resolverPlugin = "plugin:"
)

var resolvers = []string{"last-wins", "app", "defer"}

// checkPolicy refuses rules that could never be followed, while somebody is there to read why.
func checkPolicy(data []byte, self id.Principal) error {
	if len(data) > rows.MaxSchemaPolicy {
		return fmt.Errorf("%w: a policy of %d bytes, the limit is %d", ErrInvalid, len(data), rows.MaxSchemaPolicy)
	}
	var p policy
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return fmt.Errorf(`%w: policy: %v; it looks like {"rules":[{"collection":"notes","resolver":"last-wins"}]}`, ErrInvalid, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("%w: something follows the policy", ErrInvalid)
	}
	if len(p.Rules) > maxRules {
		return fmt.Errorf("%w: %d rules, the limit is %d", ErrInvalid, len(p.Rules), maxRules)
	}
	for i, r := range p.Rules {
		if err := r.check(self); err != nil {
			return fmt.Errorf("rule %d: %w", i, err)
		}
	}
	return nil
}

func (r rule) check(self id.Principal) error {
	name, err := id.ParseName(r.Collection, self)
	if err != nil {
		return err
	}
	scope := id.Scope{Collection: id.Collection{Name: name}, Prefix: r.Prefix}
	if err := scope.Validate(); err != nil {
		return err
	}
	if err := id.ValidateType(r.Type); err != nil {
		return err
	}
	plugin, isPlugin := strings.CutPrefix(r.Resolver, resolverPlugin)
	if isPlugin && plugin != "" || slices.Contains(resolvers, r.Resolver) {
		return nil
	}
	return fmt.Errorf("%w: resolver %q, want one of %v or %sNAME", ErrInvalid, r.Resolver, resolvers, resolverPlugin)
}
