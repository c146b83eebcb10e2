package client

import (
	"context"
	"iter"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// Collections lists the collections as the batch has them, by full name. Which there are counts as read.
func (t *Tx) Collections(ctx context.Context) iter.Seq2[string, error] {
	return t.db.collections(ctx, t.handle)
}

// CreateCollection makes an empty collection in the batch; nil permissions give its owner everything. It fails with
// ErrExists if the batch has one of the name. If another makes one before the batch commits, that fails with ErrConflict.
func (t *Tx) CreateCollection(ctx context.Context, c *Collection, list Permissions) error {
	if err := t.db.owns(c); err != nil {
		return err
	}
	data, err := list.encode()
	if err != nil {
		return err
	}
	_, err = t.db.c.api.CreateCollection(ctx, &nodev1.CreateCollectionRequest{
		Database: t.db.name, Collection: c.name, Permissions: data, Batch: t.handle,
	})
	return t.db.c.failure(err)
}

// DestroyCollection ends a collection in the batch, with what the batch has written to it. It may be made anew in the same
// batch, and is then empty.
func (t *Tx) DestroyCollection(ctx context.Context, c *Collection) error {
	if err := t.db.owns(c); err != nil {
		return err
	}
	_, err := t.db.c.api.DestroyCollection(ctx, &nodev1.DestroyCollectionRequest{
		Database: t.db.name, Collection: c.name, Batch: t.handle,
	})
	return t.db.c.failure(err)
}

// Permissions returns the access list of a collection as the batch has it, and its version, which is empty once the batch
// has replaced the list.
func (t *Tx) Permissions(ctx context.Context, c *Collection) (list Permissions, version string, err error) {
	if err := t.db.owns(c); err != nil {
		return nil, "", err
	}
	return t.db.c.permissions(ctx, &nodev1.GetPermissionsRequest{Database: t.db.name, Collection: c.name, Batch: t.handle})
}

// SetPermissions replaces the access list of a collection in the batch. It takes Admin under the list before the batch, and
// what the batch writes takes Write under the list before it or after it: a batch that lends itself a right for a moment is
// refused as a whole.
func (t *Tx) SetPermissions(ctx context.Context, c *Collection, list Permissions) error {
	if err := t.db.owns(c); err != nil {
		return err
	}
	_, err := t.db.c.setPermissions(ctx, &nodev1.SetPermissionsRequest{
		Database: t.db.name, Collection: c.name, Batch: t.handle,
	}, list)
	return err
}
