package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// Refusals tells what other members refuse, and tries again what this device does.
type Refusals interface {
	// Elsewhere lists what others refuse of a database.
	Elsewhere(db *rows.DB) ([]Refused, error)
	// Retry tries again what want selects, or all without it.
	Retry(ctx context.Context, db *rows.DB, want func(rows.Letter) bool) (rows.Retried, error)
	// Discarded is told what was given up, and by whom.
	Discarded(db *rows.DB, by id.Principal, got rows.Discarded)
}

// Refused is a commit that another member does not take.
type Refused struct {
	By                    id.Principal
	Writer                id.Writer
	Generation            uint64
	Records, Bytes, Tries uint64
	Collections           []id.Collection
	Keys                  []string
	Code, Reason          string
	Since, Tried          time.Time
}

// maxShownKey is how much of a key is shown.
const maxShownKey = 256

// ListRefused takes Admin on the database, or on the service for all of them.
func (s *Server) ListRefused(req *nodev1.ListRefusedRequest, stream grpc.ServerStreamingServer[nodev1.ListRefusedResponse]) error {
	var dbs []*rows.DB
	if req.GetDatabase() != "" {
		t, err := s.openFor(stream.Context(), req.GetDatabase(), perm.Admin)
		if err != nil {
			return err
		}
		dbs = []*rows.DB{t.db}
	} else {
		if _, err := s.service(stream.Context(), perm.Admin); err != nil {
			return err
		}
		dbs, _ = s.opts.Rows.Databases()
	}
	for _, db := range dbs {
		for _, l := range db.Letters() {
			if err := stream.Send(&nodev1.ListRefusedResponse{Commit: letterProto(db, &l)}); err != nil {
				return err
			}
		}
		elsewhere, err := s.elsewhere(db)
		if err != nil {
			return err
		}
		for i := range elsewhere {
			if err := stream.Send(&nodev1.ListRefusedResponse{Commit: refusedProto(db, &elsewhere[i])}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Server) elsewhere(db *rows.DB) ([]Refused, error) {
	if s.opts.Refusals == nil {
		return nil, nil
	}
	return s.opts.Refusals.Elsewhere(db)
}

func letterProto(db *rows.DB, l *rows.Letter) *nodev1.RefusedCommit {
	p := refusedProto(db, &Refused{
		Writer: l.Writer, Generation: l.Least, Records: uint64(l.Records), Bytes: uint64(l.Bytes), Tries: uint64(l.Tries),
		Collections: l.Collections[:min(len(l.Collections), maxShownCollections)], Keys: l.Keys, Code: string(l.Code), Reason: l.Reason, Since: l.Since, Tried: l.Tried,
	})
	p.Id, p.From = l.ID, string(l.From)
	return p
}

// maxShownCollections is of how many collections names are shown.
const maxShownCollections = 16

func refusedProto(db *rows.DB, r *Refused) *nodev1.RefusedCommit {
	p := &nodev1.RefusedCommit{
		Database: db.Name().String(), RefusedBy: string(r.By), Writer: r.Writer.String(), Generation: r.Generation,
		Records: r.Records, Bytes: r.Bytes, Code: r.Code, Reason: r.Reason, Tries: r.Tries,
		Since: timestamppb.New(r.Since), Tried: timestamppb.New(r.Tried),
	}
	for _, c := range r.Collections {
		p.Collections = append(p.Collections, c.Name.String())
	}
	for _, key := range r.Keys {
		p.Keys = append(p.Keys, strings.ToValidUTF8(key[:min(len(key), maxShownKey)], ""))
	}
	p.Reason = strings.ToValidUTF8(p.Reason, "")
	return p
}

// RetryRefused takes Admin on the database.
func (s *Server) RetryRefused(ctx context.Context, req *nodev1.RetryRefusedRequest) (*nodev1.RetryRefusedResponse, error) {
	t, err := s.openFor(ctx, req.GetDatabase(), perm.Admin)
	if err != nil {
		return nil, err
	}
	want := func(rows.Letter) bool { return true }
	if ids := req.GetIds(); len(ids) > 0 {
		if len(ids) > rows.MaxLetters {
			return nil, fmt.Errorf("%w: %d ids, there are never more than %d", rows.ErrInvalid, len(ids), rows.MaxLetters)
		}
		letters := t.db.Letters()
		for _, n := range ids {
			if !slices.ContainsFunc(letters, func(l rows.Letter) bool { return l.ID == n }) {
				return nil, fmt.Errorf("%w: no refused commit %d in %s", ErrNotFound, n, t.db.Name())
			}
		}
		want = func(l rows.Letter) bool { return slices.Contains(ids, l.ID) }
	}
	retry := t.db.RetryLetters
	if s.opts.Refusals != nil {
		retry = func(ctx context.Context, want func(rows.Letter) bool) (rows.Retried, error) {
			return s.opts.Refusals.Retry(ctx, t.db, want)
		}
	}
	sum, err := retry(ctx, want)
	return &nodev1.RetryRefusedResponse{Applied: uint64(sum.Applied), Left: uint64(sum.Left)}, err
}

// refusedCounts lists the databases of which something is refused.
func (s *Server) refusedCounts() (list []*nodev1.RefusedCount, err error) {
	dbs, _ := s.opts.Rows.Databases()
	for _, db := range dbs {
		elsewhere, err := s.elsewhere(db)
		if errors.Is(err, rows.ErrDestroyed) {
			continue
		}
		if err != nil {
			return nil, err
		}
		n := &nodev1.RefusedCount{Database: db.Name().String(), Here: uint64(len(db.Letters())), Elsewhere: uint64(len(elsewhere))}
		if n.Here+n.Elsewhere > 0 {
			list = append(list, n)
		}
	}
	return list, nil
}
