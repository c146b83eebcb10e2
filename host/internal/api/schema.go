package api

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/merge"
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
	if len(schema.Policy) <= rows.MaxSchemaPolicy {
		if schema.Policy, err = qualified(schema.Policy, t.caller.Owner(), t.db.Name().Owner); err != nil {
			return nil, err
		}
	}
	if err := t.db.SetSchema(schema); err != nil {
		return nil, err
	}
	return &nodev1.SetSchemaResponse{Warnings: s.schemaWarnings(ctx, schema.Policy)}, nil
}

// qualified returns the policy with the owner put before bare names of collections, where the database's own owner would be
// another.
func qualified(policy json.RawMessage, caller, owner id.Principal) (json.RawMessage, error) {
	if _, err := merge.ParsePolicy(policy, caller); err != nil || caller == owner {
		return policy, err
	}
	var doc struct {
		Rules []map[string]string `json:"rules"`
	}
	if err := json.Unmarshal(policy, &doc); err != nil {
		return policy, fmt.Errorf("%w: policy: %w", ErrInvalid, err)
	}
	for _, rule := range doc.Rules {
		if c := rule["collection"]; c != "" && !strings.Contains(c, ":") {
			rule["collection"] = string(caller) + ":" + c
		}
	}
	return json.Marshal(doc)
}
