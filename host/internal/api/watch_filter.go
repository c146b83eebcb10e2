package api

import (
	"fmt"
	"strings"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/like"
)

// maxWatchPatterns bounds the patterns of one watch.
const maxWatchPatterns = 100

// watchFilter is what a client wants to see of a database. The zero watchFilter is everything.
type watchFilter struct {
	// only is nil when it does not matter; prefix narrows keys.
	only   *id.Collection
	prefix string
	// patterns, if there are any, stand for both.
	patterns []watchPattern
}

// watchPattern matches a collection by both parts of its name, and keys.
type watchPattern struct {
	owner, local, key like.Pattern
}

func (t *target) watchFilter(req *nodev1.WatchRequest) (f watchFilter, err error) {
	f.prefix = req.GetPrefix()
	if err := boundKeys(f.prefix); err != nil {
		return f, err
	}
	if req.GetCollection() != "" {
		c, err := t.name(req.GetCollection())
		if err != nil {
			return f, err
		}
		f.only = &c
	}
	list := req.GetPatterns()
	switch {
	case len(list) == 0:
		return f, nil
	case f.only != nil || f.prefix != "":
		return f, fmt.Errorf("%w: patterns exclude a collection and a prefix", ErrInvalid)
	case len(list) > maxWatchPatterns:
		return f, fmt.Errorf("%w: %d patterns, the limit is %d", ErrInvalid, len(list), maxWatchPatterns)
	}
	for i, p := range list {
		pattern, err := t.watchPattern(p)
		if err != nil {
			return f, fmt.Errorf("%w: pattern %d: %w", ErrInvalid, i, err)
		}
		f.patterns = append(f.patterns, pattern)
	}
	return f, nil
}

func (t *target) watchPattern(p *nodev1.WatchPattern) (w watchPattern, err error) {
	owner, local, found := strings.Cut(p.GetCollection(), ":")
	if !found {
		owner, local = like.Literal(string(t.caller.Owner())), p.GetCollection()
	}
	if owner == "" || local == "" {
		return w, fmt.Errorf("%q has no owner or no name; %% stands for any", p.GetCollection())
	}
	for _, part := range []struct {
		to   *like.Pattern
		text string
	}{{&w.owner, owner}, {&w.local, local}, {&w.key, p.GetKey()}} {
		if *part.to, err = like.Compile(part.text); err != nil {
			return w, err
		}
	}
	return w, nil
}

func (p *watchPattern) matches(c id.Collection) bool {
	return p.owner.Match(string(c.Name.Owner)) && p.local.Match(c.Name.Local)
}

// wants decides about a change of a row, or of the collection itself when the key is empty.
func (f *watchFilter) wants(c id.Collection, key string) bool {
	if len(f.patterns) == 0 {
		return (f.only == nil || *f.only == c) && (key == "" || strings.HasPrefix(key, f.prefix))
	}
	for i := range f.patterns {
		if p := &f.patterns[i]; p.matches(c) && (key == "" || p.key.Match(key)) {
			return true
		}
	}
	return false
}

// scope returns the part of a collection in which everything lies that is wanted of it.
func (f *watchFilter) scope(c id.Collection) id.Scope {
	if len(f.patterns) == 0 {
		return id.Scope{Collection: c, Prefix: f.prefix}
	}
	s, first := id.Scope{Collection: c}, true
	for i := range f.patterns {
		if !f.patterns[i].matches(c) {
			continue
		}
		prefix := f.patterns[i].key.Prefix()
		if first {
			s.Prefix, first = prefix, false
		}
		for !strings.HasPrefix(prefix, s.Prefix) {
			s.Prefix = s.Prefix[:len(s.Prefix)-1]
		}
	}
	return s
}
