// Package perm holds access lists: who may do what, as patterns over principals.
//
// A list has no opinion on what a tag allows; the rooms above decide that. Evaluation is a pure function of the list and
// the caller's principal. Read List and List.Allows.
package perm

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/internal/strictjson"
)

// Tag is a kind of access.
type Tag string

const (
	Admin   Tag = "Admin"
	Read    Tag = "Read"
	Write   Tag = "Write"
	Resolve Tag = "Resolve"
)

// Tags allowed at each level.
var (
	ServiceTags    = []Tag{Admin, Read, Write}
	DatabaseTags   = []Tag{Admin, Read, Resolve, Write}
	CollectionTags = []Tag{Admin, Read, Write}
	SyncgroupTags  = []Tag{Admin, Read}
)

// Everyone is the pattern that every authenticated principal matches.
const Everyone Pattern = "..."

// exact ends a pattern that is not to be matched by extensions.
const exact = "/$"

// Pattern matches principals: "a/b" matches a/b and everything that extends it, "a/b/$" matches a/b alone, "..."
// matches everybody who has proven to be somebody.
type Pattern string

// Matches reports whether p matches.
func (pat Pattern) Matches(p id.Principal) bool {
	if pat == Everyone {
		return p != ""
	}
	if base, found := strings.CutSuffix(string(pat), exact); found {
		return p == id.Principal(base)
	}
	return p.Extends(id.Principal(pat))
}

// Validate checks the grammar.
func (pat Pattern) Validate() error {
	if pat == Everyone {
		return nil
	}
	return id.Principal(strings.TrimSuffix(string(pat), exact)).Validate()
}

// Access says who has one kind of access: those who match In and do not match NotIn. NotIn always wins, also against
// Everyone in In.
type Access struct {
	In    []Pattern `json:"in,omitempty"`
	NotIn []Pattern `json:"not_in,omitempty"`
}

func (a Access) allows(p id.Principal) bool {
	matches := func(pat Pattern) bool { return pat.Matches(p) }
	return p != "" && !slices.ContainsFunc(a.NotIn, matches) && slices.ContainsFunc(a.In, matches)
}

// List is an access list. The zero List allows nobody anything.
type List map[Tag]Access

// Limits of a list, so that a peer cannot make evaluation expensive.
const (
	MaxPatterns = 1024
	maxJSON     = 1 << 20
)

// ErrInvalid is wrapped by every error that refuses a list.
var ErrInvalid = errors.New("invalid access list")

// Allows reports whether p has the kind of access.
func (l List) Allows(p id.Principal, tag Tag) bool { return l[tag].allows(p) }

// AllowsAny reports whether p has any kind of access.
func (l List) AllowsAny(p id.Principal) bool {
	for tag := range l {
		if l.Allows(p, tag) {
			return true
		}
	}
	return false
}

// For returns the list that gives owner, and every principal that extends it, all of the tags.
func For(owner id.Principal, tags []Tag) List {
	l := List{}
	for _, tag := range tags {
		l[tag] = Access{In: []Pattern{Pattern(owner)}}
	}
	return l
}

// Validate refuses a list that is empty, has other tags than those allowed, has a malformed pattern or too many, or that
// leaves nobody with Admin: a list whose every Admin pattern is excluded again could never be mended.
func (l List) Validate(allowed []Tag) error {
	if len(l) == 0 {
		return fmt.Errorf("%w: it is empty; at least one principal needs Admin", ErrInvalid)
	}
	for _, tag := range slices.Sorted(maps.Keys(l)) {
		if !slices.Contains(allowed, tag) {
			return fmt.Errorf("%w: tag %q is not one of %v", ErrInvalid, tag, allowed)
		}
		access := l[tag]
		if n := len(access.In) + len(access.NotIn); n > MaxPatterns {
			return fmt.Errorf("%w: %d patterns for %s, the limit is %d", ErrInvalid, n, tag, MaxPatterns)
		}
		for _, pat := range slices.Concat(access.In, access.NotIn) {
			if err := pat.Validate(); err != nil {
				return fmt.Errorf("%w: pattern %q for %s: %v", ErrInvalid, pat, tag, err)
			}
		}
	}
	if !l[Admin].leavesSomebody() {
		return fmt.Errorf("%w: it leaves nobody with Admin", ErrInvalid)
	}
	return nil
}

// leavesSomebody reports whether at least one In pattern is not wholly excluded.
func (a Access) leavesSomebody() bool {
	return slices.ContainsFunc(a.In, func(in Pattern) bool {
		return !slices.ContainsFunc(a.NotIn, func(out Pattern) bool { return out.includes(in) })
	})
}

// includes reports whether everybody who matches o also matches pat.
func (pat Pattern) includes(o Pattern) bool {
	if pat == Everyone || pat == o {
		return true
	}
	if o == Everyone || strings.HasSuffix(string(pat), exact) {
		return false
	}
	return pat.Matches(id.Principal(strings.TrimSuffix(string(o), exact)))
}

// Clone returns a deep copy.
func (l List) Clone() List {
	c := make(List, len(l))
	for tag, a := range l {
		c[tag] = Access{In: slices.Clone(a.In), NotIn: slices.Clone(a.NotIn)}
	}
	return c
}

// Marshal returns the JSON form, the same bytes for equal lists.
func (l List) Marshal() []byte {
	data, err := json.Marshal(l)
	if err != nil {
		panic("perm: a list of strings must encode: " + err.Error())
	}
	return data
}

// Parse reads the JSON form, refusing unknown or repeated fields and other spellings of them, and validates against the
// allowed tags. Two readers of one text can thus never disagree on what it allows.
func Parse(data []byte, allowed []Tag) (List, error) {
	if len(data) > maxJSON {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrInvalid, len(data), maxJSON)
	}
	var l List
	if err := strictjson.Decode(data, &l); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := l.Validate(allowed); err != nil {
		return nil, err
	}
	return l, nil
}
