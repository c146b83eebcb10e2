package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/syncbase/syncbase/host/internal/api"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/peer"
	"github.com/syncbase/syncbase/host/internal/syncgroup"
)

// invitationPatience is how long a peer may take to say what this device may join.
const invitationPatience = 5 * time.Second

// Invitations tells a peer what this device would admit it to, and nothing of what it would not.
func (r registrar) Invitations(_ context.Context, caller peer.Caller) ([]peer.Invitation, error) {
	defer r.h.apart.stir(caller.Principal)
	dbs, _ := r.h.rows.Databases()
	var list []peer.Invitation
	for _, db := range dbs {
		groups, err := syncgroup.All(db)
		if err != nil {
			return nil, err
		}
		for _, g := range groups {
			invited, err := syncgroup.Invites(db, g, r.h.identity.Principal(), caller.Principal)
			if err != nil {
				return nil, err
			}
			if invited {
				list = append(list, peer.Invitation{
					Database: db.Name(), Syncgroup: g.Name, Description: g.Spec.Description, Creator: g.Spec.Creator,
				})
			}
		}
	}
	return list, nil
}

// Invitations asks all connected peers at once; what one of them does not say in time is left out.
func (s syncgroups) Invitations(ctx context.Context) ([]api.Invitation, error) {
	ctx, cancel := context.WithTimeout(ctx, invitationPatience)
	defer cancel()
	links := s.h.peers.Links()
	answers := make([][]peer.Invitation, len(links))
	var asked sync.WaitGroup
	for i, link := range links {
		asked.Go(func() {
			var err error
			if answers[i], err = link.Invitations(ctx); err != nil {
				s.h.log.Debug("peer does not say what this device may join", "peer", link.Peer().Name, "error", err)
			}
		})
	}
	asked.Wait()
	found := map[[2]id.Name]*api.Invitation{}
	for i, list := range answers {
		for _, said := range list {
			if _, g, err := s.find(said.Database, said.Syncgroup); err == nil && g.State.Synchronises() {
				continue
			}
			key := [2]id.Name{said.Database, said.Syncgroup}
			if found[key] == nil {
				declined, err := s.h.memberships().declined(said.Database, said.Syncgroup)
				if err != nil {
					return nil, err
				}
				found[key] = &api.Invitation{
					Database: said.Database, Syncgroup: said.Syncgroup, Description: said.Description, Creator: said.Creator, Declined: declined,
				}
			}
			found[key].Peers = append(found[key].Peers, links[i].Peer().Principal)
		}
	}
	list := make([]api.Invitation, 0, len(found))
	for _, i := range found {
		slices.Sort(i.Peers)
		list = append(list, *i)
	}
	slices.SortFunc(list, func(a, b api.Invitation) int {
		return cmp.Or(a.Database.Compare(b.Database), a.Syncgroup.Compare(b.Syncgroup))
	})
	return list, nil
}

// Decline takes an invitation out of the list. There has to be one, now or when it was declined before.
func (s syncgroups) Decline(ctx context.Context, db, sg id.Name) error {
	list, err := s.Invitations(ctx)
	if err != nil {
		return err
	}
	invited := slices.ContainsFunc(list, func(i api.Invitation) bool { return i.Database == db && i.Syncgroup == sg })
	if before, err := s.h.memberships().declined(db, sg); err != nil || before {
		return err
	}
	if !invited {
		return fmt.Errorf("%w: no peer that is connected now invites this device to the syncgroup %s of the database %s", api.ErrNotFound, sg, db)
	}
	return s.h.memberships().decline(db, sg)
}

// spaceMembership is the space of the membership book, drawn in docs/format.md.
const spaceMembership = 0x1c

// membershipBook is what this device keeps for itself of syncgroups that it need not be a member of.
type membershipBook struct{ kv *kv.Store }

func (h *Host) memberships() membershipBook { return membershipBook{h.kv} }

func membershipKey(kind byte, names ...id.Name) []byte {
	key := []byte{spaceMembership, kind}
	for _, n := range names {
		key = append(append(key, n.Owner...), 0)
		key = append(append(key, n.Local...), 0)
	}
	return key
}

func (b membershipBook) decline(db, sg id.Name) error {
	batch := b.kv.NewBatch()
	batch.Set(membershipKey('d', db, sg), []byte("{}"))
	return batch.Commit(kv.Sync)
}

func (b membershipBook) declined(db, sg id.Name) (bool, error) {
	_, err := b.kv.Get(membershipKey('d', db, sg))
	if errors.Is(err, kv.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// accept ends what decline began.
func (b membershipBook) accept(db, sg id.Name) error {
	if declined, err := b.declined(db, sg); err != nil || !declined {
		return err
	}
	batch := b.kv.NewBatch()
	batch.Delete(membershipKey('d', db, sg))
	return batch.Commit(kv.Sync)
}
