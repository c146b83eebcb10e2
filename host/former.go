package host

import (
	"context"
	"errors"
	"fmt"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/peer"
	"github.com/syncbase/syncbase/host/internal/syncgroup"
)

// deserted says to people how a syncgroup stands that all have left.
const deserted = "no member is left that could let this device in, as far as it knows; create it again to use the name, or join where that was done"

// withWayOut adds to why nobody lets this device in what else it can do.
func (s syncgroups) withWayOut(dbName, name id.Name, cause error) error {
	db, g, err := s.find(dbName, name)
	if err != nil {
		return cause
	}
	if free, err := syncgroup.Deserted(db, g); err != nil || !free {
		return cause
	}
	return fmt.Errorf("%w; %s", cause, deserted)
}

// askFormer asks a peer that has left syncgroups of this device whether it has ended them since: members do not pull from it.
func (h *Host) askFormer(ctx context.Context, link *peer.Link) error {
	ctx, cancel := context.WithTimeout(ctx, invitationPatience)
	defer cancel()
	dbs, _ := h.rows.Databases()
	for _, db := range dbs {
		groups, err := syncgroup.All(db)
		if err != nil {
			continue // it is going, or whoever needs it says what is wrong
		}
		for _, g := range groups {
			if may, err := syncgroup.MayHaveEnded(db, g, link.Peer().Principal); err != nil || !may {
				continue
			}
			list, err := link.Standing(ctx, db.Name(), []id.Name{g.Name})
			if errors.Is(err, peer.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			for _, s := range list {
				if s.Membership != string(syncgroup.GoneEnded) {
					continue
				}
				if _, err := h.heed(link, db, s); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
