package peer

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	peerv1 "github.com/syncbase/syncbase/sdk/api/peer/v1"
)

// Comparer answers comparisons. What it is asked has been checked; whether the caller may have it is for it to decide, and
// ErrNotFound when there is nothing that it may have.
type Comparer interface {
	Compare(ctx context.Context, caller Caller, database id.Name, theirs []delta.Fingerprint) ([]delta.Verdict, error)
	Versions(ctx context.Context, caller Caller, database id.Name, scope id.Scope, buckets uint64, visit func(delta.RowVersion) error) error
	Records(ctx context.Context, caller Caller, database id.Name, scope id.Scope, list []delta.RowVersion, visit func(commit []byte) error) error
}

// comparison answers peers.
type comparison struct {
	peerv1.UnimplementedComparisonServiceServer
	sessions *Sessions
}

// comparer returns who answers, and who asks for what.
func (v *comparison) comparer(ctx context.Context, m *peerv1.Name) (Comparer, Caller, id.Name, error) {
	_, caller, err := v.sessions.callerOf(ctx)
	if err != nil {
		return nil, caller, id.Name{}, err
	}
	if caller.Device == (id.Device{}) {
		return nil, caller, id.Name{}, invalid(errors.New("a call before the hello"))
	}
	database, err := decodeName(m)
	if err != nil {
		return nil, caller, database, invalid(fmt.Errorf("a database: %w", err))
	}
	return v.sessions.opts.Comparer, caller, database, nil
}

func (v *comparison) Compare(ctx context.Context, req *peerv1.CompareRequest) (*peerv1.CompareResponse, error) {
	c, caller, database, err := v.comparer(ctx, req.GetDatabase())
	if err != nil {
		return nil, err
	}
	theirs, err := decodeFingerprints(req.GetFingerprints())
	if err != nil {
		return nil, invalid(err)
	}
	if c == nil {
		return v.UnimplementedComparisonServiceServer.Compare(ctx, req)
	}
	verdicts, err := c.Compare(ctx, caller, database, theirs)
	if err != nil {
		return nil, v.sessions.toStatus(err)
	}
	resp := &peerv1.CompareResponse{}
	for _, d := range verdicts {
		resp.Verdicts = append(resp.Verdicts, &peerv1.Verdict{Scope: encodeScope(d.Scope), Level: d.Level, Differing: d.Differing})
	}
	return resp, nil
}

func (v *comparison) ListVersions(req *peerv1.ListVersionsRequest, stream grpc.ServerStreamingServer[peerv1.ListVersionsResponse]) error {
	c, caller, database, err := v.comparer(stream.Context(), req.GetDatabase())
	if err != nil {
		return err
	}
	scope, err := decodeScope(req.GetScope())
	if err != nil {
		return invalid(err)
	}
	if c == nil {
		return v.UnimplementedComparisonServiceServer.ListVersions(req, stream)
	}
	var page []delta.RowVersion
	flush := func() error {
		if len(page) == 0 {
			return nil
		}
		err := stream.Send(&peerv1.ListVersionsResponse{Versions: encodeVersions(page)})
		page = page[:0]
		return err
	}
	err = c.Versions(stream.Context(), caller, database, scope, req.GetBuckets(), func(r delta.RowVersion) error {
		if page = append(page, r); len(page) < maxVersions {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	return v.sessions.toStatus(err)
}

func (v *comparison) GetRecords(req *peerv1.GetRecordsRequest, stream grpc.ServerStreamingServer[peerv1.GetRecordsResponse]) error {
	c, caller, database, err := v.comparer(stream.Context(), req.GetDatabase())
	if err != nil {
		return err
	}
	scope, err := decodeScope(req.GetScope())
	if err != nil {
		return invalid(err)
	}
	versions, err := decodeVersions(req.GetVersions())
	if err != nil {
		return invalid(err)
	}
	if c == nil {
		return v.UnimplementedComparisonServiceServer.GetRecords(req, stream)
	}
	return v.sessions.toStatus(c.Records(stream.Context(), caller, database, scope, versions, func(commit []byte) error {
		return stream.Send(&peerv1.GetRecordsResponse{Commit: commit})
	}))
}

// Compare asks a peer how fingerprints compare with its own; at most 64. It leaves out those that it says nothing about.
func (l *Link) Compare(ctx context.Context, database id.Name, mine []delta.Fingerprint) ([]delta.Verdict, error) {
	resp, err := l.compare.Compare(ctx, &peerv1.CompareRequest{Database: encodeName(database), Fingerprints: encodeFingerprints(mine)})
	if err != nil {
		return nil, l.failed(err)
	}
	verdicts, err := decodeVerdicts(resp.GetVerdicts(), mine)
	if err != nil {
		return nil, l.failed(violation("%w", err))
	}
	return verdicts, nil
}

// Versions visits what the peer has in the buckets of a scope, some versions at a time.
func (l *Link) Versions(ctx context.Context, database id.Name, scope id.Scope, buckets uint64, visit func([]delta.RowVersion) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := l.compare.ListVersions(ctx, &peerv1.ListVersionsRequest{
		Database: encodeName(database), Scope: encodeScope(scope), Buckets: buckets,
	}, grpc.MaxCallRecvMsgSize(maxMessage))
	if err != nil {
		return l.failed(err)
	}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return l.failed(err)
		}
		list, err := decodeVersions(m.GetVersions())
		if err != nil {
			return l.failed(violation("%w", err))
		}
		for i := range list {
			if !scope.Has(scope.Collection, list[i].Key) || buckets&(1<<delta.Bucket(list[i].Key)) == 0 {
				return l.failed(violation("a version of %q, which was not asked for", list[i].Key))
			}
		}
		if err := visit(list); err != nil {
			return err
		}
	}
}

// Records visits the records of versions, at most 1,000, as encoded commits, which are not verified.
func (l *Link) Records(ctx context.Context, database id.Name, scope id.Scope, list []delta.RowVersion, visit func(commit []byte) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := l.compare.GetRecords(ctx, &peerv1.GetRecordsRequest{
		Database: encodeName(database), Scope: encodeScope(scope), Versions: encodeVersions(list),
	}, grpc.MaxCallRecvMsgSize(maxMessage))
	if err != nil {
		return l.failed(err)
	}
	for n := 0; ; n++ {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return l.failed(err)
		}
		if size := len(m.GetCommit()); size == 0 || size > maxCommit || n == len(list) {
			return l.failed(violation("record %d of %d bytes in answer to %d versions", n+1, size, len(list)))
		}
		if err := visit(m.GetCommit()); err != nil {
			return err
		}
	}
}
