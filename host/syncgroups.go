package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/syncbase/syncbase/host/internal/api"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/peer"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/syncgroup"
)

// syncgroups is membership, for clients.
type syncgroups struct{ h *Host }

// member describes a member as it is admitted now.
func (h *Host) member(p id.Principal, d id.Device, as syncgroup.MemberType) syncgroup.Member {
	return syncgroup.Member{Principal: p, Type: as, Device: d.String(), Joined: h.opts.Seams.Now().UTC().Truncate(time.Second)}
}

func (s syncgroups) Create(_ context.Context, caller id.Principal, dbName, name id.Name, from api.NewSyncgroup) error {
	db, err := s.h.rows.Database(dbName)
	if err != nil {
		return err
	}
	as, err := syncgroup.ParseMemberType(from.MemberType)
	if err != nil {
		return api.Kind(api.ErrInvalid, err)
	}
	spec := syncgroup.Spec{
		Description: from.Description, Permissions: from.Permissions, Creator: caller, Publish: from.Publish, Private: from.Private,
	}
	for _, scope := range from.Scopes {
		spec.Collections = append(spec.Collections, syncgroup.SpecCollection{
			Owner: scope.Collection.Name.Owner, Name: scope.Collection.Name.Local, Prefix: scope.Prefix,
		})
	}
	self := s.h.member(s.h.identity.Principal(), db.Writer().Device, as)
	self.Priority = from.Priority
	if err := forClients(syncgroup.Create(db, name, spec, self)); err != nil {
		return err
	}
	return s.h.fetcher.Rescan()
}

// forClients adds what clients branch on to the errors of package syncgroup.
func forClients(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syncgroup.ErrNone):
		return fmt.Errorf("%w: %w", api.ErrNotFound, err)
	case errors.Is(err, syncgroup.ErrExists):
		return fmt.Errorf("%w: %w", api.ErrExists, err)
	case errors.Is(err, syncgroup.ErrDenied):
		return fmt.Errorf("%w: %w", api.ErrDenied, err)
	case errors.Is(err, syncgroup.ErrInvalid):
		return api.Kind(api.ErrInvalid, err)
	case errors.Is(err, syncgroup.ErrState):
		return fmt.Errorf("%w: %w", api.ErrPrecondition, err)
	case errors.Is(err, syncgroup.ErrConflict):
		return fmt.Errorf("%w: %w", api.ErrConflict, err)
	}
	return err
}

func (s syncgroups) Join(ctx context.Context, caller id.Principal, dbName, name id.Name, how api.Join) (string, error) {
	if db, g, err := s.find(dbName, name); err == nil {
		if g.State == syncgroup.Active && how.Peer == "" && (how.MemberType == "" || how.MemberType == string(g.Type)) {
			return s.h.opts.Config.Node.Name, nil
		}
		if err := syncgroup.MayJoin(db, name); err != nil {
			return "", forClients(err)
		}
	}
	as, err := s.typeToJoinAs(dbName, name, how.MemberType)
	if err != nil {
		return "", err
	}
	admitter, admission, err := s.admission(ctx, dbName, name, how, as)
	if err != nil {
		return "", s.withWayOut(dbName, name, err)
	}
	db, err := s.database(caller, dbName)
	if err != nil {
		return "", err
	}
	admitted := syncgroup.Admission{Spec: admission.Spec, Known: admission.Known}
	if err := forClients(syncgroup.Adopt(db, name, admitted, as, s.h.identity.Principal(), admitter.Principal)); err != nil {
		return "", err
	}
	if err := s.h.memberships().accept(dbName, name); err != nil {
		s.h.log.Warn("cannot forget that an invitation was declined", "syncgroup", name, "error", err)
	}
	s.h.log.Info("joined a syncgroup", "syncgroup", name, "database", dbName, "admitted_by", admitter.Name)
	return admitter.Name, s.h.fetcher.Rescan()
}

// typeToJoinAs reads the member type of a join. One that names none leaves that of a member as it is.
func (s syncgroups) typeToJoinAs(dbName, name id.Name, text string) (syncgroup.MemberType, error) {
	if text == "" {
		if _, g, err := s.find(dbName, name); err == nil {
			return g.Type, nil
		}
	}
	as, err := syncgroup.ParseMemberType(text)
	if err != nil {
		return "", api.Kind(api.ErrInvalid, err)
	}
	return as, nil
}

// database returns the database, making it where it does not exist: a newcomer has to begin somewhere.
func (s syncgroups) database(caller id.Principal, name id.Name) (*rows.DB, error) {
	db, err := s.h.rows.Database(name)
	if !errors.Is(err, rows.ErrNoDatabase) {
		return db, err
	}
	return s.h.rows.Create(name, perm.For(caller.Owner(), perm.DatabaseTags))
}

// admission asks the target, or everybody who can be reached, to let this device in. Who is not the one that is expected
// does not hear the question.
func (s syncgroups) admission(ctx context.Context, db, name id.Name, how api.Join, as syncgroup.MemberType) (peer.Peer, peer.Admission, error) {
	expected := func(link *peer.Link) bool { return how.Expect == "" || link.Peer().Principal.Extends(how.Expect) }
	if target := how.Peer; target != "" {
		link, err := s.h.peers.Connect(ctx, target)
		if err != nil {
			return peer.Peer{}, peer.Admission{}, joinError(target, err)
		}
		if !expected(link) {
			return peer.Peer{}, peer.Admission{}, fmt.Errorf("%w: at %s is %s, not %s as expected; it was not asked", api.ErrDenied, target, link.Peer().Principal, how.Expect)
		}
		admission, err := link.Join(ctx, db, name, string(as))
		return link.Peer(), admission, joinError(target, err)
	}
	return s.askAround(ctx, name, &asking{
		ask: func(ctx context.Context, link *peer.Link) (peer.Admission, error) {
			return link.Join(ctx, db, name, string(as))
		},
		expected: expected,
	})
}

func (s syncgroups) States(context.Context) ([]api.SyncgroupState, error) {
	dbs, _ := s.h.rows.Databases()
	var list []api.SyncgroupState
	for _, db := range dbs {
		groups, err := syncgroup.Known(db)
		if err != nil {
			return nil, err
		}
		for _, g := range groups {
			state, err := s.state(db, g)
			if err != nil {
				return nil, err
			}
			list = append(list, state)
		}
	}
	return list, nil
}

func (s syncgroups) state(db *rows.DB, g syncgroup.Group) (api.SyncgroupState, error) {
	members, err := syncgroup.Members(db, g.Name)
	if err != nil {
		return api.SyncgroupState{}, err
	}
	links, err := s.h.linksTo(db, g)
	if err != nil {
		return api.SyncgroupState{}, err
	}
	known := s.knownMembers(g, members)
	state := api.SyncgroupState{
		Database: db.Name(), Name: g.Name, Members: uint64(len(known)), State: string(g.State), Reason: g.Outside,
	}
	state.Connected = uint64(countPeers(slices.DeleteFunc(slices.Clone(links), func(link *peer.Link) bool {
		p := link.Peer().Principal
		return p == s.h.identity.Principal() || !known[p]
	})))
	free, err := syncgroup.Deserted(db, g)
	if err != nil {
		return state, err
	}
	if free {
		state.Reason += "; " + deserted
	}
	if err := s.h.describePublication(db, g, &state); err != nil {
		return state, err
	}
	for _, link := range links {
		state.LagRecords = max(state.LagRecords, s.h.engine.Lag(link.Peer().Principal, db))
	}
	return state, nil
}

// knownMembers returns the members that this device knows of: while their registers are on the way itself and who let it in, too.
func (s syncgroups) knownMembers(g syncgroup.Group, registered []syncgroup.Member) map[id.Principal]bool {
	known := make(map[id.Principal]bool, len(registered)+2)
	for _, m := range registered {
		known[m.Principal] = true
	}
	if g.State == syncgroup.Pending {
		known[s.h.identity.Principal()] = true
		if g.Admitter != "" {
			known[g.Admitter] = true
		}
	}
	return known
}

func (s syncgroups) find(dbName, name id.Name) (*rows.DB, syncgroup.Group, error) {
	db, err := s.h.rows.Database(dbName)
	if err != nil {
		return nil, syncgroup.Group{}, err
	}
	g, err := syncgroup.Find(db, name)
	return db, g, forClients(err)
}

func (s syncgroups) Spec(_ context.Context, dbName, name id.Name) (api.SyncgroupSpec, error) {
	_, g, err := s.find(dbName, name)
	if err != nil {
		return api.SyncgroupSpec{}, err
	}
	raw, err := json.Marshal(g.Spec)
	return api.SyncgroupSpec{JSON: raw, Version: g.Version.String(), Permissions: g.Spec.Permissions}, err
}

func (s syncgroups) Members(_ context.Context, dbName, name id.Name) ([]api.Member, error) {
	db, _, err := s.find(dbName, name)
	if err != nil {
		return nil, err
	}
	members, err := syncgroup.Members(db, name)
	if err != nil {
		return nil, err
	}
	var list []api.Member
	for _, m := range members {
		list = append(list, api.Member{Principal: m.Principal, Type: string(m.Type), Joined: m.Joined, Priority: m.Priority})
	}
	return list, nil
}
