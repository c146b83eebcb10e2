package syncgroup

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// Member is one register of the metadata: the row "member/PRINCIPAL", as JSON. The device itself writes it when it
// creates or leaves the syncgroup, whoever admits or ejects it when it joins or is ejected. Only the device itself changes
// Addresses. A register stays when its principal is no member any more, so that this cannot be undone by mistake.
type Member struct {
	Principal id.Principal `json:"-"`
	Type      MemberType   `json:"type"`
	Device    string       `json:"device"`
	Joined    time.Time    `json:"joined"`
	// Changed is when the principal last became a member or ceased to be one; zero means when it joined. Of two changes
	// that were made concurrently the later one counts, and a change made on top of another is always later.
	Changed time.Time `json:"changed,omitzero"`
	// Gone says why the principal is no member; empty for members.
	Gone Gone `json:"gone,omitempty"`
	// By is who ejected it.
	By id.Principal `json:"by,omitempty"`
	// From is the member on which that was done, and Knew is what Pardoned of that member was then: an ejection of From
	// after Knew it had not heard of. Ejections by programs that do not say it always count.
	From id.Principal `json:"from,omitempty"`
	Knew time.Time    `json:"knew,omitzero"`
	// Pardoned is when the latest of the ejections was that somebody with Admin has undone: what is left of it in other
	// versions of the register does not count any more. It only ever moves on.
	Pardoned time.Time `json:"pardoned,omitzero"`
	// Priority is kept and shown; nothing depends on it so far.
	Priority uint32 `json:"priority,omitempty"`
	// Addresses where the member said it can be reached; see Reachable.
	Addresses []string `json:"addresses,omitempty"`
	// Told counts what the device has said of its type and its addresses: of concurrent versions the one that heard more counts.
	Told uint64 `json:"told,omitempty"`
	// Made is the incarnation of the syncgroup that this is about; a register of another one says nothing about this.
	Made time.Time `json:"made,omitzero"`
}

// Gone says why a principal is no member any more.
type Gone string

const (
	// GoneLeft may join again.
	GoneLeft Gone = "left"
	// GoneEjected may not, until somebody with Admin allows it.
	GoneEjected Gone = "ejected"
	// GoneEnded was a member of a syncgroup that was destroyed; there is another one of the name now. It is not written either.
	GoneEnded Gone = "destroyed"
	// GoneRemoved is not in registers: the access list does not name the principal any more.
	GoneRemoved Gone = "removed"
)

func (m *Member) since() time.Time {
	if m.Changed.IsZero() {
		return m.Joined
	}
	return m.Changed
}

// after returns a time for a change of membership that is made now on top of what the register says.
func (m *Member) after(now time.Time) time.Time {
	now = now.UTC().Truncate(time.Microsecond)
	if before := m.since(); !now.After(before) {
		return before.Add(time.Microsecond)
	}
	return now
}

// ejectedBeyond reports whether the register says that its principal was ejected, and other was not written by somebody who
// had undone that.
func (m *Member) ejectedBeyond(other *Member) bool {
	return m.Gone == GoneEjected && m.since().After(other.Pardoned)
}

func memberOp(meta id.Collection, m Member) rows.Op {
	raw, err := json.Marshal(m)
	if err != nil {
		panic("syncgroup: a member must encode: " + err.Error())
	}
	return rows.Op{Collection: meta, Key: memberPrefix + string(m.Principal), Value: raw}
}

// Registers returns all registers of the syncgroup in order of the principals, also of those that are no members any
// more, without ejections that do not count. A register that cannot be read is left out: it must not keep the others from
// synchronising.
func Registers(db *rows.DB, name id.Name) ([]Member, error) {
	list, err := written(db, name)
	if err != nil {
		return nil, err
	}
	made, err := incarnation(db, name)
	if err != nil {
		return nil, err
	}
	as := make(map[id.Principal]Member, len(list))
	for i, m := range list {
		list[i] = m.seenFrom(made)
		as[m.Principal] = list[i]
	}
	at := func(p id.Principal) (Member, bool, error) { m, found := as[p]; return m, found, nil }
	for i, m := range list {
		if list[i], err = m.inForce(at); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func readMember(key string, value []byte) (Member, error) {
	m := Member{Principal: id.Principal(strings.TrimPrefix(key, memberPrefix))}
	if err := json.Unmarshal(value, &m); err != nil {
		return m, err
	}
	return m, m.Principal.Validate()
}

// Members returns the members of the syncgroup in order of the principals.
func Members(db *rows.DB, name id.Name) ([]Member, error) {
	list, err := Registers(db, name)
	return slices.DeleteFunc(list, func(m Member) bool { return m.Gone != "" }), err
}

// register returns the register of a principal, without an ejection that does not count; found is false when there is none that can be read.
func register(db *rows.DB, name id.Name, p id.Principal) (m Member, found bool, err error) {
	at := writtenOf(db, name)
	if m, found, err = at(p); err != nil || !found {
		return m, found, err
	}
	m, err = m.inForce(at)
	return m, true, err
}

// HasMember reports whether the principal may exchange records of the syncgroup with this device: it is on the access
// list, and it is a member or let this device in. A device that has not heard yet that it is a member itself takes
// everybody on the access list for one, unless it knows better: who let it in may be gone, and it has to learn from
// somebody who the others are.
func HasMember(db *rows.DB, g Group, p id.Principal) (bool, error) {
	if !g.Spec.Permissions.Allows(p, perm.Read) {
		return false, nil
	}
	m, found, err := register(db, g.Name, p)
	if err != nil || found {
		return err == nil && (m.Gone == "" || p == g.Admitter && g.State == Pending), err
	}
	return p == g.Admitter || g.State == Pending, nil
}

// FindMember returns the register that the text names: a principal, or the last part of that of exactly one register.
func FindMember(db *rows.DB, name id.Name, text string) (Member, error) {
	list, err := Registers(db, name)
	if err != nil {
		return Member{}, err
	}
	var found []Member
	for _, m := range list {
		if string(m.Principal) == text {
			return m, nil
		}
		if strings.HasSuffix(string(m.Principal), "/"+text) {
			found = append(found, m)
		}
	}
	switch len(found) {
	case 0:
		return Member{}, fmt.Errorf("%w with a member %q: %s", ErrNone, text, name)
	case 1:
		return found[0], nil
	}
	return Member{}, fmt.Errorf("%w: %d members of %s are called %q; give the whole principal", ErrInvalid, len(found), name, text)
}
