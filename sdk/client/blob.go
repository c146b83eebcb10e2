package client

import (
	"context"
	"errors"
	"io"
	"iter"

	"google.golang.org/grpc"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// putBytes is how much one message of PutBlob carries.
const putBytes = 256 << 10

// PutBlob stores everything that r gives as a blob, and returns its reference and size. Write the reference into a row as
// {"$blob": "<ref>"} to have the blob travel with the row.
func (d *Database) PutBlob(ctx context.Context, r io.Reader) (ref string, size uint64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := d.c.api.PutBlob(ctx)
	if err != nil {
		return "", 0, d.c.failure(err)
	}
	msg := &nodev1.PutBlobRequest{Database: d.name}
	for {
		// A message belongs to gRPC once it is sent, so each has memory of its own.
		buf := make([]byte, putBytes)
		n, readErr := io.ReadFull(r, buf)
		msg.Data = buf[:n]
		ended := errors.Is(readErr, io.EOF) || errors.Is(readErr, io.ErrUnexpectedEOF)
		if readErr != nil && !ended {
			return "", 0, readErr
		}
		if n > 0 || msg.Database != "" {
			// After io.EOF the answer says what is wrong.
			if err := stream.Send(msg); err != nil && !errors.Is(err, io.EOF) {
				return "", 0, d.c.failure(err)
			} else if err != nil {
				break
			}
		}
		if ended {
			break
		}
		msg = &nodev1.PutBlobRequest{}
	}
	resp, err := stream.CloseAndRecv()
	return resp.GetRef(), resp.GetSize(), d.c.failure(err)
}

// GetBlobOptions select a part of a blob. The zero value is all of it.
type GetBlobOptions struct {
	Offset uint64
	// Length 0 means to the end.
	Length uint64
	// Started, if set, is told the size of the whole blob before anything is written.
	Started func(size uint64)
}

// GetBlob writes bytes of a blob to w, which the daemon fetches from peers where they are not here.
func (d *Database) GetBlob(ctx context.Context, ref string, w io.Writer, opts GetBlobOptions) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := d.c.api.GetBlob(ctx, &nodev1.GetBlobRequest{
		Database: d.name, Ref: ref, Offset: opts.Offset, Length: opts.Length,
	})
	if err != nil {
		return d.c.failure(err)
	}
	for first := true; ; first = false {
		msg, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return d.c.failure(err)
		}
		if first && opts.Started != nil {
			opts.Started(msg.GetSize())
		}
		if _, err := w.Write(msg.GetData()); err != nil {
			return err
		}
	}
}

// FetchProgress is one report of a fetch.
type FetchProgress struct {
	// State is pending, locating, fetching or done.
	State    string `json:"state"`
	Received uint64 `json:"received"`
	Total    uint64 `json:"total"`
	// Source is the peer that the bytes come from.
	Source string `json:"source"`
}

var fetchStates = map[nodev1.FetchState]string{
	nodev1.FetchState_FETCH_STATE_PENDING:  "pending",
	nodev1.FetchState_FETCH_STATE_LOCATING: "locating",
	nodev1.FetchState_FETCH_STATE_FETCHING: "fetching",
	nodev1.FetchState_FETCH_STATE_DONE:     "done",
}

// FetchBlob brings a blob to this device and iterates over reports of how far it is; the last has the state done. What
// has a higher priority goes first; 0 is usual.
func (d *Database) FetchBlob(ctx context.Context, ref string, priority int32) iter.Seq2[FetchProgress, error] {
	return list(ctx, d.c, func(ctx context.Context) (grpc.ServerStreamingClient[nodev1.FetchBlobResponse], error) {
		return d.c.api.FetchBlob(ctx, &nodev1.FetchBlobRequest{Database: d.name, Ref: ref, Priority: priority})
	}, func(m *nodev1.FetchBlobResponse) FetchProgress {
		return FetchProgress{State: fetchStates[m.GetState()], Received: m.GetReceived(), Total: m.GetTotal(), Source: m.GetSource()}
	})
}

// Blob is what is known of a blob.
type Blob struct {
	Ref string
	// Size is 0 while unknown.
	Size uint64
	// State is local, partial or remote.
	State  string
	Pinned bool
	Rank   uint32
	// Locations are peers that are thought to hold it.
	Locations []string
}

var blobStates = map[nodev1.BlobState]string{
	nodev1.BlobState_BLOB_STATE_LOCAL:   "local",
	nodev1.BlobState_BLOB_STATE_PARTIAL: "partial",
	nodev1.BlobState_BLOB_STATE_REMOTE:  "remote",
}

func blobOf(b *nodev1.Blob) Blob {
	return Blob{
		Ref: b.GetRef(), Size: b.GetSize(), State: blobStates[b.GetState()], Pinned: b.GetPinned(), Rank: b.GetRank(),
		Locations: b.GetLocations(),
	}
}

// StatBlob tells what is known of a blob, without fetching it.
func (d *Database) StatBlob(ctx context.Context, ref string) (Blob, error) {
	resp, err := d.c.api.StatBlob(ctx, &nodev1.StatBlobRequest{Database: d.name, Ref: ref})
	if err != nil {
		return Blob{}, d.c.failure(err)
	}
	return blobOf(resp.GetBlob()), nil
}

// Blobs lists the blobs that are here, whole or in part, or are referred to by a row of the database.
func (d *Database) Blobs(ctx context.Context) iter.Seq2[Blob, error] {
	return list(ctx, d.c, func(ctx context.Context) (grpc.ServerStreamingClient[nodev1.ListBlobsResponse], error) {
		return d.c.api.ListBlobs(ctx, &nodev1.ListBlobsRequest{Database: d.name})
	}, func(m *nodev1.ListBlobsResponse) Blob { return blobOf(m.GetBlob()) })
}
