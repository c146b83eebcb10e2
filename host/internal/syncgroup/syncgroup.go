// Package syncgroup says which collections are shared with whom. A syncgroup's metadata is data like any other: rows of a
// collection of its own kind, one for the specification and one register for each member, so it is versioned, merged and
// synchronised by the same engine as what it governs.
//
// It guarantees that a syncgroup is only handed out to, and synchronised with, principals on its access list that are
// members, that whoever left or was ejected stays outside until it is let in again, and that concurrent changes are merged
// the same way on every device. It starts no goroutine and does not know how peers are reached. Read Spec, Member, Group
// and State.
package syncgroup

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// Sentinels that callers branch on.
var (
	// ErrNone means that this device is not a member of such a syncgroup, or that the caller may not know of it.
	ErrNone    = errors.New("no such syncgroup")
	ErrDenied  = errors.New("not on the access list of the syncgroup")
	ErrExists  = errors.New("already exists")
	ErrInvalid = errors.New("invalid syncgroup")
	// ErrState means that the syncgroup, as it stands on this device, is not in a state for this.
	ErrState = errors.New("not possible as the syncgroup stands")
	// ErrConflict means that the specification has another version than the caller thought.
	ErrConflict = errors.New("changed in the meantime")
)

// MaxCollections bounds the collections of one syncgroup.
const MaxCollections = 1024

// MemberType says how a device takes part: servers gather what the syncgroup refers to. Leaf is kept and
// shown, and so far treated like Normal.
type MemberType string

const (
	Normal MemberType = "normal"
	Server MemberType = "server"
	Leaf   MemberType = "leaf"
)

// ParseMemberType reads a member type; empty is Normal.
func ParseMemberType(text string) (MemberType, error) {
	switch t := MemberType(text); t {
	case "":
		return Normal, nil
	case Normal, Server, Leaf:
		return t, nil
	}
	return "", fmt.Errorf("%w: member type %q, want normal, server or leaf", ErrInvalid, text)
}

// Spec is the specification of a syncgroup: the row "spec" of its metadata, as JSON. Fields are only added; what an older
// program does not know it carries along unread.
type Spec struct {
	Description string           `json:"description,omitempty"`
	Collections []SpecCollection `json:"collections"`
	// Permissions has the tags Admin (change the specification) and Read (join and synchronise).
	Permissions perm.List    `json:"permissions"`
	Creator     id.Principal `json:"creator"`
	// Publish names the peer (principal, name or host:port) that is to be made a member without asking.
	Publish string `json:"publish,omitempty"`
	// Private keeps blobs that rows of this syncgroup refer to from whoever is not a member, even if rows of another
	// syncgroup refer to them, too.
	Private bool `json:"private,omitempty"`
	// Made names the incarnation; see incarnation.go.
	Made time.Time `json:"made,omitzero"`
}

// Bounds of the texts in a specification, in bytes.
const (
	MaxDescription = 4096
	MaxPublish     = 1024
)

// SpecCollection is a shared collection, or the part of it whose keys begin with Prefix.
type SpecCollection struct {
	Owner  id.Principal `json:"owner"`
	Name   string       `json:"name"`
	Prefix string       `json:"prefix,omitempty"`
}

// Scope returns the collection as a unit of knowledge.
func (c SpecCollection) Scope() id.Scope {
	return id.Scope{Collection: id.Collection{Name: id.Name{Owner: c.Owner, Local: c.Name}}, Prefix: c.Prefix}
}

// Validate checks the specification.
func (s *Spec) Validate() error {
	if n := len(s.Collections); n == 0 || n > MaxCollections {
		return fmt.Errorf("%w: %d collections, want 1 to %d", ErrInvalid, n, MaxCollections)
	}
	seen := map[SpecCollection]bool{}
	for _, c := range s.Collections {
		if err := c.Scope().Validate(); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		if seen[c] {
			return fmt.Errorf("%w: %s is listed twice", ErrInvalid, c.Scope())
		}
		seen[c] = true
	}
	if err := s.Permissions.Validate(perm.SyncgroupTags); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if n := len(s.Description); n > MaxDescription {
		return fmt.Errorf("%w: a description of %d bytes, the limit is %d", ErrInvalid, n, MaxDescription)
	}
	if n := len(s.Publish); n > MaxPublish {
		return fmt.Errorf("%w: a peer to publish at of %d bytes, the limit is %d", ErrInvalid, n, MaxPublish)
	}
	return s.Creator.Validate()
}

// Scopes returns what the members of the syncgroup of this name synchronise: its metadata first, then its collections.
func (s *Spec) Scopes(name id.Name) []id.Scope {
	list := []id.Scope{{Collection: Metadata(name)}}
	for _, c := range s.Collections {
		list = append(list, c.Scope())
	}
	return list
}

// Metadata is the collection that holds the syncgroup's own rows.
func Metadata(name id.Name) id.Collection { return id.Collection{Kind: id.Syncgroup, Name: name} }

const (
	specKey      = "spec"
	memberPrefix = "member/"
	// destroyedKey is the row that says that the syncgroup has ended.
	destroyedKey = "destroyed"
)

// Group is a syncgroup as it stands on this device.
type Group struct {
	Name  id.Name
	State State
	// Type of this device's membership.
	Type     MemberType
	Spec     Spec
	Version  id.Version
	Admitter id.Principal
	// Outside says why this device is no member any more, for people; empty for members.
	Outside string
}

// Create makes a syncgroup with self as its only member. The collections must exist. One that was destroyed or deserted can be
// created anew: it begins without any of its former members.
func Create(db *rows.DB, name id.Name, spec Spec, self Member) error {
	if err := errors.Join(name.Validate(), spec.Validate()); err != nil {
		return err
	}
	for _, c := range spec.Collections {
		if _, _, err := db.CollectionPermissions(c.Scope().Collection); err != nil {
			return err
		}
	}
	if !spec.Permissions.Allows(self.Principal, perm.Read) {
		return fmt.Errorf("%w: the access list does not give Read to this device, %s", ErrInvalid, self.Principal)
	}
	former, err := absent(db, name)
	if err != nil {
		return err
	}
	meta := Metadata(name)
	spec.Made = time.Time{}
	if former != nil {
		if spec.Made, err = madeAfter(db, former, self.Joined); err != nil {
			return err
		}
	}
	raw, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	ops := []rows.Op{{Collection: meta, Key: specKey, Value: raw}}
	if former == nil {
		ops = append(ops, rows.Op{Kind: rows.OpCheck, Collection: meta, Key: specKey, Expect: &rows.Expect{Absent: true}}, memberOp(meta, self))
	} else {
		self.Made = spec.Made
		ops = append(ops, renewal(former, self)...)
	}
	if err := adopt(db, name, spec, local{Type: self.Type, Self: self.Principal, Spec: raw}); err != nil {
		return err
	}
	if _, err := db.Commit(ops, nil); errors.Is(err, rows.ErrConflict) {
		return fmt.Errorf("syncgroup %s %w", name, ErrExists)
	} else if err != nil {
		return err
	}
	return Enforce(db)
}

// adopt begins to be what l says and tracks what the specification names.
func adopt(db *rows.DB, name id.Name, spec Spec, l local) error {
	if err := l.store(db, name); err != nil {
		return err
	}
	return db.Track(spec.Scopes(name))
}

// ParseSpec reads and checks an encoded specification.
func ParseSpec(raw []byte) (Spec, error) { return parseSpec(raw) }

func parseSpec(raw []byte) (spec Spec, err error) {
	if err := json.Unmarshal(raw, &spec); err != nil {
		return spec, fmt.Errorf("%w: specification: %w", ErrInvalid, err)
	}
	return spec, spec.Validate()
}
