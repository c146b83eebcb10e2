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
	"github.com/syncbase/syncbase/host/internal/wire"
)

// Admission is what a newcomer is told by who let it in.
type Admission struct {
	// Spec is the encoded specification.
	Spec []byte
	// Known is what the admitter knows of the metadata, the newcomer's register included.
	Known id.Vector
}

// Admit makes the caller a member, on behalf of this device, self. Whoever is not on the access list learns nothing, not
// even that the syncgroup exists.
func Admit(db *rows.DB, name id.Name, self id.Principal, m Member) (Admission, error) {
	g, err := Find(db, name)
	if err != nil {
		return Admission{}, err
	}
	if !g.State.Synchronises() || !g.Spec.Permissions.Allows(m.Principal, perm.Read) {
		return Admission{}, fmt.Errorf("%w: %s", ErrNone, name)
	}
	if db.Published().Paused {
		return Admission{}, fmt.Errorf("%w: %s: %w", ErrNone, name, rows.ErrPaused)
	}
	if err := g.mayAdmit(self); err != nil {
		return Admission{}, err
	}
	m.Made = g.Spec.Made
	known, found, err := register(db, name, m.Principal)
	switch {
	case err != nil:
		return Admission{}, err
	case found && known.Gone == GoneEjected:
		return Admission{}, fmt.Errorf("%w: %s was ejected; somebody with Admin has to allow it to join again", ErrDenied, m.Principal)
	}
	if !found || known.Gone != "" || known.Type != m.Type || known.Device != m.Device {
		if found {
			m = readmitted(m, known)
		}
		if _, err := db.Commit([]rows.Op{memberOp(Metadata(name), m)}, nil); err != nil {
			return Admission{}, err
		}
	}
	spec, err := json.Marshal(g.Spec)
	return Admission{Spec: spec, Known: db.Published().Know.At(id.Scope{Collection: Metadata(name)})}, err
}

// mayAdmit reports why this device cannot let anybody in.
func (g *Group) mayAdmit(self id.Principal) error {
	if g.State == Pending {
		return fmt.Errorf("%w: this device has not got the metadata of %s yet", ErrState, g.Name)
	}
	if !g.Spec.Permissions.Allows(self, perm.Admin) {
		return fmt.Errorf("%w: %s may not admit members to %s, which takes Admin", ErrDenied, self, g.Name)
	}
	return nil
}

// readmitted is the register of a member that joins again, on top of the one that it has.
func readmitted(m, known Member) Member {
	m.Addresses, m.Told, m.Pardoned = known.Addresses, known.Told, known.Pardoned
	if m.Priority == 0 {
		m.Priority = known.Priority
	}
	if known.Gone == "" {
		m.Changed = known.Changed
		return m
	}
	m.Changed = known.after(m.Joined)
	return m
}

// Adopt makes this device, self, a member on the word of the admitter: what the specification names is tracked from now
// on. Adopting again is harmless.
func Adopt(db *rows.DB, name id.Name, a Admission, as MemberType, self, admitter id.Principal) error {
	spec, err := parseSpec(a.Spec)
	if err != nil {
		return err
	}
	if err := mayAdopt(db, name, spec); err != nil {
		return err
	}
	l := local{Type: as, Self: self, Spec: a.Spec, Admitter: admitter}
	if len(a.Known) > 0 {
		l.Until = wire.AppendVector(nil, a.Known)
	}
	if err := adopt(db, name, spec, l); err != nil {
		return err
	}
	if err := rejoin(db, name, self, as); err != nil {
		return err
	}
	return Enforce(db)
}

// rejoin undoes that this device has left. Who let it in may not have heard of that, and then has written nothing.
func rejoin(db *rows.DB, name id.Name, self id.Principal, as MemberType) error {
	m, found, err := register(db, name, self)
	if err != nil || !found || m.Gone != GoneLeft {
		return err
	}
	// No later than the change itself, so that whatever the admitter wrote counts more.
	m.Type, m.Device, m.Gone, m.Changed = as, db.Writer().Device.String(), "", m.after(time.Time{})
	_, err = db.Commit([]rows.Op{memberOp(Metadata(name), m)}, nil)
	return err
}

// MayJoin refuses to join where that would harm the others: a collection that was destroyed here after this device had
// ceased to be a member would be destroyed for everybody.
func MayJoin(db *rows.DB, name id.Name) error {
	g, err := Find(db, name)
	if errors.Is(err, ErrNone) || err == nil && g.State.Synchronises() {
		return nil
	}
	if err != nil {
		return err
	}
	active, err := All(db)
	if err != nil {
		return err
	}
	for _, c := range g.Spec.Collections {
		scope := c.Scope()
		shared := func(g Group) bool {
			return slices.ContainsFunc(g.Spec.Scopes(g.Name), func(s id.Scope) bool { return s.Covers(scope) })
		}
		destroyed, err := db.DestroyedHere(scope.Collection)
		if err != nil {
			return err
		}
		if destroyed && !slices.ContainsFunc(active, shared) {
			return fmt.Errorf("%w: %s was destroyed on this device when it was no member of %s; joining again would destroy it for all members: destroy the database %s here first, then join",
				ErrState, scope, name, db.Name())
		}
	}
	return nil
}

// Invites reports whether this device, self, would admit the principal, which is no member.
func Invites(db *rows.DB, g Group, self, p id.Principal) (bool, error) {
	if g.mayAdmit(self) != nil || !g.Spec.Permissions.Allows(p, perm.Read) || db.Published().Paused {
		return false, nil
	}
	m, found, err := register(db, g.Name, p)
	return err == nil && (!found || m.Gone == GoneLeft || m.Gone == GoneEnded), err
}
