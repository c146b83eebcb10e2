package plug

import (
	"context"
	"errors"
	"fmt"
	"io"

	blobstorev1 "github.com/syncbase/syncbase/sdk/api/blobstore/v1"
)

// Put stores an object of at most 64 MiB. An object of this key that exists already is left as it is, which is success.
// The caller must not change data before Put returns.
func (b *BlobStore) Put(ctx context.Context, key, data []byte) error {
	if err := checkKeys([][]byte{key}); err != nil {
		return b.wrap("put", err)
	}
	if len(data) > MaxObjectSize {
		return b.wrap("put", fmt.Errorf("object of %d bytes, more than %d", len(data), MaxObjectSize))
	}
	return b.do(ctx, "put", func(ctx context.Context, l *live) error {
		ctx, touch, stop := watch(ctx, progressLimit)
		defer stop()
		stream, err := blobstorev1.NewBlobStoreServiceClient(l.conn).Put(ctx)
		if err != nil {
			return streamError(ctx, err)
		}
		if err := sendObject(stream, key, data, touch); err != nil && !errors.Is(err, io.EOF) {
			return streamError(ctx, err)
		}
		// After io.EOF from Send the answer, or the reason there is none, comes from Recv.
		return streamError(ctx, receiveAck(stream))
	})
}

func sendObject(stream blobstorev1.BlobStoreService_PutClient, key, data []byte, touch func()) error {
	header := &blobstorev1.PutHeader{Key: key, Size: uint64(len(data))}
	for offset := 0; ; {
		end := min(offset+maxFrame, len(data))
		frame := &blobstorev1.PutRequest{
			Seq: 1, Header: header, Offset: uint64(offset), Last: end == len(data), Data: data[offset:end],
		}
		if err := stream.Send(frame); err != nil {
			return err
		}
		touch()
		if frame.Last {
			return stream.CloseSend()
		}
		header, offset = nil, end
	}
}

func receiveAck(stream blobstorev1.BlobStoreService_PutClient) error {
	ack, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: the stream ended without an answer", ErrProtocol)
	}
	if err != nil {
		return err
	}
	if ack.GetSeq() != 1 {
		return fmt.Errorf("%w: answer to object %d, want 1", ErrProtocol, ack.GetSeq())
	}
	if err := fromFault(ack.GetFault()); err != nil {
		return err
	}
	switch ack.GetOutcome() {
	case blobstorev1.Outcome_OUTCOME_STORED, blobstorev1.Outcome_OUTCOME_EXISTS:
		return nil
	}
	return fmt.Errorf("%w: outcome %v", ErrProtocol, ack.GetOutcome())
}
