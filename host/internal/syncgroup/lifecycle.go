package syncgroup

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// Leave ends the membership of this device, self. Its data stays, read-only where nothing else shares it; the others learn
// of it from the metadata, which this device goes on to hand out.
func Leave(db *rows.DB, name id.Name, self id.Principal, now time.Time) error {
	l, err := loadLocal(db, name)
	if err != nil {
		return err
	}
	g, err := l.group(db, name)
	if err != nil {
		return err
	}
	if !g.State.Synchronises() && g.State != Removed {
		return fmt.Errorf("%w: this device is no member of %s (%s)", ErrState, name, g.State)
	}
	if err := leavable(db, &g, self); err != nil {
		return err
	}
	m, found, err := register(db, name, self)
	if err != nil {
		return err
	}
	if !found {
		m = Member{Principal: self, Type: g.Type, Device: db.Writer().Device.String(), Joined: now.UTC().Truncate(time.Second)}
	}
	m.Made = g.Spec.Made
	m.Gone, m.Changed, m.By, m.Addresses = GoneLeft, m.after(now), "", nil
	if err := enforce(db, name, Left); err != nil {
		return err
	}
	_, err = db.Commit([]rows.Op{memberOp(Metadata(name), m)}, nil)
	if err == nil {
		// It waits for nothing any more; that something was still to come says what it does not know.
		l.Admitter, l.Left = "", m.Changed
		err = l.store(db, name)
	}
	return errors.Join(err, Enforce(db))
}

// leavable refuses to let the last member with Admin go: nobody would be left to let anybody in or to change anything, and the
// name would be taken for ever. Who has no Admin strands nothing, nor does who is off the access list or waits for the metadata.
func leavable(db *rows.DB, g *Group, self id.Principal) error {
	if g.State != Active || !trusts(g, self) {
		return nil
	}
	members, err := Members(db, g.Name)
	if err != nil {
		return err
	}
	others := slices.DeleteFunc(members, func(m Member) bool { return m.Principal == self })
	switch {
	case len(others) == 0:
		return fmt.Errorf("%w: this device is the only member of %s, and nobody could join it any more; destroy it instead", ErrState, g.Name)
	case !slices.ContainsFunc(others, func(m Member) bool { return trusts(g, m.Principal) }):
		return fmt.Errorf("%w: this device is the last member of %s with Admin, and nobody could let anybody in or change it any more; give Admin to another member first (syncgroup spec --set), or destroy it",
			ErrState, g.Name)
	}
	return nil
}

// Eject ends the membership of another member, on behalf of by. It cannot join again until Allow.
func Eject(db *rows.DB, name id.Name, self, member, by id.Principal, now time.Time) error {
	m, err := changeable(db, name, member)
	switch {
	case err != nil:
		return err
	case member == self || member == by:
		return fmt.Errorf("%w: nobody ejects itself; leave instead", ErrInvalid)
	case m.Gone == GoneEjected:
		return nil
	}
	own, _, err := register(db, name, self)
	if err != nil {
		return err
	}
	list, err := written(db, name)
	if err != nil {
		return err
	}
	if last := lastEjection(list); !now.After(last) {
		now = last.Add(time.Microsecond)
	}
	m.Gone, m.By, m.Changed, m.Addresses = GoneEjected, by, m.after(now), nil
	m.From, m.Knew = self, own.Pardoned
	_, err = db.Commit([]rows.Op{memberOp(Metadata(name), m)}, nil)
	return err
}

// Allow lets a principal that was ejected join again; it does not make it a member.
func Allow(db *rows.DB, name id.Name, member id.Principal, now time.Time) error {
	m, err := changeable(db, name, member)
	switch {
	case err != nil:
		return err
	case m.Gone != GoneEjected:
		return fmt.Errorf("%w: %s was not ejected from %s", ErrState, member, name)
	}
	m.Pardoned = m.since()
	m.Gone, m.By, m.Changed = GoneLeft, "", m.after(now)
	m.From, m.Knew = "", time.Time{}
	_, err = db.Commit([]rows.Op{memberOp(Metadata(name), m)}, nil)
	return err
}

// changeable returns the register of a principal, in a syncgroup that this device may change.
func changeable(db *rows.DB, name id.Name, p id.Principal) (Member, error) {
	if _, err := ready(db, name); err != nil {
		return Member{}, err
	}
	m, found, err := register(db, name, p)
	if err == nil && !found {
		err = fmt.Errorf("%w with a member %s: %s", ErrNone, p, name)
	}
	return m, err
}

// ready returns a syncgroup of which this device is a member that is up to date enough to change it.
func ready(db *rows.DB, name id.Name) (Group, error) {
	g, err := Find(db, name)
	switch {
	case err != nil:
		return g, err
	case g.State == Pending:
		return g, fmt.Errorf("%w: this device has not got the metadata of %s yet; wait until it has reached a member", ErrState, name)
	case g.State != Active:
		return g, fmt.Errorf("%w: this device is no member of %s any more (%s)", ErrState, name, g.State)
	}
	return g, nil
}

// ending is the row that says that a syncgroup was destroyed.
type ending struct {
	By id.Principal `json:"by"`
	At time.Time    `json:"at"`
	// Made is the incarnation that has ended.
	Made time.Time `json:"made,omitzero"`
}

// Destroy ends the syncgroup for everybody. The members stop when they hear of it; their data stays, read-only where
// nothing else shares it.
func Destroy(db *rows.DB, name id.Name, by id.Principal, now time.Time) error {
	g, err := endable(db, name)
	if err != nil {
		return err
	}
	return end(db, &g, ending{By: by, At: now.UTC().Truncate(time.Second), Made: g.Spec.Made})
}

// end notes that the syncgroup has ended.
func end(db *rows.DB, g *Group, e ending) error {
	raw, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if err := enforce(db, g.Name, Destroyed); err != nil {
		return err
	}
	_, err = db.Commit([]rows.Op{{Collection: Metadata(g.Name), Key: destroyedKey, Value: raw}}, nil)
	return errors.Join(err, Enforce(db))
}

// renewal are the operations by which a destroyed syncgroup begins again with self alone.
func renewal(former *Group, self Member) []rows.Op {
	meta := Metadata(former.Name)
	return []rows.Op{
		{Kind: rows.OpCheck, Collection: meta, Key: specKey, Expect: &rows.Expect{Version: former.Version}},
		{Kind: rows.OpDelete, Collection: meta, Key: destroyedKey},
		{Kind: rows.OpDelete, Collection: meta, Key: publishedKey},
		memberOp(meta, self),
	}
}

// Standing is what a member may be told of its own membership.
type Standing struct {
	Gone Gone
	// Since is when it last became a member or ceased to be one. Where the caller's syncgroup has ended it is later than the
	// incarnation that did, and no later than the one that has taken its place.
	Since time.Time
	// By, From and Knew of an ejection are those of the register.
	By, From id.Principal
	Knew     time.Time
	// Spec is the version of the specification that GoneRemoved follows from, zero if that is not known.
	Spec id.Version
}

// Stand returns how a principal stands to a syncgroup as far as this device knows. Who never was a member hears that there
// is no such syncgroup.
func Stand(db *rows.DB, name id.Name, p id.Principal) (Standing, error) {
	g, err := Find(db, name)
	if err != nil {
		return Standing{}, err
	}
	m, found, err := register(db, name, p)
	switch former := !g.Spec.Made.IsZero() && g.Spec.Permissions.Allows(p, perm.Read); {
	case err != nil:
		return Standing{}, err
	case g.State == Active && !found && former:
		// It may have been a member of an earlier one, and may join this.
		return Standing{Gone: GoneEnded, Since: g.Spec.Made}, nil
	case !found || g.State != Active && g.State != Destroyed:
		return Standing{}, fmt.Errorf("%w: %s", ErrNone, name)
	case g.State == Destroyed:
		return Standing{Gone: GoneEnded, Since: g.Spec.Made.Add(time.Microsecond)}, nil
	}
	s := Standing{Gone: m.Gone, Since: m.since(), By: m.By, From: m.From, Knew: m.Knew}
	if m.Gone == GoneEnded {
		s.Since = g.Spec.Made
	}
	if s.Gone != "" || g.Spec.Permissions.Allows(p, perm.Read) {
		return s, err
	}
	s.Gone, s.Since, s.Spec, err = GoneRemoved, time.Time{}, g.Version, nil
	if row, rowErr := db.Get(Metadata(name), specKey); rowErr == nil {
		s.Since = row.Time.Wall()
	}
	return s, err
}

// newSpec reports whether a removal follows from a specification that this device has not seen. Its own may be later by the clock, as it was
// changed here meanwhile; only if it is not known which one was meant, the later one counts.
func newSpec(db *rows.DB, name id.Name, said Standing) bool {
	if !said.Spec.IsZero() {
		return !db.Published().Know.At(id.Scope{Collection: Metadata(name)}).Covers(said.Spec)
	}
	row, err := db.Get(Metadata(name), specKey)
	return err == nil && said.Since.After(row.Time.Wall())
}

// Heed takes the word of a member with Admin for it that this device is no member any more, and reports whether that
// changed anything. What this device knows better, because it has joined since, it does not heed.
func Heed(db *rows.DB, name id.Name, from id.Principal, said Standing) (bool, error) {
	l, err := loadLocal(db, name)
	if err != nil {
		return false, err
	}
	g, err := l.group(db, name)
	if err != nil {
		return false, err
	}
	own, registered, err := l.register(db, name)
	switch {
	case err != nil:
		return false, err
	case said.Gone == GoneEnded:
		return heedEnd(db, &g, from, said)
	case g.State == Left && registered && trusts(&g, from) && heedsWhenOut(own, said):
		return takeEjection(db, name, own, said)
	case said.Gone == "" || l.Ejected || g.State != Active && g.State != Removed:
		return false, nil
	case !trusts(&g, from) || registered && !said.Since.After(own.since()):
		return false, nil
	case said.Gone == GoneRemoved && (g.State == Removed || !newSpec(db, name, said)):
		return false, nil
	}
	if said.Gone == GoneEjected && registered {
		return takeEjection(db, name, own, said)
	}
	if said.Gone == GoneLeft && registered {
		return takeLeaving(db, name, &l, own, refusal{By: from, Since: said.Since})
	}
	state := Ejected
	if said.Gone == GoneRemoved {
		state = Removed
	}
	if err := enforce(db, name, state); err != nil {
		return false, err
	}
	l.Ejected = state == Ejected
	l.Refused = &refusal{By: from, Since: said.Since, Spec: g.Version.String()}
	err = l.store(db, name)
	return err == nil, errors.Join(err, Enforce(db))
}

// takeLeaving writes into the register of this device that it has left, which it has not done as it is now: a copy of it did, or it
// did itself before it was set back. Like anybody who has left it may join again.
func takeLeaving(db *rows.DB, name id.Name, l *local, own Member, word refusal) (bool, error) {
	own.Gone, own.Changed, own.By, own.Addresses = GoneLeft, word.Since, "", nil
	if err := enforce(db, name, Left); err != nil {
		return false, err
	}
	l.Refused, l.Left = &word, word.Since
	if err := l.store(db, name); err != nil {
		return false, err
	}
	_, err := db.Commit([]rows.Op{memberOp(Metadata(name), own)}, nil)
	return err == nil, errors.Join(err, Enforce(db))
}

// takeEjection writes into the register of this device that it was ejected, unless that does not count by what else is known
// here. The version that says so may never come: nobody serves who is out.
func takeEjection(db *rows.DB, name id.Name, own Member, said Standing) (bool, error) {
	own.Gone, own.Changed, own.Addresses = GoneEjected, said.Since, nil
	own.By, own.From, own.Knew = said.By, said.From, said.Knew
	if void, err := own.void(writtenOf(db, name)); void || err != nil {
		return false, err
	}
	if err := enforce(db, name, Ejected); err != nil {
		return false, err
	}
	_, err := db.Commit([]rows.Op{memberOp(Metadata(name), own)}, nil)
	return err == nil, errors.Join(err, Enforce(db))
}
