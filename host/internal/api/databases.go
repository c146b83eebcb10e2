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

// CreateDatabase takes the owner of the daemon, whose disk it is, acting under a name of its own.
func (s *Server) CreateDatabase(ctx context.Context, req *nodev1.CreateDatabaseRequest) (*nodev1.CreateDatabaseResponse, error) {
	caller, err := s.administrator(ctx)
	if err != nil {
		return nil, err
	}
	name, err := id.ParseName(req.GetDatabase(), caller.Owner())
	if err != nil {
		return nil, err
	}
	if err := acl.Create(caller, name); err != nil {
		return nil, err
	}
	list, err := permissions(req.GetPermissions(), name.Owner, perm.DatabaseTags)
	if err != nil {
		return nil, err
	}
	if _, err := s.opts.Rows.Create(name, list); err != nil {
		return nil, err
	}
	return &nodev1.CreateDatabaseResponse{Database: name.String()}, nil
}

// permissions reads the access list of something new; without one the owner gets everything.
func permissions(data []byte, owner id.Principal, tags []perm.Tag) (perm.List, error) {
	if len(data) == 0 {
		return perm.For(owner, tags), nil
	}
	return perm.Parse(data, tags)
}

// ListDatabases shows the databases on which the caller has a tag, and to the owner of the daemon all.
func (s *Server) ListDatabases(_ *nodev1.ListDatabasesRequest, stream grpc.ServerStreamingServer[nodev1.ListDatabasesResponse]) error {
	caller, err := s.caller(stream.Context())
	if err != nil {
		return err
	}
	all := acl.Service(s.opts.Owner, caller) == nil
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

// DestroyDatabase takes Admin on the database, or the owner of the daemon, whose disk it fills.
func (s *Server) DestroyDatabase(ctx context.Context, req *nodev1.DestroyDatabaseRequest) (*nodev1.DestroyDatabaseResponse, error) {
	caller, err := s.caller(ctx)
	if err != nil {
		return nil, err
	}
	name, err := id.ParseName(req.GetDatabase(), caller.Owner())
	if err != nil {
		return nil, err
	}
	if acl.Service(s.opts.Owner, caller) != nil {
		if _, err := s.openFor(ctx, req.GetDatabase(), perm.Admin); err != nil {
			return nil, err
		}
	}
	err = s.opts.Rows.Destroy(name)
	if errors.Is(err, rows.ErrNoDatabase) {
		return nil, missing(rows.ErrNoDatabase, name)
	}
	return &nodev1.DestroyDatabaseResponse{}, err
}

// GetPermissions takes Admin on what the list guards.
func (s *Server) GetPermissions(ctx context.Context, req *nodev1.GetPermissionsRequest) (*nodev1.GetPermissionsResponse, error) {
	if req.GetCollection() == "" {
		t, err := s.openFor(ctx, req.GetDatabase(), perm.Admin)
		if err != nil {
			return nil, err
		}
		list, version := t.db.Permissions()
		return &nodev1.GetPermissionsResponse{Permissions: list.Marshal(), Version: version}, nil
	}
	t, c, err := s.openCollection(ctx, req.GetDatabase(), req.GetCollection(), perm.Admin)
	if err != nil {
		return nil, err
	}
	list, version, err := t.db.CollectionPermissions(c)
	if err != nil {
		return nil, same(c, err)
	}
	return &nodev1.GetPermissionsResponse{Permissions: list.Marshal(), Version: version.String()}, nil
}

// SetPermissions takes Admin on what the list guards.
func (s *Server) SetPermissions(ctx context.Context, req *nodev1.SetPermissionsRequest) (*nodev1.SetPermissionsResponse, error) {
	if req.GetCollection() == "" {
		return s.setDatabasePermissions(ctx, req)
	}
	t, c, err := s.openCollection(ctx, req.GetDatabase(), req.GetCollection(), perm.Admin)
	if err != nil {
		return nil, err
	}
	list, err := perm.Parse(req.GetPermissions(), perm.CollectionTags)
	if err != nil {
		return nil, err
	}
	given, err := id.ParseVersion(req.GetVersion())
	if err != nil {
		return nil, err
	}
	version, err := t.db.SetCollectionPermissions(c, list, given, t.administer)
	if err != nil {
		return nil, same(c, err)
	}
	return &nodev1.SetPermissionsResponse{Version: version.String()}, nil
}

// setDatabasePermissions makes the change depend on the very list that let the caller make it.
func (s *Server) setDatabasePermissions(ctx context.Context, req *nodev1.SetPermissionsRequest) (*nodev1.SetPermissionsResponse, error) {
	list, err := perm.Parse(req.GetPermissions(), perm.DatabaseTags)
	if err != nil {
		return nil, err
	}
	for {
		t, err := s.open(ctx, req.GetDatabase())
		if err != nil {
			return nil, err
		}
		now, version := t.db.Permissions()
		if err := acl.Database(now, t.caller, perm.Admin); err != nil {
			return nil, err
		}
		if req.GetVersion() != "" {
			version = req.GetVersion()
		}
		version, err = t.db.SetPermissions(list, version)
		if errors.Is(err, rows.ErrConflict) && req.GetVersion() == "" && ctx.Err() == nil {
			continue
		}
		return &nodev1.SetPermissionsResponse{Version: version}, err
	}
}
