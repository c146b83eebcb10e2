package api

import (
	"context"
	"errors"
	"fmt"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// GetPermissions takes Admin on what the list guards, or the owner in person.
func (s *Server) GetPermissions(ctx context.Context, req *nodev1.GetPermissionsRequest) (*nodev1.GetPermissionsResponse, error) {
	switch {
	case req.GetBatch() != "" && req.GetCollection() == "":
		return nil, errNotInBatch
	case req.GetDatabase() == "":
		return s.servicePermissions(ctx, req)
	case req.GetCollection() == "":
		t, err := s.openList(ctx, req.GetDatabase())
		if err != nil {
			return nil, err
		}
		list, version := t.db.Permissions()
		return &nodev1.GetPermissionsResponse{Permissions: list.Marshal(), Version: version}, nil
	}
	t, c, done, err := s.openCollectionIn(ctx, req)
	if err != nil {
		return nil, err
	}
	defer done()
	from := t.db.CollectionPermissions
	if t.batch != nil {
		from = t.batch.tx.Permissions
	}
	list, version, err := from(c)
	if err != nil {
		return nil, same(c, err)
	}
	return &nodev1.GetPermissionsResponse{Permissions: list.Marshal(), Version: versionText(version)}, nil
}

// versionText is empty for what a batch has made.
func versionText(v id.Version) string {
	if v.IsZero() {
		return ""
	}
	return v.String()
}

func (s *Server) servicePermissions(ctx context.Context, req *nodev1.GetPermissionsRequest) (*nodev1.GetPermissionsResponse, error) {
	if err := nothingBelow(req.GetCollection()); err != nil {
		return nil, err
	}
	if _, err := s.service(ctx, perm.Admin); err != nil {
		return nil, err
	}
	list, version := s.opts.Rows.Permissions()
	return &nodev1.GetPermissionsResponse{Permissions: list.Marshal(), Version: version}, nil
}

// nothingBelow refuses a collection without a database.
func nothingBelow(collection string) error {
	if collection != "" {
		return fmt.Errorf("%w: the collection %q of no database", ErrInvalid, collection)
	}
	return nil
}

// SetPermissions takes Admin on what the list guards, or the owner in person.
func (s *Server) SetPermissions(ctx context.Context, req *nodev1.SetPermissionsRequest) (*nodev1.SetPermissionsResponse, error) {
	switch {
	case req.GetBatch() != "" && req.GetCollection() == "":
		return nil, errNotInBatch
	case req.GetDatabase() == "":
		if err := nothingBelow(req.GetCollection()); err != nil {
			return nil, err
		}
		return s.setPermissions(ctx, req, perm.ServiceTags, func() (guardedList, error) { return s.administered(ctx) })
	case req.GetCollection() == "":
		return s.setPermissions(ctx, req, perm.DatabaseTags, func() (guardedList, error) {
			t, err := s.openList(ctx, req.GetDatabase())
			if err != nil {
				return nil, err
			}
			return t.db, nil
		})
	}
	t, c, done, err := s.openCollectionIn(ctx, req)
	if err != nil {
		return nil, err
	}
	defer done()
	list, err := perm.Parse(req.GetPermissions(), perm.CollectionTags)
	if err != nil {
		return nil, err
	}
	given, err := id.ParseVersion(req.GetVersion())
	if err != nil {
		return nil, err
	}
	if x := t.batch; x != nil {
		if err := s.batches.keep(x, len(req.GetPermissions())+readOverhead); err != nil {
			return nil, err
		}
		if err := x.tx.SetPermissions(c, list, given); err != nil {
			return nil, same(c, err)
		}
		return &nodev1.SetPermissionsResponse{Warnings: s.lockout(ctx, req, list)}, nil
	}
	version, err := t.db.SetCollectionPermissions(c, list, given, t.administer)
	if err != nil {
		return nil, same(c, err)
	}
	return &nodev1.SetPermissionsResponse{Version: version.String(), Warnings: s.lockout(ctx, req, list)}, nil
}

// guardedList has an access list that is not a row: the store, or a database.
type guardedList interface {
	Permissions() (perm.List, string)
	SetPermissions(list perm.List, version string) (string, error)
}

// administered is the store, if the caller administers it.
func (s *Server) administered(ctx context.Context) (guardedList, error) {
	_, err := s.service(ctx, perm.Admin)
	return s.opts.Rows, err
}

// setPermissions makes the change depend on the very list that let the caller make it: it reads the version first and
// then asks open whether the caller may.
func (s *Server) setPermissions(ctx context.Context, req *nodev1.SetPermissionsRequest, tags []perm.Tag, open func() (guardedList, error)) (*nodev1.SetPermissionsResponse, error) {
	on, err := open()
	if err != nil {
		return nil, err
	}
	list, err := perm.Parse(req.GetPermissions(), tags)
	if err != nil {
		return nil, err
	}
	for {
		_, version := on.Permissions()
		if _, err := open(); err != nil {
			return nil, err
		}
		if req.GetVersion() != "" {
			version = req.GetVersion()
		}
		version, err = on.SetPermissions(list, version)
		if errors.Is(err, rows.ErrConflict) && req.GetVersion() == "" && ctx.Err() == nil {
			continue
		}
		if err != nil {
			return nil, err
		}
		return &nodev1.SetPermissionsResponse{Version: version, Warnings: s.lockout(ctx, req, list)}, nil
	}
}
