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

// CreateDatabase takes Write on the service and a name that is the caller's to give, or Admin on the service: it is its
// disk, and what is made there under the name of another principal reaches nobody.
func (s *Server) CreateDatabase(ctx context.Context, req *nodev1.CreateDatabaseRequest) (*nodev1.CreateDatabaseResponse, error) {
	caller, err := s.caller(ctx)
	if err != nil {
		return nil, err
	}
	name, err := id.ParseName(req.GetDatabase(), caller.Owner())
	if err != nil {
		return nil, err
	}
	if err := s.mayCreate(caller, name); err != nil {
		return nil, err
	}
	list, err := permissions(req.GetPermissions(), creator(caller, name), perm.DatabaseTags)
	if err != nil {
		return nil, err
	}
	if _, err := s.opts.Rows.Create(name, list); err != nil {
		return nil, err
	}
	return &nodev1.CreateDatabaseResponse{Database: name.String(), Warnings: foreign(caller, name)}, nil
}

func (s *Server) mayCreate(caller id.Principal, name id.Name) error {
	if err := s.allowed(caller, perm.Write); err != nil {
		return err
	}
	err := acl.Create(caller, name)
	if err != nil && s.allowed(caller, perm.Admin) == nil {
		return nil
	}
	return err
}

// creator is who gets everything when something is made without an access list.
func creator(caller id.Principal, name id.Name) id.Principal {
	if caller.Extends(name.Owner) {
		return name.Owner
	}
	return caller.Owner()
}

// permissions reads the access list of something new; without one the owner gets everything.
func permissions(data []byte, owner id.Principal, tags []perm.Tag) (perm.List, error) {
	if len(data) == 0 {
		return perm.For(owner, tags), nil
	}
	return perm.Parse(data, tags)
}

// ListDatabases shows the databases on which the caller has a tag, and all of them with Read on the service.
func (s *Server) ListDatabases(_ *nodev1.ListDatabasesRequest, stream grpc.ServerStreamingServer[nodev1.ListDatabasesResponse]) error {
	caller, err := s.caller(stream.Context())
	if err != nil {
		return err
	}
	all := s.allowed(caller, perm.Read) == nil
	dbs, _ := s.opts.Rows.Databases()
	for _, db := range dbs {
		list, _ := db.Permissions()
		if !all && acl.See(list, caller) != nil {
			continue
		}
		if err := stream.Send(&nodev1.ListDatabasesResponse{Database: db.Name().String()}); err != nil {
			return err
		}
	}
	return nil
}

// DestroyDatabase takes Admin on the database or on the service, whose disk it fills. Destroying what is not there
// succeeds for who may know that.
func (s *Server) DestroyDatabase(ctx context.Context, req *nodev1.DestroyDatabaseRequest) (*nodev1.DestroyDatabaseResponse, error) {
	caller, err := s.caller(ctx)
	if err != nil {
		return nil, err
	}
	name, err := id.ParseName(req.GetDatabase(), caller.Owner())
	if err != nil {
		return nil, err
	}
	if s.allowed(caller, perm.Admin) != nil {
		_, err = s.openFor(ctx, req.GetDatabase(), perm.Admin)
	}
	if err == nil {
		err = s.opts.Rows.Destroy(name)
	}
	existed := err == nil
	if errors.Is(err, rows.ErrNoDatabase) {
		if err = nil; !s.knowsDatabases(caller) {
			err = missing(rows.ErrNoDatabase, name)
		}
	}
	return &nodev1.DestroyDatabaseResponse{Existed: existed}, err
}
