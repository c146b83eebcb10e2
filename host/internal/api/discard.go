package api

import (
	"context"
	"fmt"
	"slices"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// DiscardRefused takes Admin on the database and Write on the collections.
func (s *Server) DiscardRefused(ctx context.Context, req *nodev1.DiscardRefusedRequest) (*nodev1.DiscardRefusedResponse, error) {
	t, err := s.openFor(ctx, req.GetDatabase(), perm.Admin)
	if err != nil {
		return nil, err
	}
	got, err := s.discard(t, req)
	if err != nil {
		return nil, err
	}
	if s.opts.Refusals != nil {
		s.opts.Refusals.Discarded(t.db, t.caller, got)
	}
	return &nodev1.DiscardRefusedResponse{Records: uint64(got.Records), Written: uint64(got.Written)}, nil
}

func (s *Server) discard(t *target, req *nodev1.DiscardRefusedRequest) (rows.Discarded, error) {
	number := req.GetId()
	if (number == 0) == (req.GetVersion() == "") {
		return rows.Discarded{}, fmt.Errorf("%w: want either the id or the version of a refused commit", rows.ErrInvalid)
	}
	if number != 0 {
		return t.db.DiscardLetter(number, t.guarded())
	}
	v, err := id.ParseVersion(req.GetVersion())
	if err != nil {
		return rows.Discarded{}, err
	}
	letters := t.db.Letters()
	at := slices.IndexFunc(letters, func(l rows.Letter) bool { return l.Writer == v.Writer && l.Least == v.Gen })
	if at >= 0 {
		return t.db.DiscardLetter(letters[at].ID, t.guarded())
	}
	elsewhere, err := s.elsewhere(t.db)
	if err != nil {
		return rows.Discarded{}, err
	}
	if !slices.ContainsFunc(elsewhere, func(r Refused) bool { return r.Writer == v.Writer && r.Generation == v.Gen }) {
		return rows.Discarded{}, fmt.Errorf("%w: nobody is known to refuse a commit %s of %s", ErrNotFound, v, t.db.Name())
	}
	return t.db.GiveUp(v, t.guarded())
}
