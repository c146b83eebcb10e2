package engine

import (
	"slices"
	"time"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/syncgroup"
)

// ackEvery is how often a device says at most what it holds.
const ackEvery = time.Minute

// ackAnyway is how often it does where rows have changed and nothing here will be reclaimed by it. It may elsewhere: who took
// something late, because it had no room for it, has left something behind that the others have not.
const ackAnyway = 10 * time.Minute

// groupAcks is a syncgroup of this device with what its members said.
type groupAcks struct {
	syncgroup.Group
	members []syncgroup.Member
	acks    syncgroup.Acks
}

// loadGroups returns also the syncgroups that this device is out of: it may come back, and then what it deleted before has
// to be there still.
func loadGroups(db *rows.DB) ([]groupAcks, error) {
	groups, err := syncgroup.Known(db)
	if err != nil {
		return nil, err
	}
	list := make([]groupAcks, 0, len(groups))
	for _, g := range groups {
		one := groupAcks{Group: g}
		if one.members, err = syncgroup.Members(db, g.Name); err != nil {
			return nil, err
		}
		if one.acks, err = syncgroup.ReadAcks(db, g.Name, one.members); err != nil {
			return nil, err
		}
		list = append(list, one)
	}
	return list, nil
}

// here finds the register of this device, if it is a member that knows who the others are.
func (g *groupAcks) here(db *rows.DB) (syncgroup.Member, bool) {
	if g.State != syncgroup.Active {
		return syncgroup.Member{}, false
	}
	device := db.Writer().Device.String()
	i := slices.IndexFunc(g.members, func(m syncgroup.Member) bool { return m.Device == device })
	if i < 0 {
		return syncgroup.Member{}, false
	}
	return g.members[i], true
}

// frontiers returns for each shared collection what is stable in it, see delta.Frontier: in every scope of it and for the
// members of every syncgroup that has one.
func frontiers(db *rows.DB, groups []groupAcks) map[id.Collection]id.Vector {
	stable := map[id.Collection]id.Vector{}
	for i := range groups {
		g := &groups[i]
		self, registered := g.here(db)
		for _, s := range g.Spec.Scopes(g.Name) {
			var f id.Vector
			if registered {
				var acks []id.Vector
				for _, m := range g.members {
					if m.Principal != self.Principal {
						acks = append(acks, g.acks.Of(m.Principal, s))
					}
				}
				f = delta.Frontier(db.Applied(s), acks)
			}
			if before, found := stable[s.Collection]; found {
				f = delta.Least(before, f)
			}
			stable[s.Collection] = f
		}
	}
	return stable
}

// acknowledge tells the other members what this device holds, if that is more than it has said and it has not done so for a while;
// for longer if nothing here will be reclaimed by it. So a device that is idle says nothing.
func (r *Reclaimer) acknowledge(db *rows.DB, groups []groupAcks) error {
	state, now, litter := db.Published(), time.Now(), db.Litter()
	seen := r.seen[db]
	needless := !seen.acked.IsZero() && seen.litter == litter && now.Sub(seen.acked) < ackAnyway
	if state.Paused || !seen.acked.IsZero() && now.Sub(seen.acked) < ackEvery {
		return nil
	}
	for i := range groups {
		g := &groups[i]
		self, registered := g.here(db)
		if !registered || self.Principal != r.self || len(g.members) < 2 {
			continue
		}
		scopes := g.Spec.Scopes(g.Name)
		said := g.acks[r.self] != nil
		if said && (needless || !moved(g.acks, r.self, db, scopes)) {
			continue
		}
		if err := syncgroup.PublishAck(db, g.Name, r.self, db.AppliedOf(scopes)); err != nil {
			return err
		}
		seen.acked = now
	}
	seen.litter = litter
	return nil
}

// moved reports whether more is known of the scopes than was said. That of the metadata does not count, which moves with
// each thing that is said.
func moved(acks syncgroup.Acks, self id.Principal, db *rows.DB, scopes []id.Scope) bool {
	return slices.ContainsFunc(scopes, func(s id.Scope) bool {
		return s.Collection.Kind == id.Rows && !acks.Of(self, s).Dominates(db.Applied(s))
	})
}
