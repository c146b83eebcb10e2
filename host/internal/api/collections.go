package api

import (
	"context"

	"google.golang.org/grpc"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/acl"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
)

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
	if err := acl.Create(t.caller, c.Name); err != nil {
		return nil, err
	}
	list, err := permissions(req.GetPermissions(), c.Name.Owner, perm.CollectionTags)
	if err != nil {
		return nil, err
	}
	if err := t.db.CreateCollection(c, list); err != nil {
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
	for _, c := range t.db.Collections() {
		if err := stream.Send(&nodev1.ListCollectionsResponse{Collection: c.Name.String()}); err != nil {
			return err
		}
	}
	return nil
}

// DestroyCollection takes Admin on the collection.
func (s *Server) DestroyCollection(ctx context.Context, req *nodev1.DestroyCollectionRequest) (*nodev1.DestroyCollectionResponse, error) {
	t, c, err := s.openCollection(ctx, req.GetDatabase(), req.GetCollection(), perm.Admin)
	if err != nil {
		return nil, err
	}
	if err := t.db.DestroyCollection(c, rows.Guard(t.administer)); err != nil {
		return nil, same(c, err)
	}
	return &nodev1.DestroyCollectionResponse{}, nil
}
