package api

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
)

const (
	// maxPutData bounds the data of one message of PutBlob.
	maxPutData = 1 << 20
	// maxGetData bounds the data of one message of GetBlob.
	maxGetData = 256 << 10
	// maxRef bounds the text of a reference, in bytes.
	maxRef = 256
)

func (s *Server) blobs() (Blobs, error) {
	if s.opts.Blobs == nil {
		return nil, fmt.Errorf("%w: this daemon keeps no blobs; name a plugin of kind blobstore under blobs.store", ErrPrecondition)
	}
	return s.opts.Blobs, nil
}

// openBlob is openFor together with the store and a reference that is not out of bounds.
func (s *Server) openBlob(ctx context.Context, database, ref string) (*target, Blobs, error) {
	t, err := s.openFor(ctx, database, perm.Read)
	if err != nil {
		return nil, nil, err
	}
	if ref == "" || len(ref) > maxRef {
		return nil, nil, fmt.Errorf("%w: a reference of %d bytes, want 1 to %d", ErrInvalid, len(ref), maxRef)
	}
	store, err := s.blobs()
	return t, store, err
}

// blobs are those that the caller may have. Who may not read a row learns neither what it refers to nor the bytes of that.
func (t *target) blobs() BlobScope {
	decided := map[id.Collection]bool{}
	return BlobScope{DB: t.db.Num(), MayRead: func(c id.Collection) bool {
		may, known := decided[c]
		if !known {
			may = t.check(c, perm.Read) == nil
			decided[c] = may
		}
		return may
	}}
}

// PutBlob takes Write on the database.
func (s *Server) PutBlob(stream grpc.ClientStreamingServer[nodev1.PutBlobRequest, nodev1.PutBlobResponse]) error {
	first, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: the first message has to name the database", ErrInvalid)
	}
	if err != nil {
		return err
	}
	t, err := s.openFor(stream.Context(), first.GetDatabase(), perm.Write)
	if err != nil {
		return err
	}
	store, err := s.blobs()
	if err != nil {
		return err
	}
	in := &uploaded{stream: stream, rest: first.GetData()}
	if len(in.rest) > maxPutData {
		return in.tooLarge(len(in.rest))
	}
	ref, size, err := store.Put(stream.Context(), t.db.Num(), in)
	if err != nil {
		return err
	}
	return stream.SendAndClose(&nodev1.PutBlobResponse{Ref: ref, Size: size})
}

// uploaded reads the bytes that a client streams.
type uploaded struct {
	stream grpc.ClientStreamingServer[nodev1.PutBlobRequest, nodev1.PutBlobResponse]
	rest   []byte
}

func (u *uploaded) Read(p []byte) (int, error) {
	for len(u.rest) == 0 {
		msg, err := u.stream.Recv()
		if err != nil {
			return 0, err
		}
		if len(msg.GetData()) > maxPutData {
			return 0, u.tooLarge(len(msg.GetData()))
		}
		u.rest = msg.GetData()
	}
	n := copy(p, u.rest)
	u.rest = u.rest[n:]
	return n, nil
}

func (*uploaded) tooLarge(n int) error {
	return fmt.Errorf("%w: %d bytes in one message, the limit is %d", ErrInvalid, n, maxPutData)
}

// GetBlob takes Read on the database, and of the blob as BlobScope says.
func (s *Server) GetBlob(req *nodev1.GetBlobRequest, stream grpc.ServerStreamingServer[nodev1.GetBlobResponse]) error {
	t, store, err := s.openBlob(stream.Context(), req.GetDatabase(), req.GetRef())
	if err != nil {
		return err
	}
	started := func(size uint64) error { return stream.Send(&nodev1.GetBlobResponse{Size: size}) }
	return store.Read(stream.Context(), t.blobs(), req.GetRef(), req.GetOffset(), req.GetLength(), started, downloaded{stream})
}

// downloaded writes bytes to a client.
type downloaded struct {
	stream grpc.ServerStreamingServer[nodev1.GetBlobResponse]
}

func (d downloaded) Write(p []byte) (int, error) {
	for n := 0; n < len(p); {
		// gRPC may look at a message after Send has returned, and p belongs to whoever writes.
		data := append([]byte(nil), p[n:min(n+maxGetData, len(p))]...)
		if err := d.stream.Send(&nodev1.GetBlobResponse{Data: data}); err != nil {
			return n, err
		}
		n += len(data)
	}
	return len(p), nil
}

var fetchStates = map[FetchState]nodev1.FetchState{
	FetchPending:  nodev1.FetchState_FETCH_STATE_PENDING,
	FetchLocating: nodev1.FetchState_FETCH_STATE_LOCATING,
	FetchFetching: nodev1.FetchState_FETCH_STATE_FETCHING,
	FetchDone:     nodev1.FetchState_FETCH_STATE_DONE,
}

// FetchBlob takes Read on the database, and of the blob as BlobScope says.
func (s *Server) FetchBlob(req *nodev1.FetchBlobRequest, stream grpc.ServerStreamingServer[nodev1.FetchBlobResponse]) error {
	t, store, err := s.openBlob(stream.Context(), req.GetDatabase(), req.GetRef())
	if err != nil {
		return err
	}
	ctx, stop := s.untilDrained(stream.Context())
	defer stop()
	var last FetchProgress
	report := func(p FetchProgress) error {
		last = p
		return stream.Send(&nodev1.FetchBlobResponse{
			State: fetchStates[p.State], Received: p.Received, Total: p.Total, Source: p.Source,
		})
	}
	if err := store.Fetch(ctx, t.blobs(), req.GetRef(), req.GetPriority(), report); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return err
	}
	if last.State == FetchDone {
		return nil
	}
	return report(FetchProgress{State: FetchDone, Received: last.Total, Total: last.Total, Source: last.Source})
}

var blobStates = map[BlobState]nodev1.BlobState{
	BlobLocal:   nodev1.BlobState_BLOB_STATE_LOCAL,
	BlobPartial: nodev1.BlobState_BLOB_STATE_PARTIAL,
	BlobRemote:  nodev1.BlobState_BLOB_STATE_REMOTE,
}

func blob(b *Blob) *nodev1.Blob {
	return &nodev1.Blob{
		Ref: b.Ref, Size: b.Size, State: blobStates[b.State], Pinned: b.Pinned, Rank: b.Rank, Locations: b.Locations,
	}
}

// StatBlob takes Read on the database, and of the blob as BlobScope says.
func (s *Server) StatBlob(ctx context.Context, req *nodev1.StatBlobRequest) (*nodev1.StatBlobResponse, error) {
	t, store, err := s.openBlob(ctx, req.GetDatabase(), req.GetRef())
	if err != nil {
		return nil, err
	}
	b, err := store.Stat(ctx, t.blobs(), req.GetRef())
	if err != nil {
		return nil, err
	}
	return &nodev1.StatBlobResponse{Blob: blob(&b)}, nil
}

// ListBlobs takes Read on the database, and lists what BlobScope says.
func (s *Server) ListBlobs(req *nodev1.ListBlobsRequest, stream grpc.ServerStreamingServer[nodev1.ListBlobsResponse]) error {
	t, err := s.openFor(stream.Context(), req.GetDatabase(), perm.Read)
	if err != nil {
		return err
	}
	store, err := s.blobs()
	if err != nil {
		return err
	}
	return store.List(stream.Context(), t.blobs(), func(b Blob) error {
		return stream.Send(&nodev1.ListBlobsResponse{Blob: blob(&b)})
	})
}
