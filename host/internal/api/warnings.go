package api

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
)

// What is valid and may not be what was meant is done, and told with the answer.

// lockedOut warns a caller who has just given Admin away.
func lockedOut(list perm.List, caller id.Principal) []string {
	if list.Allows(caller, perm.Admin) {
		return nil
	}
	var who []string
	for _, p := range list[perm.Admin].In {
		who = append(who, string(p))
	}
	return []string{fmt.Sprintf("%s has no Admin any more and cannot change this list again; only %s can", caller, strings.Join(who, ", "))}
}

// lockout is as above, of a list that a request sets. The owner in person administers the daemon whatever the list says, and
// keeps the right to set the lists of its own.
func (s *Server) lockout(ctx context.Context, req *nodev1.SetPermissionsRequest, list perm.List) []string {
	caller, err := s.caller(ctx)
	if err != nil || req.GetDatabase() == "" && caller == s.opts.Owner {
		return nil
	}
	name, err := id.ParseName(req.GetCollection(), caller.Owner())
	own := req.GetCollection() == "" || err == nil && caller.Extends(name.Owner)
	if caller != s.opts.Owner || !own || list.Allows(caller, perm.Admin) {
		return lockedOut(list, caller)
	}
	return []string{fmt.Sprintf("%s has no Admin any more; as the owner in person it can still read and set this list", caller)}
}

// foreign warns who makes a database of another principal, which takes Admin on the daemon, and perhaps meant a name with a colon.
func foreign(caller id.Principal, name id.Name) []string {
	if caller.Extends(name.Owner) {
		return nil
	}
	return []string{fmt.Sprintf("the database belongs to %s, not to you (%s); a name of your own with a colon in it is written %q",
		name.Owner, caller.Owner(), ":"+string(name.Owner)+":"+name.Local)}
}

// schemaWarnings looks at the rules of a policy that is valid.
func (s *Server) schemaWarnings(ctx context.Context, policy []byte) (warnings []string) {
	var doc struct {
		Rules []struct{ Prefix, Resolver string }
	}
	if json.Unmarshal(policy, &doc) != nil {
		return nil
	}
	resolvers := s.resolverPlugins(ctx)
	for i, rule := range doc.Rules {
		if strings.ContainsAny(rule.Prefix, "*?") {
			warnings = append(warnings, fmt.Sprintf("rules[%d]: the prefix %q is no pattern: it is what keys begin with, character by character", i, rule.Prefix))
		}
		name, isPlugin := strings.CutPrefix(rule.Resolver, "plugin:")
		if isPlugin && !slices.Contains(resolvers, name) {
			warnings = append(warnings, fmt.Sprintf("rules[%d]: this device has no resolver plugin %q, so its conflicts wait for a device that has; configured here: %s",
				i, name, orNone(resolvers)))
		}
	}
	return warnings
}

// resolverPlugins are the names of the resolver plugins of this device.
func (s *Server) resolverPlugins(ctx context.Context) (names []string) {
	if s.opts.Plugins == nil {
		return nil
	}
	list, err := s.opts.Plugins.List(ctx)
	if err != nil {
		return nil
	}
	for i := range list {
		if list[i].Kind == "resolver" {
			names = append(names, list[i].Name)
		}
	}
	return names
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}
