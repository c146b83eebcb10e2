package api

import (
	"context"
	"errors"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// BeginBatch takes any tag on the database. Every read and write in the batch is then checked against the access lists as
// they are at that time, and every write once more when the batch is committed.
func (s *Server) BeginBatch(ctx context.Context, req *nodev1.BeginBatchRequest) (*nodev1.BeginBatchResponse, error) {
	t, err := s.open(ctx, req.GetDatabase())
	if err != nil {
		return nil, err
	}
	handle, err := s.batches.begin(ctx, connectionOf(ctx), t.caller, t.db, req.GetReadOnly())
	if err != nil {
		return nil, err
	}
	return &nodev1.BeginBatchResponse{Batch: handle, Expires: timestamppb.New(time.Now().Add(batchIdle))}, nil
}

// reader is a database, or an open batch.
type reader interface {
	Get(c id.Collection, key string) (rows.Row, error)
	Scan(c id.Collection, r rows.ScanRange, visit func(*rows.RowView) (bool, error)) error
}

// reading is a request that reads a collection, perhaps in a batch.
type reading interface {
	GetDatabase() string
	GetCollection() string
	GetBatch() string
}

// openReader finds a collection that the caller may read, and where to read it. The caller calls release in the end.
func (s *Server) openReader(ctx context.Context, req reading) (r reader, c id.Collection, release func(), err error) {
	t, err := s.open(ctx, req.GetDatabase())
	if err != nil {
		return nil, c, nil, err
	}
	r, release = t.db, func() {}
	if handle := req.GetBatch(); handle != "" {
		x, done, err := t.enterBatch(handle)
		if err != nil {
			return nil, c, nil, err
		}
		r, release = batchReader{s.batches, x}, done
	}
	if c, err = t.name(req.GetCollection()); err == nil {
		err = t.check(c, perm.Read)
	}
	if err != nil {
		release()
	}
	return r, c, release, err
}

// readOverhead is about what a batch keeps of a read beside the key.
const readOverhead = 128

// batchReader reads in a batch and counts what the batch has to remember of it.
type batchReader struct {
	b *batches
	x *openBatch
}

func (r batchReader) Get(c id.Collection, key string) (rows.Row, error) {
	if err := id.ValidateKey(key); err != nil {
		return rows.Row{}, err
	}
	if err := r.b.keep(r.x, len(key)+readOverhead); err != nil {
		return rows.Row{}, err
	}
	return r.x.tx.Get(c, key)
}

func (r batchReader) Scan(c id.Collection, rg rows.ScanRange, visit func(*rows.RowView) (bool, error)) error {
	if err := r.b.keep(r.x, len(rg.Prefix)+len(rg.Start)+len(rg.Limit)+readOverhead); err != nil {
		return err
	}
	return r.x.tx.Scan(c, rg, visit)
}

// of is the database of a batch as its caller sees it now.
func (s *Server) of(x *openBatch) (*target, error) {
	t := &target{s: s, caller: x.caller, db: x.db, batch: x}
	return t, t.refresh()
}

// WriteBatch takes Write on every collection that it writes.
func (s *Server) WriteBatch(ctx context.Context, req *nodev1.WriteBatchRequest) (*nodev1.WriteBatchResponse, error) {
	caller, err := s.caller(ctx)
	if err != nil {
		return nil, err
	}
	x, err := s.batches.use(req.GetBatch(), caller)
	if err != nil {
		return nil, err
	}
	defer s.batches.release(x)
	t, err := s.of(x)
	if err != nil {
		return nil, err
	}
	ops, err := t.ops(req.GetOps())
	if err != nil {
		return nil, err
	}
	size := 0
	for i := range ops {
		size += len(ops[i].Key) + len(ops[i].Value) + readOverhead
	}
	if err := s.batches.keep(x, size); err != nil {
		return nil, err
	}
	return &nodev1.WriteBatchResponse{}, x.tx.Write(ops...)
}

// CommitBatch takes Write on every collection that the batch has written, at this moment.
func (s *Server) CommitBatch(ctx context.Context, req *nodev1.CommitBatchRequest) (*nodev1.CommitBatchResponse, error) {
	x, err := s.take(ctx, req.GetBatch())
	if err != nil {
		return nil, err
	}
	t, err := s.of(x)
	if err == nil {
		_, err = x.tx.Commit(t.guarded())
	}
	if err != nil {
		// A commit that failed has ended the batch, but for one that was refused before it began.
		return nil, errors.Join(err, x.tx.Abort())
	}
	return &nodev1.CommitBatchResponse{}, nil
}

// AbortBatch takes nothing but that the batch is the caller's.
func (s *Server) AbortBatch(ctx context.Context, req *nodev1.AbortBatchRequest) (*nodev1.AbortBatchResponse, error) {
	x, err := s.take(ctx, req.GetBatch())
	if err != nil {
		return nil, err
	}
	return &nodev1.AbortBatchResponse{}, x.tx.Abort()
}

// take finds a batch of the caller's that is about to end.
func (s *Server) take(ctx context.Context, handle string) (*openBatch, error) {
	caller, err := s.caller(ctx)
	if err != nil {
		return nil, err
	}
	return s.batches.take(handle, caller)
}
