package api

import (
	"context"
	"fmt"

	"google.golang.org/grpc"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/merge"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// ListConflicts takes Read on the database, or on the collection that is asked for.
func (s *Server) ListConflicts(req *nodev1.ListConflictsRequest, stream grpc.ServerStreamingServer[nodev1.ListConflictsResponse]) error {
	t, err := s.open(stream.Context(), req.GetDatabase())
	if err != nil {
		return err
	}
	var only id.Collection
	if req.GetCollection() != "" {
		if only, err = t.name(req.GetCollection()); err == nil {
			err = t.check(only, perm.Read)
		}
	} else {
		t, err = s.openFor(stream.Context(), req.GetDatabase(), perm.Read)
	}
	if err != nil {
		return err
	}
	refs, err := t.db.ConflictRefs()
	if err != nil {
		return err
	}
	readable := map[id.Collection]bool{}
	settled := map[rows.ConflictRef]merge.Choice{}
	for _, ref := range refs {
		may, known := readable[ref.Collection]
		if !known {
			may = t.check(ref.Collection, perm.Read) == nil && (only == id.Collection{} || only == ref.Collection)
			readable[ref.Collection] = may
		}
		if !may {
			continue
		}
		if err := t.sendConflict(ref, settled, stream); err != nil {
			return err
		}
	}
	return nil
}

// sendConflict sends a conflict with who settles it: a row that was written along with others waits for whoever settles the
// strictest of them. What is found out about those is kept in settled.
func (t *target) sendConflict(ref rows.ConflictRef, settled map[rows.ConflictRef]merge.Choice, stream grpc.ServerStreamingServer[nodev1.ListConflictsResponse]) error {
	c, err := t.db.Conflict(ref)
	if _, known := settled[ref]; err == nil && !known {
		var choice merge.Choice
		var together []rows.ConflictRef
		choice, together, err = t.db.ConflictChoice(ref)
		for _, other := range together {
			settled[other] = choice
		}
	}
	if gone(err) {
		return nil // resolved meanwhile
	}
	if err != nil {
		return err
	}
	c.Choice = settled[ref]
	return stream.Send(&nodev1.ListConflictsResponse{Conflict: conflictProto(&c)})
}

// othersBytes bounds the values of versions beyond the two that every conflict has: together with those, and the ancestor,
// they fit into a message.
const othersBytes = 16 << 20

func conflictProto(c *rows.Conflict) *nodev1.Conflict {
	p := &nodev1.Conflict{
		Collection: c.Collection.Name.String(), Key: c.Key, Local: siblingProto(&c.Siblings[0]),
		Shown: c.Shown.String(), Resolver: c.Choice.String(),
	}
	if c.Ancestor != nil {
		p.Ancestor = siblingProto(c.Ancestor)
	}
	budget := othersBytes
	for i := 1; i < len(c.Siblings); i++ {
		v := siblingProto(&c.Siblings[i])
		if i == 1 {
			p.Remote = v
			continue
		}
		if budget -= len(v.Value); budget < 0 {
			v.Value = nil
		}
		p.Others = append(p.Others, v)
	}
	return p
}

func siblingProto(s *rows.Sibling) *nodev1.ConflictVersion {
	return &nodev1.ConflictVersion{
		Version: s.Version.String(), Updated: stamp(s.Time), Deleted: s.Deleted, Raw: s.Raw, Type: s.Type,
		Batch: s.Batch.String(), Value: s.Value,
	}
}

// ResolveConflicts takes Write on the collections of the rows.
func (s *Server) ResolveConflicts(ctx context.Context, req *nodev1.ResolveConflictsRequest) (*nodev1.ResolveConflictsResponse, error) {
	t, err := s.open(ctx, req.GetDatabase())
	if err != nil {
		return nil, err
	}
	if n := len(req.GetResolutions()); n == 0 || n > rows.MaxGroupRows {
		return nil, fmt.Errorf("%w: %d resolutions, want 1 to %d", ErrInvalid, n, rows.MaxGroupRows)
	}
	names := collectionNames{t: t}
	list := make([]rows.Resolution, len(req.GetResolutions()))
	for i, r := range req.GetResolutions() {
		if list[i], err = names.resolution(r); err != nil {
			if len(list) > 1 {
				err = fmt.Errorf("resolution %d: %w", i+1, err)
			}
			return nil, err
		}
	}
	versions, err := t.db.Resolve(list, t.guarded())
	if err != nil {
		return nil, err
	}
	resp := &nodev1.ResolveConflictsResponse{}
	for _, v := range versions {
		resp.Versions = append(resp.Versions, v.String())
	}
	return resp, nil
}

// resolution reads what a client wants of a row.
func (n *collectionNames) resolution(p *nodev1.Resolution) (r rows.Resolution, err error) {
	if r.Collection, err = n.read(p.GetCollection(), perm.Write); err != nil {
		return r, err
	}
	if r.Key = p.GetKey(); len(p.GetVersions()) > rows.MaxOpenHeads {
		return r, fmt.Errorf("%w: %d versions, there are at most %d", ErrInvalid, len(p.GetVersions()), rows.MaxOpenHeads)
	}
	for _, text := range p.GetVersions() {
		v, err := id.ParseVersion(text)
		if err != nil {
			return r, err
		}
		r.Siblings = append(r.Siblings, v)
	}
	if p.GetSide() == nodev1.Side_SIDE_UNSPECIFIED {
		return r, fillResolution(&r, p, nil)
	}
	c, err := n.t.db.Conflict(r.ConflictRef)
	if err != nil {
		return r, same(r.Collection, err)
	}
	if r.Siblings == nil {
		for i := range c.Siblings {
			r.Siblings = append(r.Siblings, c.Siblings[i].Version)
		}
	}
	return r, fillResolution(&r, p, c.Siblings)
}

// fillResolution says how the row ends; siblings are the versions in conflict, the local one first.
func fillResolution(r *rows.Resolution, p *nodev1.Resolution, siblings []rows.Sibling) (err error) {
	switch result := p.GetResult().(type) {
	case *nodev1.Resolution_Pick:
		if r.Pick, err = id.ParseVersion(result.Pick); err == nil && r.Pick.IsZero() {
			err = fmt.Errorf("%w: an empty version was picked for %s", ErrInvalid, r.ConflictRef)
		}
		return err
	case *nodev1.Resolution_Side:
		at := map[nodev1.Side]int{nodev1.Side_SIDE_LOCAL: 0, nodev1.Side_SIDE_REMOTE: 1}
		i, known := at[result.Side]
		if !known || i >= len(siblings) {
			return fmt.Errorf("%w: %s has no such side as %v", ErrInvalid, r.ConflictRef, result.Side)
		}
		r.Pick = siblings[i].Version
		return nil
	case *nodev1.Resolution_Delete:
		if r.Delete = result.Delete; r.Delete {
			return nil
		}
	case *nodev1.Resolution_Merge:
		if result.Merge != nil {
			r.Value, r.Raw, r.Type = result.Merge.GetValue(), result.Merge.GetRaw(), result.Merge.GetType()
			return nil
		}
	}
	return fmt.Errorf("%w: it is not said how %s is to end: pick a version, merge or delete", ErrInvalid, r.ConflictRef)
}
