package client

import (
	"context"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// Op is one operation of a batch; the methods of Collection make them, for batches of the same database.
type Op struct {
	op *nodev1.Op
	// db is the database of the collection.
	db *Database
}

// PutOp writes a row; the value is as for Put.
func (c *Collection) PutOp(key string, value any) (Op, error) {
	v, err := valueOf(value)
	if err != nil {
		return Op{}, err
	}
	var p struct { // at once, as there are many of them
		op  nodev1.Op
		is  nodev1.Op_Put
		put nodev1.Put
	}
	p.put.Collection, p.put.Key, p.put.Value, p.put.Type, p.put.Raw = c.name, key, v.Bytes, v.Type, v.Raw
	p.is.Put, p.op.Op = &p.put, &p.is
	return c.op(&p.op), nil
}

// DeleteOp removes a row if it is there.
func (c *Collection) DeleteOp(key string) Op {
	return c.op(&nodev1.Op{Op: &nodev1.Op_Delete{Delete: &nodev1.Delete{Collection: c.name, Key: key}}})
}

// CheckVersionOp makes the batch fail with ErrConflict unless the row has the version.
func (c *Collection) CheckVersionOp(key, version string) Op {
	return c.check(&nodev1.Check{Key: key, Expected: &nodev1.Check_Version{Version: version}})
}

// CheckAbsentOp makes the batch fail with ErrConflict if the row exists.
func (c *Collection) CheckAbsentOp(key string) Op {
	return c.check(&nodev1.Check{Key: key, Expected: &nodev1.Check_Absent{Absent: true}})
}

// CheckValueOp makes the batch fail with ErrConflict unless the row has the value, byte for byte, and, if the value
// names one, its type.
func (c *Collection) CheckValueOp(key string, value any) (Op, error) {
	v, err := valueOf(value)
	if err != nil {
		return Op{}, err
	}
	return c.check(&nodev1.Check{Key: key, Expected: &nodev1.Check_Value{Value: v.Bytes}, Type: v.Type}), nil
}

func (c *Collection) check(check *nodev1.Check) Op {
	check.Collection = c.name
	return c.op(&nodev1.Op{Op: &nodev1.Op_Check{Check: check}})
}

func (c *Collection) op(op *nodev1.Op) Op { return Op{op: op, db: c.db} }

// Commit applies the operations together: all of them or, after an error, none. When it returns they are as durable as the
// database is set to make them. There is one version for each operation, empty for checks and for deletes of absent rows. At
// most 100,000 operations and 32 MiB; checks see the state before them, and of several writes of one row the last counts. To
// read before writing, use RunInBatch. Operations of collections of another database are refused with ErrInvalid; databases
// are the same when they were named alike, by clients of one daemon with one certificate.
func (d *Database) Commit(ctx context.Context, ops ...Op) (versions []string, err error) {
	list, err := d.own(ops)
	if err != nil {
		return nil, err
	}
	req := &nodev1.CommitRequest{Database: d.name, Ops: list}
	size, err := fits(req, req.Ops)
	if err != nil {
		return nil, err
	}
	leave, err := d.c.large.enter(ctx, size)
	if err != nil {
		return nil, d.c.failed(ctx)
	}
	defer leave()
	others := d.c.pipes.under.Add(1) - 1
	defer d.c.pipes.under.Add(-1)
	if others > 0 {
		if versions, err, piped := d.c.pipedCommit(ctx, d.name, req.Ops); piped {
			return versions, err
		}
	}
	resp, err := d.c.api.Commit(ctx, req)
	return resp.GetVersions(), d.c.failure(err)
}
