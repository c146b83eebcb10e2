package syncgroup

import (
	"errors"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// lookup returns a register as it is written.
type lookup func(id.Principal) (m Member, found bool, err error)

// void reports whether an ejection does not count: who made it had been ejected by then, and did not know of it. Whether that
// earlier ejection counts is decided in the same way, so all who have the same registers come to the same.
func (m *Member) void(at lookup) (bool, error) {
	if m.Gone != GoneEjected || m.From == "" {
		return false, nil
	}
	from, found, err := at(m.From)
	switch {
	case err != nil || !found:
		return false, err
	case from.Pardoned.After(m.Knew) && !from.Pardoned.After(m.since()):
		return true, nil
	case from.Gone != GoneEjected || !from.since().After(m.Knew) || !from.ejectedBefore(m):
		return false, nil
	}
	none, err := from.void(at) // An earlier one each time, so this ends.
	return !none && err == nil, err
}

// ejectedBefore puts all ejections in one order: by time, then by who made them.
func (m *Member) ejectedBefore(other *Member) bool {
	if c := m.since().Compare(other.since()); c != 0 {
		return c < 0
	}
	return m.From < other.From
}

// inForce returns the register without an ejection that does not count.
func (m Member) inForce(at lookup) (Member, error) {
	void, err := m.void(at)
	if void {
		m.Gone, m.By, m.From, m.Knew = "", "", "", time.Time{}
	}
	return m, err
}

// lastEjection is when the latest ejection was that the registers tell of. One that is made knowing of it has to be later,
// whatever the clock of this device says.
func lastEjection(list []Member) (last time.Time) {
	for _, m := range list {
		if m.Gone == GoneEjected && m.since().After(last) {
			last = m.since()
		}
		if m.Pardoned.After(last) {
			last = m.Pardoned
		}
	}
	return last
}

// written returns the registers as they are written; those that cannot be read are left out.
func written(db *rows.DB, name id.Name) ([]Member, error) {
	var list []Member
	err := db.Scan(Metadata(name), rows.ScanRange{Prefix: memberPrefix}, func(r *rows.RowView) (bool, error) {
		if m, err := readMember(string(r.Key), r.Value); err == nil {
			list = append(list, m)
		}
		return true, nil
	})
	if errors.Is(err, rows.ErrNoCollection) {
		return nil, nil
	}
	return list, err
}

// writtenOf returns the register of a principal as it is written; found is false when there is none that can be read. Of one that
// is about another incarnation nothing counts.
func writtenOf(db *rows.DB, name id.Name) lookup {
	return func(p id.Principal) (m Member, found bool, err error) {
		made, err := incarnation(db, name)
		if err != nil {
			return m, false, err
		}
		row, err := db.Get(Metadata(name), memberPrefix+string(p))
		switch {
		case errors.Is(err, rows.ErrNoRow), errors.Is(err, rows.ErrNoCollection):
			return m, false, nil
		case err != nil:
			return m, false, err
		}
		m, err = readMember(row.Key, row.Value)
		return m.seenFrom(made), err == nil, nil
	}
}

// Reveals reports whether the principal is out because it was ejected, and may have ejected others that this device has not
// heard of: whoever is on the access list with Admin.
func Reveals(db *rows.DB, g Group, p id.Principal) (bool, error) {
	if !trusts(&g, p) {
		return false, nil
	}
	m, found, err := register(db, g.Name, p)
	return err == nil && found && m.Gone == GoneEjected, err
}
