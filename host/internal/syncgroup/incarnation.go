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

// A syncgroup that is created again after it was destroyed is another one: another incarnation, named by when it was made.
// That is zero for the first of a name, and later than all that was known of the one before for each of the others. Its
// specification, its registers and its end bear it, so what is still said about a former incarnation by those who have not
// heard that it ended says nothing about this one.

// made is the incarnation that a row of the metadata is about.
type made struct {
	Made time.Time `json:"made,omitzero"`
}

// incarnation returns which one this device knows: by the metadata, or by what it was told when it was let in.
func incarnation(db *rows.DB, name id.Name) (time.Time, error) {
	var m made
	row, err := db.Get(Metadata(name), specKey)
	switch {
	case errors.Is(err, rows.ErrNoRow), errors.Is(err, rows.ErrNoCollection):
	case err != nil:
		return time.Time{}, err
	default:
		if err := json.Unmarshal(row.Value, &m); err != nil {
			return time.Time{}, fmt.Errorf("%w: specification of %s: %w", ErrInvalid, name, err)
		}
	}
	l, err := loadLocal(db, name)
	if errors.Is(err, ErrNone) {
		return m.Made, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	told := made{}
	if err := json.Unmarshal(l.Spec, &told); err == nil && told.Made.After(m.Made) {
		return told.Made, nil
	}
	return m.Made, nil
}

// later returns the specification that this device was told when it was let in, if it is of a later incarnation than the one in
// the metadata that it has so far.
func (l *local) later(has Spec) (Spec, error) {
	var told made
	if json.Unmarshal(l.Spec, &told) != nil || !told.Made.After(has.Made) {
		return has, nil
	}
	return parseSpec(l.Spec)
}

// madeAfter names the incarnation that follows the former one.
func madeAfter(db *rows.DB, former *Group, now time.Time) (time.Time, error) {
	list, err := written(db, former.Name)
	if err != nil {
		return time.Time{}, err
	}
	latest := Member{Changed: former.Spec.Made}
	for _, m := range list {
		if m.since().After(latest.Changed) {
			latest = m
		}
	}
	return latest.after(now), nil
}

// seenFrom returns the register as it counts in an incarnation.
func (m Member) seenFrom(made time.Time) Member {
	if m.Made.Equal(made) {
		return m
	}
	return Member{Principal: m.Principal, Type: m.Type, Device: m.Device, Joined: m.Joined, Told: m.Told, Changed: made, Made: made, Gone: GoneEnded}
}

// ended reports whether this incarnation of the syncgroup was destroyed. An end that cannot be read is one.
func ended(db *rows.DB, g *Group) (bool, error) {
	row, err := db.Get(Metadata(g.Name), destroyedKey)
	switch {
	case errors.Is(err, rows.ErrNoRow), errors.Is(err, rows.ErrNoCollection):
		return false, nil
	case err != nil:
		return false, err
	}
	var e ending
	return json.Unmarshal(row.Value, &e) != nil || e.Made.Equal(g.Spec.Made), nil
}

// mayAdopt refuses to join what this device knows to have ended, or to have been followed by another incarnation.
func mayAdopt(db *rows.DB, name id.Name, spec Spec) error {
	g, err := Find(db, name)
	switch {
	case errors.Is(err, ErrNone):
		return nil
	case err != nil:
		return err
	case g.Spec.Made.After(spec.Made):
		return fmt.Errorf("%w: the member that was asked has an earlier syncgroup %s than this device, which knows that it was destroyed and made anew; let it join here",
			ErrState, name)
	case g.State == Destroyed && g.Spec.Made.Equal(spec.Made):
		return fmt.Errorf("%w: this device knows that %s was destroyed, which the member that was asked has not heard yet; create it again to use the name", ErrState, name)
	}
	return nil
}

// heedEnd takes the word of a member with Admin that the syncgroup has ended, also where this device was ejected from it or left it before.
func heedEnd(db *rows.DB, g *Group, from id.Principal, said Standing) (bool, error) {
	switch g.State {
	case Active, Removed, Ejected, Left:
	default:
		return false, nil
	}
	if !g.Spec.Permissions.Allows(from, perm.Admin) || !said.Since.After(g.Spec.Made) {
		return false, nil
	}
	err := end(db, g, ending{By: from, At: said.Since.UTC().Truncate(time.Second), Made: g.Spec.Made})
	return err == nil, err
}

// laterMade returns the one of two values that is about a later incarnation, nil if both are about the same.
func laterMade(preferred, other fields) (fields, error) {
	var p, o made
	for _, from := range []struct {
		fields fields
		to     *made
	}{{preferred, &p}, {other, &o}} {
		if raw := from.fields["made"]; raw != nil {
			if err := json.Unmarshal(raw, &from.to.Made); err != nil {
				return nil, fmt.Errorf("%w: incarnation: %w", ErrInvalid, err)
			}
		}
	}
	switch p.Made.Compare(o.Made) {
	case 1:
		return preferred, nil
	case -1:
		return other, nil
	}
	return nil, nil
}

// mergeEndings keeps the end of the later incarnation, and of one the preferred.
func mergeEndings(_, preferred, other fields) (fields, error) {
	if later, err := laterMade(preferred, other); later != nil || err != nil {
		return later, err
	}
	return preferred, nil
}
