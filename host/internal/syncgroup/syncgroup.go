// Package syncgroup says which collections are shared with whom. A syncgroup's metadata is data like any other: rows of a
// collection of its own kind, one for the specification and one register for each member, so it is versioned, merged and
// synchronised by the same engine as what it governs.
//
// It guarantees that a syncgroup is only handed out to, and synchronised with, principals on its access list that are
// members. It starts no goroutine and does not know how peers are reached. Read Spec, Member and Group.
package syncgroup

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
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
)

// MaxCollections bounds the collections of one syncgroup.
const MaxCollections = 1024

// MemberType says how a device takes part: servers gather what the syncgroup refers to, leaves shed it.
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
}

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

// Member is one register of the metadata: the row "member/PRINCIPAL", as JSON. The device itself writes it when it
// creates the syncgroup, whoever admits it when it joins. Only the device itself changes Addresses.
type Member struct {
	Principal id.Principal `json:"-"`
	Type      MemberType   `json:"type"`
	Device    string       `json:"device"`
	Joined    time.Time    `json:"joined"`
	Priority  uint32       `json:"priority,omitempty"`
	// Addresses where the member said it can be reached; see Reachable.
	Addresses []string `json:"addresses,omitempty"`
}

const (
	specKey      = "spec"
	memberPrefix = "member/"
)

// local is what this device keeps of a syncgroup for itself.
type local struct {
	Type MemberType `json:"type"`
	// Spec as it was when this device joined; used until the metadata has arrived.
	Spec json.RawMessage `json:"spec"`
	// Admitter let this device in, and so is a member whether or not the metadata has arrived.
	Admitter id.Principal `json:"admitter,omitempty"`
}

// Group is a syncgroup that this device is a member of.
type Group struct {
	Name id.Name
	// Type of this device's membership.
	Type     MemberType
	Spec     Spec
	Version  id.Version
	Admitter id.Principal
}

// Create makes a syncgroup with self as its only member. The collections must exist.
func Create(db *rows.DB, name id.Name, spec Spec, self Member) error {
	if err := errors.Join(name.Validate(), spec.Validate()); err != nil {
		return err
	}
	for _, c := range spec.Collections {
		if _, _, err := db.CollectionPermissions(c.Scope().Collection); err != nil {
			return err
		}
	}
	if err := absent(db, name); err != nil {
		return err
	}
	raw, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	meta := Metadata(name)
	ops := []rows.Op{
		{Kind: rows.OpCheck, Collection: meta, Key: specKey, Expect: rows.Expect{Absent: true}},
		{Collection: meta, Key: specKey, Value: raw},
		memberOp(meta, self),
	}
	if err := adopt(db, name, spec, local{Type: self.Type, Spec: raw}); err != nil {
		return err
	}
	if _, err := db.Commit(ops, nil); errors.Is(err, rows.ErrConflict) {
		return fmt.Errorf("syncgroup %s %w", name, ErrExists)
	} else if err != nil {
		return err
	}
	return nil
}

// absent fails if this device has the syncgroup or was let into it. What a creation that was cut short has left behind
// does not count.
func absent(db *rows.DB, name id.Name) error {
	g, err := Find(db, name)
	switch {
	case errors.Is(err, ErrNone):
		return nil
	case err != nil:
		return err
	case g.Admitter != "" || !g.Version.IsZero():
		return fmt.Errorf("syncgroup %s %w", name, ErrExists)
	}
	return nil
}

func memberOp(meta id.Collection, m Member) rows.Op {
	raw, err := json.Marshal(m)
	if err != nil {
		panic("syncgroup: a member must encode: " + err.Error())
	}
	return rows.Op{Collection: meta, Key: memberPrefix + string(m.Principal), Value: raw}
}

// Adopt makes this device a member on the word of the admitter: what the specification names is tracked from now on.
// Adopting again is harmless.
func Adopt(db *rows.DB, name id.Name, raw []byte, as MemberType, admitter id.Principal) error {
	spec, err := parseSpec(raw)
	if err != nil {
		return err
	}
	return adopt(db, name, spec, local{Type: as, Spec: raw, Admitter: admitter})
}

func adopt(db *rows.DB, name id.Name, spec Spec, l local) error {
	raw, err := json.Marshal(l)
	if err != nil {
		return err
	}
	if err := db.SetLocal(name, raw); err != nil {
		return err
	}
	return db.Track(spec.Scopes(name))
}

func parseSpec(raw []byte) (spec Spec, err error) {
	if err := json.Unmarshal(raw, &spec); err != nil {
		return spec, fmt.Errorf("%w: specification: %w", ErrInvalid, err)
	}
	return spec, spec.Validate()
}

// Admit makes the caller a member, on behalf of this device, and returns the encoded specification. Whoever is not on the
// access list learns nothing, not even that the syncgroup exists.
func Admit(db *rows.DB, name id.Name, m Member) ([]byte, error) {
	g, err := Find(db, name)
	if err != nil {
		return nil, err
	}
	if !g.Spec.Permissions.Allows(m.Principal, perm.Read) {
		return nil, fmt.Errorf("%w: %s", ErrNone, name)
	}
	if db.Published().Paused {
		return nil, fmt.Errorf("%w: %s: %w", ErrNone, name, rows.ErrPaused)
	}
	members, err := Members(db, name)
	if err != nil {
		return nil, err
	}
	for _, known := range members {
		if known.Principal == m.Principal && known.Type == m.Type && known.Device == m.Device {
			return json.Marshal(g.Spec)
		}
		if known.Principal == m.Principal {
			m.Addresses = known.Addresses
		}
	}
	if _, err := db.Commit([]rows.Op{memberOp(Metadata(name), m)}, nil); err != nil {
		return nil, err
	}
	return json.Marshal(g.Spec)
}

// Find returns a syncgroup that this device is a member of.
func Find(db *rows.DB, name id.Name) (Group, error) {
	raw, err := db.Local(name)
	if errors.Is(err, kv.ErrNotFound) {
		return Group{}, fmt.Errorf("%w: %s", ErrNone, name)
	}
	if err != nil {
		return Group{}, err
	}
	return load(db, name, raw)
}

func load(db *rows.DB, name id.Name, raw []byte) (Group, error) {
	var l local
	if err := json.Unmarshal(raw, &l); err != nil {
		return Group{}, fmt.Errorf("syncgroup %s: state on this device: %w", name, err)
	}
	g := Group{Name: name, Type: l.Type, Admitter: l.Admitter}
	row, err := db.Get(Metadata(name), specKey)
	switch {
	case err == nil:
		l.Spec, g.Version = row.Value, row.Version
	case !errors.Is(err, rows.ErrNoRow) && !errors.Is(err, rows.ErrNoCollection):
		return Group{}, err
	}
	g.Spec, err = parseSpec(l.Spec)
	return g, err
}

// All returns the syncgroups of the database that this device is a member of, in order of their names.
func All(db *rows.DB) ([]Group, error) {
	var list []Group
	err := db.Locals(func(name id.Name, raw []byte) error {
		g, err := load(db, name, raw)
		list = append(list, g)
		return err
	})
	return list, err
}

// Members returns the registers of the syncgroup in order of the principals. A register that cannot be read is left out:
// it must not keep the others from synchronising.
func Members(db *rows.DB, name id.Name) ([]Member, error) {
	var list []Member
	err := db.Scan(Metadata(name), rows.ScanRange{Prefix: memberPrefix}, func(r rows.Row) (bool, error) {
		m := Member{Principal: id.Principal(strings.TrimPrefix(r.Key, memberPrefix))}
		if json.Unmarshal(r.Value, &m) == nil && m.Principal.Validate() == nil {
			list = append(list, m)
		}
		return true, nil
	})
	if errors.Is(err, rows.ErrNoCollection) {
		return nil, nil
	}
	return list, err
}

// HasMember reports whether the principal may exchange records of the syncgroup with this device: it is on the access
// list, and it is a member or let this device in. A device that has not heard yet that it is a member itself takes
// everybody on the access list for one: who let it in may be gone, and it has to learn from somebody who the others are.
func HasMember(db *rows.DB, g Group, p id.Principal) (bool, error) {
	if !g.Spec.Permissions.Allows(p, perm.Read) {
		return false, nil
	}
	if p == g.Admitter {
		return true, nil
	}
	_, err := db.Get(Metadata(g.Name), memberPrefix+string(p))
	if errors.Is(err, rows.ErrNoRow) || errors.Is(err, rows.ErrNoCollection) {
		registered, err := isRegistered(db, g.Name)
		return !registered, err
	}
	return err == nil, err
}

// isRegistered reports whether the register of this device has arrived.
func isRegistered(db *rows.DB, name id.Name) (bool, error) {
	members, err := Members(db, name)
	self := db.Writer().Device.String()
	return slices.ContainsFunc(members, func(m Member) bool { return m.Device == self }), err
}
