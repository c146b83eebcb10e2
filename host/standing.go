package host

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/syncbase/syncbase/host/internal/acl"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/peer"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/syncgroup"
)

// registrar answers what peers ask about membership.
type registrar struct{ h *Host }

func (r registrar) Standing(_ context.Context, caller peer.Caller, database id.Name, names []id.Name) ([]peer.Standing, error) {
	db, err := r.h.rows.Database(database)
	if errors.Is(err, rows.ErrNoDatabase) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []peer.Standing
	for _, name := range names {
		s, err := syncgroup.Stand(db, name, caller.Principal)
		if errors.Is(err, syncgroup.ErrNone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		said := peer.Standing{Syncgroup: name, Membership: "member", Since: s.Since, Spec: s.Spec}
		if s.Gone != "" {
			said.Membership = string(s.Gone)
		}
		if s.Gone == syncgroup.GoneEjected {
			said.Ejection = peer.Ejection{By: s.By, From: s.From, Knew: s.Knew}
		}
		list = append(list, said)
	}
	return list, nil
}

// Publish takes Write on the service and a database of the caller's own or, for a database that is here, Write on it and
// Read on whatever of it the syncgroup would hand out.
func (r registrar) Publish(_ context.Context, caller peer.Caller, database, name id.Name, spec []byte) (string, error) {
	db, err := r.databaseFor(caller.Principal, database)
	if err != nil {
		return "", err
	}
	parsed, err := syncgroup.ParseSpec(spec)
	if err != nil {
		return "", fmt.Errorf("%w: %w", peer.ErrDenied, err)
	}
	self := r.h.identity.Principal()
	if !parsed.Permissions.Allows(self, perm.Read) {
		return "", fmt.Errorf("%w: the access list does not give Read to %s", peer.ErrDenied, self)
	}
	if db == nil {
		if db, err = r.h.rows.Create(database, r.sharedList(caller.Principal)); err != nil {
			return "", err
		}
	} else if err := mayHandOut(db, parsed, caller.Principal); err != nil {
		return "", err
	}
	switch g, err := syncgroup.Find(db, name); {
	case err == nil && g.State.Synchronises():
		return string(g.Type), nil
	case err == nil:
		return "", fmt.Errorf("%w: this device is no member of %s any more (%s); it has to join by itself", peer.ErrDenied, name, g.State)
	case !errors.Is(err, syncgroup.ErrNone):
		return "", err
	}
	if err := syncgroup.Adopt(db, name, syncgroup.Admission{Spec: spec}, syncgroup.Server, self, caller.Principal); err != nil {
		return "", err
	}
	r.h.log.Info("a syncgroup was published here", "syncgroup", name, "database", database, "by", caller.Principal)
	return string(syncgroup.Server), r.h.fetcher.Rescan()
}

// databaseFor returns the database that a caller may publish in, nil when it has to be made. Whether it is here is only for
// those to know who may know.
func (r registrar) databaseFor(caller id.Principal, name id.Name) (*rows.DB, error) {
	list, _ := r.h.rows.Permissions()
	if err := acl.Service(r.h.identity.Owner(), list, caller, perm.Write); err != nil {
		return nil, fmt.Errorf("%w: publishing here: %w", peer.ErrDenied, err)
	}
	db, err := r.h.rows.Database(name)
	if errors.Is(err, rows.ErrNoDatabase) {
		err = acl.Create(caller, name)
		if err != nil {
			err = fmt.Errorf("%w: %w", peer.ErrDenied, err)
		}
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	if perms, _ := db.Permissions(); !perms.Allows(caller, perm.Write) {
		// The answer for a database of somebody else's that is not here.
		return nil, fmt.Errorf("%w: %w: %s may not create %s: the name belongs to another principal", peer.ErrDenied, acl.ErrNoAccess, caller, name)
	}
	return db, nil
}

// mayHandOut checks that the caller may read what the syncgroup would hand out of the database.
func mayHandOut(db *rows.DB, spec syncgroup.Spec, caller id.Principal) error {
	for _, c := range spec.Collections {
		list, _, err := db.CollectionPermissions(c.Scope().Collection)
		if errors.Is(err, rows.ErrNoCollection) {
			continue
		}
		if err != nil {
			return err
		}
		if !list.Allows(caller, perm.Read) {
			return fmt.Errorf("%w: %s may not read %s", peer.ErrDenied, caller, c.Scope())
		}
	}
	return nil
}

// sharedList is the access list of a database that a peer publishes: its owner and ours have every kind of access.
func (r registrar) sharedList(publisher id.Principal) perm.List {
	list := perm.For(r.h.identity.Owner(), perm.DatabaseTags)
	if from := publisher.Owner(); from != r.h.identity.Owner() {
		for tag, a := range list {
			a.In = append(a.In, perm.Pattern(from))
			list[tag] = a
		}
	}
	return list
}

// doubt says that a peer does not serve a database that this device thinks it shares with it.
func (h *Host) doubt(p id.Principal, db *rows.DB) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.doubts[p] == nil {
		h.doubts[p] = map[*rows.DB]bool{}
	}
	h.doubts[p][db] = true
	close(h.doubted)
	h.doubted = make(chan struct{})
}

// nextDoubts takes what was doubted of the peer, and returns what is closed at the next doubt about anybody.
func (h *Host) nextDoubts(p id.Principal) (map[*rows.DB]bool, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	dbs := h.doubts[p]
	delete(h.doubts, p)
	return dbs, h.doubted
}

// askStanding asks a peer that serves nothing why, until the link ends: a device that was ejected while it was away can
// hear of it in no other way.
func (h *Host) askStanding(ctx context.Context, link *peer.Link) {
	for {
		dbs, doubted := h.nextDoubts(link.Peer().Principal)
		for db := range dbs {
			if err := h.heedStanding(ctx, link, db); err != nil && ctx.Err() == nil {
				h.log.Debug("cannot learn how this device stands", "peer", link.Peer().Name, "database", db.Name(), "error", err)
			}
		}
		select {
		case <-doubted:
		case <-ctx.Done():
			return
		}
	}
}

func (h *Host) heedStanding(ctx context.Context, link *peer.Link, db *rows.DB) error {
	groups, err := syncgroup.Known(db)
	if err != nil {
		return err
	}
	var names []id.Name
	forgotten := map[id.Name]syncgroup.Group{} // those of which the peer says nothing, or that this device left before it joined again
	for _, g := range groups {
		letIn := g.State == syncgroup.Pending && g.Admitter == link.Peer().Principal
		if g.State != syncgroup.Destroyed && (g.State != syncgroup.Pending || letIn) {
			names = append(names, g.Name)
		}
		if g.State == syncgroup.Active || letIn {
			forgotten[g.Name] = g
		}
	}
	if len(names) == 0 {
		return nil
	}
	list, err := link.Standing(ctx, db.Name(), names)
	if err != nil {
		return err
	}
	for _, s := range list {
		if s.Membership != string(syncgroup.GoneEnded) && s.Membership != string(syncgroup.GoneLeft) {
			delete(forgotten, s.Syncgroup)
		}
		changed, err := h.heed(link, db, s)
		if err != nil {
			return err
		}
		if changed {
			delete(forgotten, s.Syncgroup)
		}
	}
	for _, g := range forgotten {
		err = errors.Join(err, h.remind(ctx, link, db, g))
	}
	return err
}

// heed takes what a peer says of how this device stands, and reports whether that changed anything.
func (h *Host) heed(link *peer.Link, db *rows.DB, s peer.Standing) (changed bool, err error) {
	said := syncgroup.Standing{Since: s.Since, By: s.Ejection.By, From: s.Ejection.From, Knew: s.Ejection.Knew, Spec: s.Spec}
	if s.Membership != "member" {
		said.Gone = syncgroup.Gone(s.Membership)
	}
	changed, err = syncgroup.Heed(db, s.Syncgroup, link.Peer().Principal, said)
	if changed {
		h.log.Warn("this device is no member of a syncgroup any more", "syncgroup", s.Syncgroup, "database", db.Name(), "peer", link.Peer().Name, "says", s.Membership)
	}
	return changed, err
}

// remindAfter is how long others may take to hear of a member before it asks to be let in again.
const remindAfter = time.Minute

// remind asks a member that has never heard of this one to let it in again: whoever did may have been set back to a time
// before that. So it asks one that has heard of its leaving after it was let in anew, which then takes nothing of what is said here
// any more, not even that it is undone. Whether it is granted is up to the access list, as for anybody who joins.
func (h *Host) remind(ctx context.Context, link *peer.Link, db *rows.DB, g syncgroup.Group) error {
	member, err := syncgroup.HasMember(db, g, link.Peer().Principal)
	if err != nil || !member {
		return err
	}
	self := h.identity.Principal()
	if g.State == syncgroup.Active {
		own, err := syncgroup.FindMember(db, g.Name, string(self))
		if err != nil || h.opts.Seams.Now().Sub(own.Joined) < remindAfter {
			return err
		}
	}
	a, err := link.Join(ctx, db.Name(), g.Name, string(g.Type))
	if errors.Is(err, peer.ErrNotFound) || errors.Is(err, peer.ErrDenied) {
		return nil // it is no member either, or may not admit; others may
	}
	if err == nil && g.State == syncgroup.Pending {
		// What the admitter knew the first time will never come.
		err = syncgroup.Adopt(db, g.Name, syncgroup.Admission{Spec: a.Spec, Known: a.Known}, g.Type, self, g.Admitter)
	}
	if err == nil {
		h.log.Info("was let in again by a member that did not know of this device", "syncgroup", g.Name, "database", db.Name(), "peer", link.Peer().Name)
	}
	return err
}
