package client

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"

	"google.golang.org/grpc"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// Permissions is an access list: for each tag (Admin, Read, Write, and for databases Resolve) who has it.
type Permissions map[string]Access

// Access holds patterns of principals. "a/b" stands for a/b and everything that extends it, "a/b/$" for a/b alone, "..."
// for everybody who has proven to be somebody. NotIn wins over In.
type Access struct {
	In    []string `json:"in,omitempty"`
	NotIn []string `json:"not_in,omitempty"`
}

// encode gives the form on the wire; no list at all is no bytes.
func (p Permissions) encode() ([]byte, error) {
	if p == nil {
		return nil, nil
	}
	return json.Marshal(p)
}

func decodePermissions(data []byte) (Permissions, error) {
	var p Permissions
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, fmt.Errorf("access list from the daemon: %w", err)
	}
	return p, nil
}

// Database is a database by name. It need not exist.
type Database struct {
	c    *Client
	name string
}

// Database names a database: "name" for one of the caller's own, "owner:name" for any.
func (c *Client) Database(name string) *Database { return &Database{c: c, name: name} }

// Name returns the name that was given.
func (d *Database) Name() string { return d.name }

// Create makes the database and returns its full name. Without permissions the owner gets everything.
func (d *Database) Create(ctx context.Context, permissions Permissions) (string, error) {
	list, err := permissions.encode()
	if err != nil {
		return "", err
	}
	resp, err := d.c.api.CreateDatabase(ctx, &nodev1.CreateDatabaseRequest{Database: d.name, Permissions: list})
	return resp.GetDatabase(), d.c.failure(err)
}

// Exists tells whether the database is there. For who may not know of it, it is not.
func (d *Database) Exists(ctx context.Context) (bool, error) {
	_, err := d.c.api.GetDatabase(ctx, &nodev1.GetDatabaseRequest{Database: d.name})
	return exists(d.c.failure(err))
}

// Destroy removes the database with everything in it, on this daemon only. Destroying what is not there does nothing.
func (d *Database) Destroy(ctx context.Context) error {
	_, err := d.destroy(ctx)
	return err
}

// DestroyExisting is Destroy that fails with ErrNotFound if there is nothing to destroy: of several that destroy it at a time, all
// but one do.
func (d *Database) DestroyExisting(ctx context.Context) error {
	existed, err := d.destroy(ctx)
	return was(existed, err, "database", d.name)
}

func (d *Database) destroy(ctx context.Context) (existed bool, err error) {
	resp, err := d.c.api.DestroyDatabase(ctx, &nodev1.DestroyDatabaseRequest{Database: d.name})
	return resp.GetExisted(), d.c.failure(err)
}

// was fails for what was not there.
func was(existed bool, err error, kind, name string) error {
	if err == nil && !existed {
		return &Error{Message: fmt.Sprintf("%s %s: not found", kind, name), kind: ErrNotFound}
	}
	return err
}

// Permissions returns the access list and the version it has.
func (d *Database) Permissions(ctx context.Context) (list Permissions, version string, err error) {
	return d.c.permissions(ctx, &nodev1.GetPermissionsRequest{Database: d.name})
}

// SetPermissions replaces the access list and returns its new version. With a version it fails with ErrConflict unless
// the list still has that one.
func (d *Database) SetPermissions(ctx context.Context, list Permissions, version string) (string, error) {
	return d.setPermissions(ctx, "", list, version)
}

func (d *Database) setPermissions(ctx context.Context, collection string, list Permissions, version string) (string, error) {
	return d.c.setPermissions(ctx, &nodev1.SetPermissionsRequest{Database: d.name, Collection: collection, Version: version}, list)
}

// Permissions returns the access list of the daemon as a whole and the version it has.
func (c *Client) Permissions(ctx context.Context) (list Permissions, version string, err error) {
	return c.permissions(ctx, &nodev1.GetPermissionsRequest{})
}

// SetPermissions is as for a database. The tags are Admin, Read (see every database) and Write (create databases). The
// daemon's owner in person keeps everything, whatever the list says.
func (c *Client) SetPermissions(ctx context.Context, list Permissions, version string) (string, error) {
	return c.setPermissions(ctx, &nodev1.SetPermissionsRequest{Version: version}, list)
}

func (c *Client) permissions(ctx context.Context, req *nodev1.GetPermissionsRequest) (Permissions, string, error) {
	resp, err := c.api.GetPermissions(ctx, req)
	if err != nil {
		return nil, "", c.failure(err)
	}
	list, err := decodePermissions(resp.GetPermissions())
	return list, resp.GetVersion(), err
}

func (c *Client) setPermissions(ctx context.Context, req *nodev1.SetPermissionsRequest, list Permissions) (string, error) {
	var err error
	if req.Permissions, err = list.encode(); err != nil {
		return "", err
	}
	resp, err := c.api.SetPermissions(ctx, req)
	return resp.GetVersion(), c.failure(err)
}

// Collections lists the collections by full name.
func (d *Database) Collections(ctx context.Context) iter.Seq2[string, error] {
	return d.collections(ctx, "")
}

func (d *Database) collections(ctx context.Context, batch string) iter.Seq2[string, error] {
	return list(ctx, d.c, func(ctx context.Context) (grpc.ServerStreamingClient[nodev1.ListCollectionsResponse], error) {
		return d.c.api.ListCollections(ctx, &nodev1.ListCollectionsRequest{Database: d.name, Batch: batch})
	}, (*nodev1.ListCollectionsResponse).GetCollection)
}
