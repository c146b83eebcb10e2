package api

import (
	"context"
	"fmt"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// ranged is a request that selects rows.
type ranged interface {
	GetPrefix() string
	GetStart() string
	GetLimit() string
}

func scanRange(req ranged) (rows.ScanRange, error) {
	r := rows.ScanRange{Prefix: req.GetPrefix(), Start: req.GetStart(), Limit: req.GetLimit()}
	if r.Prefix != "" && (r.Start != "" || r.Limit != "") {
		return r, fmt.Errorf("%w: a prefix excludes start and limit", ErrInvalid)
	}
	return r, boundKeys(r.Prefix, r.Start, r.Limit)
}

// boundKeys refuses texts that no key can begin with or lie beside.
func boundKeys(keys ...string) error {
	for _, key := range keys {
		if len(key) > id.MaxKeyLen+1 {
			return fmt.Errorf("%w: a key of %d bytes, the limit is %d", ErrInvalid, len(key), id.MaxKeyLen)
		}
	}
	return nil
}

// deleteRangeOps is how many rows one commit of DeleteRange deletes.
const deleteRangeOps = 10_000

// DeleteRange takes Write on the collection. It passes over the range once, in bounded commits: when it is cut short, the
// rows before some key are gone; what is written meanwhile may stay.
func (s *Server) DeleteRange(ctx context.Context, req *nodev1.DeleteRangeRequest) (*nodev1.DeleteRangeResponse, error) {
	r, err := scanRange(req)
	if err != nil {
		return nil, err
	}
	t, c, err := s.openCollection(ctx, req.GetDatabase(), req.GetCollection(), perm.Write)
	if err != nil {
		return nil, err
	}
	if r.Prefix != "" {
		r = rows.ScanRange{Start: r.Prefix, Limit: string(kv.PrefixEnd([]byte(r.Prefix)))}
	}
	resp := &nodev1.DeleteRangeResponse{}
	for {
		ops, err := t.deletes(c, r)
		if err != nil || len(ops) == 0 {
			return resp, same(c, err)
		}
		versions, err := t.db.Commit(ops, t.guarded())
		for _, v := range versions {
			if !v.IsZero() {
				resp.Deleted++
			}
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || len(ops) < deleteRangeOps {
			return resp, same(c, err)
		}
		r.Start = ops[len(ops)-1].Key
	}
}

// deletes lists deletes of the next rows of the range.
func (t *target) deletes(c id.Collection, r rows.ScanRange) ([]rows.Op, error) {
	var ops []rows.Op
	err := t.db.Scan(c, r, func(row *rows.RowView) (bool, error) {
		ops = append(ops, rows.Op{Kind: rows.OpDelete, Collection: c, Key: string(row.Key)})
		return len(ops) < deleteRangeOps, nil
	})
	return ops, err
}
