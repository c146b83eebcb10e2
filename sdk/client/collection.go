package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// Value is what a row holds.
type Value struct {
	// Bytes are JSON text unless Raw is set. They are stored and returned as they are, at most 4 MiB.
	Bytes []byte
	Raw   bool
	// Type may name what the value is, for rules about conflicts; usually empty.
	Type string
}

// valueOf reads what an application hands over: a Value or json.RawMessage goes as it is, the rest through encoding/json, which
// must not have to change a text for that.
func valueOf(v any) (Value, error) {
	switch v := v.(type) {
	case Value:
		return v, nil
	case json.RawMessage:
		return Value{Bytes: v}, nil
	}
	data, err := marshal(v)
	if err != nil {
		return Value{}, &Error{Message: fmt.Sprintf("value of type %T: %v", v, err), kind: ErrInvalid}
	}
	return Value{Bytes: data}, nil
}

// Row is a row as it stands.
type Row struct {
	Key     string
	Value   Value
	Version string
	Updated time.Time
}

// Decode reads the value of a row into v with encoding/json.
func (r Row) Decode(v any) error {
	if r.Value.Raw {
		return fmt.Errorf("row %q holds bytes, not JSON", r.Key)
	}
	if err := json.Unmarshal(r.Value.Bytes, v); err != nil {
		return fmt.Errorf("row %q: %w", r.Key, err)
	}
	return nil
}

func rowOf(r *nodev1.Row) Row {
	return Row{
		Key: r.GetKey(), Value: Value{Bytes: r.GetValue(), Raw: r.GetRaw(), Type: r.GetType()},
		Version: r.GetVersion(), Updated: timeOf(r.GetUpdated()),
	}
}

// Collection is a collection by name. It need not exist.
type Collection struct {
	db   *Database
	name string
}

// Collection names a collection: "name" for one of the caller's own, "owner:name" for any.
func (d *Database) Collection(name string) *Collection { return &Collection{db: d, name: name} }

// Name returns the name that was given.
func (c *Collection) Name() string { return c.name }

// Create makes the collection and returns its full name. Without permissions the owner gets everything.
func (c *Collection) Create(ctx context.Context, permissions Permissions) (string, error) {
	list, err := permissions.encode()
	if err != nil {
		return "", err
	}
	resp, err := c.db.c.api.CreateCollection(ctx, &nodev1.CreateCollectionRequest{
		Database: c.db.name, Collection: c.name, Permissions: list,
	})
	return resp.GetCollection(), c.db.c.failure(err)
}

// Destroy deletes the collection with all its rows, on every device that shares it. Destroying what is not there does
// nothing.
func (c *Collection) Destroy(ctx context.Context) error {
	_, err := c.destroy(ctx)
	return err
}

// DestroyExisting is Destroy that fails with ErrNotFound if there is nothing to destroy.
func (c *Collection) DestroyExisting(ctx context.Context) error {
	existed, err := c.destroy(ctx)
	return was(existed, err, "collection", c.name)
}

func (c *Collection) destroy(ctx context.Context) (existed bool, err error) {
	resp, err := c.db.c.api.DestroyCollection(ctx, &nodev1.DestroyCollectionRequest{Database: c.db.name, Collection: c.name})
	return resp.GetExisted(), c.db.c.failure(err)
}

// Permissions returns the access list and the version it has.
func (c *Collection) Permissions(ctx context.Context) (list Permissions, version string, err error) {
	return c.db.c.permissions(ctx, &nodev1.GetPermissionsRequest{Database: c.db.name, Collection: c.name})
}

// SetPermissions is as for a database.
func (c *Collection) SetPermissions(ctx context.Context, list Permissions, version string) (string, error) {
	return c.db.setPermissions(ctx, c.name, list, version)
}

// Get reads a row, or fails with ErrNotFound.
func (c *Collection) Get(ctx context.Context, key string) (Row, error) {
	resp, err := c.db.c.api.Get(ctx, &nodev1.GetRequest{Database: c.db.name, Collection: c.name, Key: key})
	if err != nil {
		return Row{}, c.db.c.failure(err)
	}
	return rowOf(resp.GetRow()), nil
}

// Put writes a row and returns its version. The value is encoded with encoding/json, unless it is a Value or a
// json.RawMessage, which are stored byte for byte. A text in it that is not UTF-8, which JSON cannot hold, is ErrInvalid.
func (c *Collection) Put(ctx context.Context, key string, value any) (version string, err error) {
	op, err := c.PutOp(key, value)
	if err != nil {
		return "", err
	}
	return c.one(ctx, op)
}

// Delete removes a row and returns the version of its absence, which is empty when there was no row.
func (c *Collection) Delete(ctx context.Context, key string) (version string, err error) {
	return c.one(ctx, c.DeleteOp(key))
}

func (c *Collection) one(ctx context.Context, op Op) (string, error) {
	versions, err := c.db.Commit(ctx, op)
	if err != nil || len(versions) == 0 {
		return "", err
	}
	return versions[0], nil
}

// Range selects rows in byte order of their keys: those with the prefix, or else Start <= key < Limit, where
// empty means no bound. The zero Range selects all.
type Range struct {
	Prefix, Start, Limit string
	// Max is the largest number of rows; 0 for all.
	Max uint64
	// KeysOnly leaves the values away.
	KeysOnly bool
	// Reverse begins at the end.
	Reverse bool
}

// Scan iterates over rows as they were at one moment. An error is the last thing yielded.
func (c *Collection) Scan(ctx context.Context, r Range) iter.Seq2[Row, error] {
	return c.db.scan(ctx, c, r, "")
}

// Has tells whether the row is there, without fetching its value.
func (c *Collection) Has(ctx context.Context, key string) (bool, error) {
	for row, err := range c.Scan(ctx, Range{Start: key, Limit: key + "\x00", Max: 1, KeysOnly: true}) {
		return err == nil && row.Key == key, err
	}
	return false, nil
}

// Exists tells whether the collection is there. For who may not know of it, it is not.
func (c *Collection) Exists(ctx context.Context) (bool, error) {
	var err error
	for _, err = range c.Scan(ctx, Range{Max: 1, KeysOnly: true}) {
		break
	}
	return exists(err)
}

// exists reads what came of a try to enter something.
func exists(err error) (bool, error) {
	switch {
	case err == nil, errors.Is(err, ErrNoAccess):
		return true, nil
	case errors.Is(err, ErrNotFound):
		return false, nil
	}
	return false, err
}

// DeleteRange deletes the rows of the range and returns how many there were; the rest of it has no meaning here. It is
// not one batch: when it fails, the first rows of the range may be gone, and calling it again goes on.
func (c *Collection) DeleteRange(ctx context.Context, r Range) (deleted uint64, err error) {
	resp, err := c.db.c.api.DeleteRange(ctx, &nodev1.DeleteRangeRequest{
		Database: c.db.name, Collection: c.name, Prefix: r.Prefix, Start: r.Start, Limit: r.Limit,
	})
	return resp.GetDeleted(), c.db.c.failure(err)
}

// Version is one version in the graph of a row.
type Version struct {
	Version string
	// Parents are the versions it was made from, including those that lost a conflict against it.
	Parents []string
	Device  string
	Time    time.Time
	Deleted bool
	// Batch names the batch that it was written in.
	Batch string
	// Value may be left away where a history is very large.
	Value Value
	// Head: no other version follows from it. There are several only while the row is in conflict.
	Head bool
}

// History returns the current version of a row and its version graph as far as it is kept, newest first.
func (c *Collection) History(ctx context.Context, key string) (head string, versions []Version, err error) {
	resp, err := c.db.c.api.History(ctx, &nodev1.HistoryRequest{Database: c.db.name, Collection: c.name, Key: key})
	if err != nil {
		return "", nil, c.db.c.failure(err)
	}
	for _, v := range resp.GetVersions() {
		isHead := v.GetVersion() == resp.GetHead() || slices.Contains(resp.GetHeads(), v.GetVersion())
		versions = append(versions, Version{
			Version: v.GetVersion(), Parents: v.GetParents(), Device: v.GetDevice(), Time: timeOf(v.GetTime()),
			Deleted: v.GetDeleted(), Batch: v.GetBatch(), Value: Value{Bytes: v.GetValue(), Raw: v.GetRaw()}, Head: isHead,
		})
	}
	return resp.GetHead(), versions, nil
}
