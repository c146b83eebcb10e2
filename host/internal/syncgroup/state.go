package syncgroup

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// State is how this device stands to a syncgroup.
type State string

const (
	// Active: a member that knows what those know who let it in.
	Active State = "member"
	// Pending: let in, but the metadata has not arrived in full. It cannot admit others or change the syncgroup.
	Pending State = "pending"
	// Removed: a member that the access list, as this device knows it, does not give Read any more.
	Removed State = "removed"
	// Left and Ejected: no member any more, until it joins again.
	Left    State = "left"
	Ejected State = "ejected"
	// Destroyed: the syncgroup has ended for everybody.
	Destroyed State = "destroyed"
)

// Synchronises reports whether records are exchanged.
func (s State) Synchronises() bool { return s == Active || s == Pending }

// local is what this device keeps of a syncgroup for itself.
type local struct {
	Type MemberType `json:"type"`
	// Self is the principal as which this device is a member; records of older programs have none.
	Self id.Principal `json:"self,omitempty"`
	// Spec as it was when this device joined; used until the metadata has arrived.
	Spec json.RawMessage `json:"spec"`
	// Admitter let this device in, and so is a member whether or not the metadata has arrived.
	Admitter id.Principal `json:"admitter,omitempty"`
	// Until is what the admitter knew of the metadata when it had let this device in: the membership is pending until all
	// of it has arrived.
	Until []byte `json:"until,omitempty"`
	// Left is when this device left. A copy of it, which has the same register, may have joined again; this one has not.
	Left time.Time `json:"left,omitzero"`
	// Ejected: a member with Admin said so, which its metadata never will.
	Ejected bool `json:"ejected,omitempty"`
	// Refused is what a member with Admin said of the membership last.
	Refused *refusal `json:"refused,omitempty"`
}

// refusal is the word of a member with Admin that this device is no member any more.
type refusal struct {
	By    id.Principal `json:"by"`
	Since time.Time    `json:"since"`
	// Spec is the version of the specification that this device had then. When another one arrives it counts instead of
	// the word of that member, if that was about the access list.
	Spec string `json:"spec,omitempty"`
}

// removed reports whether a member with Admin said that the access list does not name this device any more.
func (l *local) removed(g *Group) bool {
	return l.Refused != nil && !l.Ejected && l.Refused.Spec == g.Version.String()
}

// outside says why this device is no member any more, for people.
func (l *local) outside(g *Group, own Member) string {
	when := func(t time.Time) string { return t.UTC().Format(time.DateTime) + " UTC" }
	since := own.since()
	if !l.Left.IsZero() {
		since = l.Left
	}
	switch {
	case g.State == Ejected && own.Gone == GoneEjected && own.By == "":
		return "ejected on " + when(own.since())
	case g.State == Ejected && own.Gone == GoneEjected:
		return fmt.Sprintf("ejected by %s on %s", own.By, when(own.since()))
	case g.State == Ejected && l.Refused != nil:
		return fmt.Sprintf("ejected on %s, says %s", when(l.Refused.Since), l.Refused.By)
	case g.State == Ejected:
		return "ejected, says a member with Admin"
	case g.State == Removed && l.removed(g):
		return fmt.Sprintf("not on the access list any more since %s, says %s", when(l.Refused.Since), l.Refused.By)
	case g.State == Removed:
		return "not on the access list any more"
	case g.State == Left && l.Refused != nil && l.Refused.Since.Equal(since):
		return fmt.Sprintf("left on %s, says %s; not as this daemon is now: a copy of this device that runs elsewhere left, or this one did before it was set back",
			when(since), l.Refused.By)
	case g.State == Left:
		return "left on " + when(since)
	case g.State == Destroyed:
		return "destroyed"
	}
	return ""
}

// Find returns a syncgroup that this device is, or was, a member of.
func Find(db *rows.DB, name id.Name) (Group, error) {
	l, err := loadLocal(db, name)
	if err != nil {
		return Group{}, err
	}
	return l.group(db, name)
}

func loadLocal(db *rows.DB, name id.Name) (l local, err error) {
	raw, err := db.Local(name)
	if errors.Is(err, kv.ErrNotFound) {
		return l, fmt.Errorf("%w: %s", ErrNone, name)
	}
	if err != nil {
		return l, err
	}
	return l, l.decode(name, raw)
}

func (l *local) decode(name id.Name, raw []byte) error {
	if err := json.Unmarshal(raw, l); err != nil {
		return fmt.Errorf("syncgroup %s: state on this device: %w", name, err)
	}
	return nil
}

func (l *local) store(db *rows.DB, name id.Name) error {
	raw, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return db.SetLocal(name, raw)
}

func (l *local) group(db *rows.DB, name id.Name) (Group, error) {
	g := Group{Name: name, Type: l.Type, Admitter: l.Admitter}
	spec := []byte(l.Spec)
	row, err := db.Get(Metadata(name), specKey)
	switch {
	case err == nil:
		spec, g.Version = row.Value, row.Version
	case !errors.Is(err, rows.ErrNoRow) && !errors.Is(err, rows.ErrNoCollection):
		return Group{}, err
	}
	if g.Spec, err = parseSpec(spec); err != nil {
		return g, err
	}
	if g.Spec, err = l.later(g.Spec); err != nil {
		return g, err
	}
	own, registered, err := l.register(db, name)
	if err == nil {
		g.State, err = l.state(db, &g, own, registered)
	}
	g.Outside = l.outside(&g, own)
	return g, err
}

func (l *local) state(db *rows.DB, g *Group, own Member, registered bool) (State, error) {
	pending, err := l.pending(db, g.Name, registered)
	if err != nil {
		return "", err
	}
	over, err := ended(db, g)
	switch {
	case err != nil:
		return "", err
	case over && !pending:
		return Destroyed, nil
	case l.Ejected:
		return Ejected, nil
	case pending:
		return Pending, nil
	case registered && own.Gone == GoneEnded:
		return Destroyed, nil
	case registered && own.Gone == GoneEjected:
		return Ejected, nil
	case registered && own.Gone != "", !l.Left.IsZero():
		return Left, nil
	case registered && (!g.Spec.Permissions.Allows(own.Principal, perm.Read) || l.removed(g)):
		return Removed, nil
	}
	return Active, nil
}

// register returns the register of this device.
func (l *local) register(db *rows.DB, name id.Name) (Member, bool, error) {
	if l.Self != "" {
		return register(db, name, l.Self)
	}
	list, err := Registers(db, name)
	self := db.Writer().Device.String()
	for _, m := range list {
		if m.Device == self {
			return m, true, err
		}
	}
	return Member{}, false, err
}

// pending reports whether metadata that the admitter had is still to come: it takes all of it, whatever else has come in
// its place.
func (l *local) pending(db *rows.DB, name id.Name, registered bool) (bool, error) {
	if l.Admitter == "" {
		return false, nil
	}
	if len(l.Until) == 0 {
		return !registered, nil
	}
	whole, err := l.whole(db, name)
	return err == nil && !whole, err
}

// dropSuperseded takes out what is waited for of writers that have become others since. A device that was set back gives new
// names to what it had written meanwhile, so that what an admitter knew by the old ones may not exist any more.
func dropSuperseded(until, know id.Vector) {
	for w := range know {
		for old := range until {
			if old.Device == w.Device && old.Epoch < w.Epoch {
				delete(until, old)
			}
		}
	}
}

// All returns the syncgroups of the database that this device exchanges records of, in order of their names.
func All(db *rows.DB) ([]Group, error) { return groups(db, State.Synchronises) }

// Known returns also those that this device is no member of any more.
func Known(db *rows.DB) ([]Group, error) { return groups(db, func(State) bool { return true }) }

func groups(db *rows.DB, want func(State) bool) ([]Group, error) {
	var list []Group
	err := db.Locals(func(name id.Name, raw []byte) error {
		var l local
		if err := l.decode(name, raw); err != nil {
			return err
		}
		g, err := l.group(db, name)
		if err == nil && want(g.State) {
			list = append(list, g)
		}
		return err
	})
	return list, err
}

// Enforce makes what this device has of syncgroups that it is no member of any more read-only, as far as no other
// syncgroup shares it. Call it whenever the metadata may have changed.
func Enforce(db *rows.DB) error { return enforce(db, id.Name{}, "") }

// enforce does so as if the syncgroup of the name, if there is one, had the state already.
func enforce(db *rows.DB, name id.Name, as State) error {
	list, err := Known(db)
	if err != nil {
		return err
	}
	var f rows.Frozen
	var why []string
	for _, g := range list {
		if g.Name == name {
			g.State = as
		}
		scopes := g.Spec.Scopes(g.Name)[1:]
		if g.State.Synchronises() {
			f.Except = append(f.Except, scopes...)
			continue
		}
		f.Scopes = append(f.Scopes, scopes...)
		free, err := Deserted(db, g)
		if err != nil {
			return err
		}
		if g.State != Destroyed && !free {
			f.Kept = append(f.Kept, scopes...)
		}
		why = append(why, fmt.Sprintf("%s (%s)", g.Name, g.State))
	}
	f.Reason = "it was shared by the syncgroup " + strings.Join(why, ", ") + "; join again, or share it in a new syncgroup, to write"
	db.Freeze(f)
	return nil
}
