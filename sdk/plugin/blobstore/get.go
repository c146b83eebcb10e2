package blobstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	blobstorev1 "github.com/syncbase/syncbase/sdk/api/blobstore/v1"
)

// Get implements the protocol: the ranges one after the other, each as one or more frames.
func (s *server) Get(req *blobstorev1.GetRequest, stream blobstorev1.BlobStoreService_GetServer) error {
	if n := len(req.GetRanges()); n > MaxRanges {
		return status.Errorf(codes.InvalidArgument, "%d ranges, at most %d are allowed", n, MaxRanges)
	}
	live := s.live()
	buffer := takeBuffer(live.Setup.FrameBytes)
	defer giveBuffer(buffer)
	for i, r := range req.GetRanges() {
		out := outgoing{send: stream.Send, index: uint32(i), buffer: *buffer}
		fault, err := out.one(stream.Context(), live.Instance.(Store), r)
		if err != nil {
			return err
		}
		if fault == nil {
			continue
		}
		if err := stream.Send(&blobstorev1.GetResponse{Index: uint32(i), Fault: faultOf(fault)}); err != nil {
			return err
		}
	}
	return nil
}

// outgoing sends one range.
type outgoing struct {
	send   func(*blobstorev1.GetResponse) error
	index  uint32
	buffer []byte // one frame
}

// one sends a range. A fault concerns the range alone, an error ends the stream.
func (o outgoing) one(ctx context.Context, store Store, r *blobstorev1.Range) (fault, err error) {
	key, err := checkKey(r.GetKey())
	if err != nil {
		return err, nil
	}
	if r.GetOffset() > MaxObjectBytes || r.GetLength() > MaxObjectBytes {
		return fmt.Errorf("get: %w: %d bytes at %d", ErrRange, r.GetLength(), r.GetOffset()), nil
	}
	offset, length := int64(r.GetOffset()), int64(r.GetLength())
	reader, size, err := store.Open(ctx, key, offset, length)
	if err != nil {
		return fmt.Errorf("get: %w", err), nil
	}
	defer reader.Close() // what was read is checked by count, and by the host by digest
	if offset+length > size {
		return fmt.Errorf("get: %w: %d bytes at %d of an object of %d", ErrRange, length, offset, size), nil
	}
	if length == 0 {
		length = size - offset
	}
	return o.copy(reader, offset, length, size)
}

// copy sends exactly length bytes of r.
func (o outgoing) copy(r io.Reader, offset, length, size int64) (fault, err error) {
	for first := true; first || length > 0; first = false {
		frame := o.buffer[:min(int64(len(o.buffer)), length)]
		if n, err := io.ReadFull(r, frame); err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				err = fmt.Errorf("%w: it ends at %d instead of %d", ErrCorrupt, offset+int64(n), size)
			}
			return fmt.Errorf("get: %w", err), nil
		}
		length -= int64(len(frame))
		answer := &blobstorev1.GetResponse{Index: o.index, Offset: uint64(offset), Last: length == 0, Data: frame}
		if first {
			answer.ObjectSize = uint64(size)
		}
		if err := o.send(answer); err != nil {
			return nil, err
		}
		offset += int64(len(frame))
	}
	return nil, nil
}

// buffers keeps frames of the default size between calls.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

func takeBuffer(size int) *[]byte {
	b := buffers.Get().(*[]byte)
	if cap(*b) < size {
		*b = make([]byte, size)
	}
	*b = (*b)[:size]
	return b
}

func giveBuffer(b *[]byte) { buffers.Put(b) }
