package engine

import (
	"cmp"
	"slices"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/syncgroup"
)

// maxHolders is how many are told of at most.
const maxHolders = 16

// HolderKind says what somebody who holds reclamation back is.
type HolderKind string

// Kinds of holders.
const (
	// HolderReader is a watch or a batch that has not read the history yet.
	HolderReader HolderKind = "reader"
	// HolderMember is a member that has not said that it holds what is to be reclaimed.
	HolderMember HolderKind = "member"
	// HolderSelf is this device: it lacks what others have said they hold, or does not take part now.
	HolderSelf HolderKind = "self"
)

// Holder keeps history or tombstones of a database from being reclaimed.
type Holder struct {
	Kind HolderKind
	// Syncgroup and Member are zero for readers.
	Syncgroup id.Name
	Member    id.Principal
	// Acknowledged is when the member last said what it holds, zero if it never has.
	Acknowledged time.Time
}

// Holders tells who keeps a database from being reclaimed, the longest silent first. What is kept for its age alone is held
// by nobody. It may be called at any time.
func (r *Reclaimer) Holders(db *rows.DB) ([]Holder, error) {
	groups, err := loadGroups(db)
	if err != nil {
		return nil, err
	}
	held, err := db.Held(r.limits(db, groups))
	if err != nil {
		return nil, err
	}
	var list []Holder
	if held.Reader {
		list = append(list, Holder{Kind: HolderReader})
	}
	for i := range groups {
		for _, h := range groups[i].holders(db, held.Awaited) {
			h.Member = cmp.Or(h.Member, r.self)
			if h.Acknowledged, err = syncgroup.Acknowledged(db, h.Syncgroup, h.Member); err != nil {
				return nil, err
			}
			list = append(list, h)
		}
	}
	slices.SortStableFunc(list, func(a, b Holder) int { return a.Acknowledged.Compare(b.Acknowledged) })
	return list[:min(len(list), maxHolders)], nil
}

// holders tells who of a syncgroup has not said that he holds the versions. The one without a name is this device.
func (g *groupAcks) holders(db *rows.DB, awaited []rows.Awaited) (list []Holder) {
	self, registered := g.here(db)
	add := func(h Holder) {
		h.Syncgroup = g.Name
		if !slices.Contains(list, h) {
			list = append(list, h)
		}
	}
	for _, s := range g.Spec.Scopes(g.Name) {
		i := slices.IndexFunc(awaited, func(a rows.Awaited) bool { return a.Collection == s.Collection })
		if i < 0 {
			continue
		}
		if !registered {
			add(Holder{Kind: HolderSelf})
			continue
		}
		for _, m := range g.members {
			if m.Principal == self.Principal {
				continue
			}
			said := g.acks.Of(m.Principal, s)
			if !said.Covers(awaited[i].Version) {
				add(Holder{Kind: HolderMember, Member: m.Principal})
			}
			if !db.Applied(s).Dominates(said) {
				add(Holder{Kind: HolderSelf})
			}
		}
	}
	return list
}
