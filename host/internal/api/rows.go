package api

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// Get takes Read on the collection.
func (s *Server) Get(ctx context.Context, req *nodev1.GetRequest) (*nodev1.GetResponse, error) {
	from, c, release, err := s.openReader(ctx, req)
	if err != nil {
		return nil, err
	}
	defer release()
	row, err := from.Get(c, req.GetKey())
	if err != nil {
		return nil, same(c, err)
	}
	resp := &nodev1.GetResponse{Row: &nodev1.Row{}}
	resp.Row.Key = row.Key
	fill(resp.Row, &row.Content)
	return resp, nil
}

// fill makes dst say what the row has beside its key; the value is shared.
func fill(dst *nodev1.Row, r *rows.Content) {
	dst.Value, dst.Type, dst.Raw = r.Value, r.Type, r.Raw
	if r.Version.IsZero() {
		return // written in a batch that is not committed
	}
	dst.Version = r.Version.String()
	dst.Updated = stamp(r.Time)
}

func stamp(t hlc.Time) *timestamppb.Timestamp { return timestamppb.New(t.Wall()) }

// Scan takes Read on the collection.
func (s *Server) Scan(req *nodev1.ScanRequest, stream grpc.ServerStreamingServer[nodev1.ScanResponse]) error {
	r, err := scanRange(req)
	if err != nil {
		return err
	}
	r.Reverse = req.GetReverse()
	from, c, release, err := s.openReader(stream.Context(), req)
	if err != nil {
		return err
	}
	defer release()
	out := rowBatch{send: func(list []*nodev1.Row) error { return stream.Send(&nodev1.ScanResponse{Rows: list}) }}
	var count uint64
	err = from.Scan(c, r, func(row *rows.RowView) (bool, error) {
		if req.GetKeysOnly() {
			row.Value = nil
		}
		count++
		return count != req.GetMax(), out.add(row)
	})
	if err != nil {
		return same(c, err)
	}
	return out.flush()
}

// rowBatch collects rows into messages of about messageBytes. A message once sent is never touched again.
type rowBatch struct {
	send func([]*nodev1.Row) error
	list []*nodev1.Row
	// block is where the next rows of the message are, keys and values where the next of theirs are. A row keeps its whole block in
	// memory, with the values of all rows in it, so a block is for one message alone, and no longer than the message before was.
	block  []nodev1.Row
	last   int
	keys   keyStrings
	values []byte
	size   int
}

// rowOverhead is about what a row takes in a message beside key and value.
const rowOverhead = 64

// maxRowBlock is how many rows are made together.
const maxRowBlock = 128

func (b *rowBatch) add(r *rows.RowView) error {
	if len(b.block) == 0 {
		b.block = make([]nodev1.Row, max(1, min(max(b.last, len(b.list)), maxRowBlock)))
	}
	row := &b.block[0]
	b.block = b.block[1:]
	fill(row, &r.Content)
	row.Key = b.keys.string(r.Key)
	row.Value = b.keep(r.Value)
	b.list = append(b.list, row)
	b.size += len(r.Key) + len(r.Value) + rowOverhead
	if b.size < messageBytes {
		return nil
	}
	return b.flush()
}

// keep copies a value that is valid only for now.
func (b *rowBatch) keep(value []byte) []byte {
	if len(value) > messageBytes/4 {
		return slices.Clone(value)
	}
	if len(b.values)+len(value) > cap(b.values) {
		b.values = make([]byte, 0, messageBytes)
	}
	at := len(b.values)
	b.values = append(b.values, value...)
	return b.values[at:len(b.values):len(b.values)]
}

// flush sends what there is, if anything.
func (b *rowBatch) flush() error {
	if len(b.list) == 0 {
		return nil
	}
	list := b.list
	b.list, b.size, b.block, b.last = make([]*nodev1.Row, 0, len(list)), 0, nil, len(list)
	return b.send(list)
}

// Commit takes Write on every collection that the batch writes, and Read on those it checks.
func (s *Server) Commit(ctx context.Context, req *nodev1.CommitRequest) (*nodev1.CommitResponse, error) {
	t, err := s.open(ctx, req.GetDatabase())
	if err != nil {
		return nil, err
	}
	ops, err := t.ops(req.GetOps())
	if err != nil {
		return nil, err
	}
	versions, err := t.db.Commit(ops, t.guarded())
	if err != nil {
		return nil, err
	}
	return &nodev1.CommitResponse{Versions: versionTexts(versions)}, nil
}

func versionTexts(versions []id.Version) []string {
	list := make([]string, len(versions))
	for i, v := range versions {
		list[i] = v.String()
	}
	return list
}

// guarded is guard with the decision remembered while the collection stays the same, for batches of many rows.
func (t *target) guarded() rows.Guard {
	var c id.Collection
	var allowed [rows.OpList + 1]bool
	return func(next id.Collection, list perm.List, kind rows.OpKind) error {
		if next != c {
			c, allowed = next, [rows.OpList + 1]bool{}
		}
		if allowed[kind] {
			return nil
		}
		err := t.guard(next, list, kind)
		allowed[kind] = err == nil
		return err
	}
}

func (t *target) ops(list []*nodev1.Op) ([]rows.Op, error) {
	names := collectionNames{t: t}
	return names.ops(list)
}

func (n *collectionNames) ops(list []*nodev1.Op) ([]rows.Op, error) {
	if len(list) > rows.MaxBatchOps {
		return nil, fmt.Errorf("%w: a batch of %d operations, the limit is %d", ErrInvalid, len(list), rows.MaxBatchOps)
	}
	ops := make([]rows.Op, len(list))
	for i, op := range list {
		var err error
		if ops[i], err = n.op(op); err != nil {
			return nil, &rows.OpError{Op: i, Of: len(list), Err: err}
		}
	}
	return ops, nil
}

// collectionNames reads names of collections and decides about them, remembering the last, for batches over one
// collection. It decides before anything else about an operation is looked at, so that nothing tells a collection that is
// hidden from one that does not exist.
type collectionNames struct {
	t    *target
	text string
	tag  perm.Tag
	last id.Collection
}

func (n *collectionNames) read(text string, tag perm.Tag) (id.Collection, error) {
	if text == n.text && tag == n.tag && text != "" {
		return n.last, nil
	}
	c, err := n.t.name(text)
	if err != nil {
		return c, err
	}
	if err := n.t.check(c, tag); err != nil {
		return c, err
	}
	n.text, n.tag, n.last = text, tag, c
	return c, nil
}

func (n *collectionNames) op(op *nodev1.Op) (rows.Op, error) {
	switch op := op.GetOp().(type) {
	case *nodev1.Op_Put:
		c, err := n.read(op.Put.GetCollection(), perm.Write)
		return rows.Op{
			Kind: rows.OpPut, Collection: c, Key: op.Put.GetKey(),
			Value: op.Put.GetValue(), Raw: op.Put.GetRaw(), Type: op.Put.GetType(),
		}, err
	case *nodev1.Op_Delete:
		c, err := n.read(op.Delete.GetCollection(), perm.Write)
		return rows.Op{Kind: rows.OpDelete, Collection: c, Key: op.Delete.GetKey()}, err
	case *nodev1.Op_Check:
		c, err := n.read(op.Check.GetCollection(), perm.Read)
		if err != nil {
			return rows.Op{}, err
		}
		expect, err := expectation(op.Check)
		return rows.Op{Kind: rows.OpCheck, Collection: c, Key: op.Check.GetKey(), Expect: expect}, err
	}
	return rows.Op{}, fmt.Errorf("%w: it is neither put nor delete nor check", ErrInvalid)
}

func expectation(check *nodev1.Check) (*rows.Expect, error) {
	if _, value := check.GetExpected().(*nodev1.Check_Value); !value && check.GetType() != "" {
		return nil, fmt.Errorf("%w: a check expects a type only together with a value", ErrInvalid)
	}
	switch e := check.GetExpected().(type) {
	case *nodev1.Check_Version:
		v, err := id.ParseVersion(e.Version)
		if err == nil && v.IsZero() {
			err = fmt.Errorf("%w: a check for an empty version; check for absence instead", ErrInvalid)
		}
		return &rows.Expect{Version: v}, err
	case *nodev1.Check_Absent:
		if e.Absent {
			return &rows.Expect{Absent: true}, nil
		}
	case *nodev1.Check_Value:
		return &rows.Expect{Value: e.Value, Type: check.GetType()}, nil
	}
	return nil, fmt.Errorf("%w: a check expects a version, a value or absence", ErrInvalid)
}

// History takes Read on the collection.
func (s *Server) History(ctx context.Context, req *nodev1.HistoryRequest) (*nodev1.HistoryResponse, error) {
	t, c, err := s.openCollection(ctx, req.GetDatabase(), req.GetCollection(), perm.Read)
	if err != nil {
		return nil, err
	}
	head, nodes, err := t.db.History(c, req.GetKey())
	if err != nil {
		return nil, same(c, err)
	}
	resp := &nodev1.HistoryResponse{Head: head.String(), Heads: headsOf(head, nodes)}
	budget := MaxMessageBytes / 2
	for i := range nodes {
		v := historyVersion(&nodes[i])
		if budget -= len(v.Value); budget < 0 {
			v.Value = nil // the graph is what was asked for; values are an extra while they fit
		}
		resp.Versions = append(resp.Versions, v)
	}
	return resp, nil
}

// headsOf lists the heads of a row in conflict, the current version first.
func headsOf(head id.Version, nodes []rows.Node) []string {
	list := []string{head.String()}
	for i := range nodes {
		if nodes[i].Head && nodes[i].Version != head {
			list = append(list, nodes[i].Version.String())
		}
	}
	if len(list) < 2 {
		return nil
	}
	return list
}

func historyVersion(n *rows.Node) *nodev1.HistoryVersion {
	v := &nodev1.HistoryVersion{
		Version: n.Version.String(), Device: n.Version.Writer.Device.String(), Time: stamp(n.Time),
		Deleted: n.Deleted, Batch: n.Batch.String(), Value: n.Value, Raw: n.Raw,
	}
	for _, p := range n.Parents {
		v.Parents = append(v.Parents, p.String())
	}
	return v
}
