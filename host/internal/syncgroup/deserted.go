package syncgroup

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// A syncgroup is deserted where a device that has left it knows of no member that could let it in again. Nobody can know better when
// the last ones leave at the same moment: each took another for the one that stays. Then there is nothing to come back to, so the name
// is free and what was shared is everybody's own copy.

// Deserted reports whether this device has left the syncgroup and knows of no member with Admin.
func Deserted(db *rows.DB, g Group) (bool, error) {
	if g.State != Left || g.Version.IsZero() {
		return false, nil
	}
	l, err := loadLocal(db, g.Name)
	if err != nil {
		return false, err
	}
	if whole, err := l.whole(db, g.Name); !whole {
		return false, err
	}
	list, err := admitters(db, &g)
	return err == nil && len(list) == 0, err
}

// whole reports whether all metadata has arrived that the admitter had. Who left before that does not know who the members were.
func (l *local) whole(db *rows.DB, name id.Name) (bool, error) {
	if len(l.Until) == 0 {
		return true, nil
	}
	until, err := wire.DecodeVector(l.Until)
	if err != nil {
		return false, fmt.Errorf("syncgroup %s: state on this device: %w", name, err)
	}
	know := db.Published().Know.At(id.Scope{Collection: Metadata(name)})
	dropSuperseded(until, know)
	return know.Dominates(until), nil
}

// admitters returns the members that could let somebody in.
func admitters(db *rows.DB, g *Group) ([]Member, error) {
	members, err := Members(db, g.Name)
	return slices.DeleteFunc(members, func(m Member) bool {
		return !trusts(g, m.Principal) || !g.Spec.Permissions.Allows(m.Principal, perm.Read)
	}), err
}

// absent fails if this device has the syncgroup, was let into it, or could come back to it. What a creation that was cut short has left
// behind does not count, and one that was destroyed or deserted is returned.
func absent(db *rows.DB, name id.Name) (former *Group, err error) {
	g, err := Find(db, name)
	switch {
	case errors.Is(err, ErrNone):
		return nil, nil
	case err != nil:
		return nil, err
	case g.State == Destroyed:
		return &g, nil
	case g.State == Left:
		free, err := Deserted(db, g)
		if err == nil && !free {
			err = taken(db, &g)
		}
		return &g, err
	case g.Admitter != "" || !g.Version.IsZero():
		return nil, fmt.Errorf("syncgroup %s %w", name, ErrExists)
	}
	return nil, nil
}

// taken says why a name that this device has left is not free, and what can be done.
func taken(db *rows.DB, g *Group) error {
	list, err := admitters(db, g)
	if err != nil {
		return err
	}
	who := "members that this device does not know"
	if len(list) > 0 {
		var names []string
		for _, m := range list[:min(len(list), 3)] {
			names = append(names, string(m.Principal))
		}
		if who = strings.Join(names, ", "); len(list) > len(names) {
			who += fmt.Sprintf(" and %d more", len(list)-len(names))
		}
	}
	return fmt.Errorf("syncgroup %s %w: this device left it, and %s could let it in: join it again there; or, if they are gone for good or all of them are to stop, destroy it and then create it",
		g.Name, ErrExists, who)
}

// endable returns a syncgroup that this device may end: as a member, or as one that has left it, which could join it again to do so.
func endable(db *rows.DB, name id.Name) (Group, error) {
	if g, err := Find(db, name); err != nil || g.State == Left {
		return g, err
	}
	return ready(db, name)
}

// MayHear reports whether the principal may be told, by a device that is out itself, who the members are: a member, or who has left,
// is on the access list, and so could join again. Else of two that left at once only the first to ask would hear of the other.
func MayHear(db *rows.DB, g Group, p id.Principal) (bool, error) {
	if member, err := HasMember(db, g, p); member || err != nil || !g.Spec.Permissions.Allows(p, perm.Read) {
		return member, err
	}
	m, found, err := register(db, g.Name, p)
	return err == nil && found && m.Gone == GoneLeft, err
}

// MayHaveEnded reports whether a principal that is no member any more could have ended the syncgroup since it left: if the access list
// gives it Admin. Members do not ask it for the metadata.
func MayHaveEnded(db *rows.DB, g Group, p id.Principal) (bool, error) {
	if g.State != Active || !trusts(&g, p) {
		return false, nil
	}
	m, found, err := register(db, g.Name, p)
	return err == nil && found && m.Gone == GoneLeft, err
}

// heedsWhenOut reports whether a device that has left takes the word that it was ejected: if that has not been undone since. It
// counts whenever it was, as it does for those who hear of both.
func heedsWhenOut(own Member, said Standing) bool {
	return said.Gone == GoneEjected && said.Since.After(own.Pardoned)
}
