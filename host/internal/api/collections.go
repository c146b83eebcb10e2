package api

import (
	"context"
	"errors"

	"google.golang.org/grpc"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/acl"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// mayCreate decides whether the caller may make a collection of the name.
func (t *target) mayCreate(c id.Collection) error {
	if err := acl.Database(t.list, t.caller, perm.Write); err != nil {
		return err
	}
	return acl.Create(t.caller, c.Name)
}

// CreateCollection takes Write on the database and a name that is the caller's to give.
func (s *Server) CreateCollection(ctx context.Context, req *nodev1.CreateCollectionRequest) (*nodev1.CreateCollectionResponse, error) {
	t, err := s.openFor(ctx, req.GetDatabase(), perm.Write)
	if err != nil {
		return nil, err
	}
	c, err := t.name(req.GetCollection())
	if err != nil {
		return nil, err
	}
	if err := t.mayCreate(c); err != nil {
		return nil, err
	}
	list, err := permissions(req.GetPermissions(), c.Name.Owner, perm.CollectionTags)
	if err != nil {
		return nil, err
	}
	if err := t.inBatch(req.GetBatch(), len(req.GetPermissions()), func(tx *rows.Tx) error {
		return tx.CreateCollection(c, list)
	}, func() error {
		return t.db.CreateCollection(c, list)
	}); err != nil {
		return nil, err
	}
	return &nodev1.CreateCollectionResponse{Collection: c.Name.String()}, nil
}

// ListCollections takes Read on the database.
func (s *Server) ListCollections(req *nodev1.ListCollectionsRequest, stream grpc.ServerStreamingServer[nodev1.ListCollectionsResponse]) error {
	t, err := s.openFor(stream.Context(), req.GetDatabase(), perm.Read)
	if err != nil {
		return err
	}
	var list []id.Collection
	err = t.inBatch(req.GetBatch(), 0, func(tx *rows.Tx) (err error) {
		list, err = tx.Collections()
		return err
	}, func() error {
		list = t.db.Collections()
		return nil
	})
	if err != nil {
		return err
	}
	for _, c := range list {
		if err := stream.Send(&nodev1.ListCollectionsResponse{Collection: c.Name.String()}); err != nil {
			return err
		}
	}
	return nil
}

// DestroyCollection takes Admin on the collection or on the database. Destroying what is not there succeeds for who may
// know that.
func (s *Server) DestroyCollection(ctx context.Context, req *nodev1.DestroyCollectionRequest) (*nodev1.DestroyCollectionResponse, error) {
	t, err := s.open(ctx, req.GetDatabase())
	if err != nil {
		return nil, err
	}
	c, err := t.name(req.GetCollection())
	if err != nil {
		return nil, err
	}
	err = t.inBatch(req.GetBatch(), 0, func(tx *rows.Tx) error {
		return t.destroyInBatch(tx, c)
	}, func() error {
		list, _, err := t.db.CollectionPermissions(c)
		if err == nil {
			err = t.end(c, list, rows.OpDelete)
		}
		if err == nil {
			err = t.db.DestroyCollection(c, t.end)
		}
		return err
	})
	if errors.Is(err, rows.ErrNoCollection) && !acl.Knows(t.list, t.caller) {
		return nil, missing(rows.ErrNoCollection, c)
	}
	if err != nil && !errors.Is(err, rows.ErrNoCollection) {
		return nil, err
	}
	return &nodev1.DestroyCollectionResponse{Existed: err == nil}, nil
}
