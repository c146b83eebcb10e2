package blobstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	blobstorev1 "github.com/syncbase/syncbase/sdk/api/blobstore/v1"
	"github.com/syncbase/syncbase/sdk/plugin"
	"github.com/syncbase/syncbase/sdk/plugin/internal/gate"
)

// frameSource is the receiving half of a Put stream.
type frameSource interface {
	Recv() (*blobstorev1.PutRequest, error)
}

// Put implements the protocol: one object after the other, each answered once.
func (s *server) Put(stream blobstorev1.BlobStoreService_PutServer) error {
	ctx, live := stream.Context(), s.live()
	for seq := uint64(1); ; seq++ {
		gate.Idle(ctx)
		first, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := gate.Busy(ctx); err != nil {
			return err
		}
		answer, err := putOne(ctx, live, stream, first, seq)
		if err != nil {
			return err
		}
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
}

// putOne stores one object. An error ends the stream; what concerns the object alone is a fault in the answer.
func putOne(ctx context.Context, live plugin.Live, source frameSource, first *blobstorev1.PutRequest, seq uint64) (*blobstorev1.PutResponse, error) {
	in, object, err := newIncoming(source, first, seq, live.Setup.FrameBytes)
	if err != nil {
		return nil, err
	}
	var outcome Outcome
	if err = checkObject(object); err == nil {
		err = in.fault // of an object of one frame, known already
	}
	if err == nil {
		outcome, err = live.Instance.(Store).Put(ctx, object, in)
	}
	if err == nil {
		err = checkOutcome(outcome, in)
	}
	if drainErr := in.drain(); drainErr != nil {
		return nil, drainErr
	}
	if err != nil {
		return &blobstorev1.PutResponse{Seq: seq, Fault: faultOf(fmt.Errorf("put: %w", err))}, nil
	}
	return &blobstorev1.PutResponse{Seq: seq, Outcome: outcomeToProto(outcome)}, nil
}

func checkObject(object Object) error {
	if _, err := checkKey([]byte(object.Key)); err != nil {
		return err
	}
	if object.Size < 0 || object.Size > MaxObjectBytes {
		return fmt.Errorf("%w: size %d, at most %d is allowed", ErrInvalid, uint64(object.Size), uint64(MaxObjectBytes))
	}
	if n := len(object.SHA256); n != 0 && n != sha256.Size {
		return fmt.Errorf("%w: sha256 of %d bytes", ErrInvalid, n)
	}
	return nil
}

func checkOutcome(outcome Outcome, in *incoming) error {
	switch {
	case outcome != Stored && outcome != Exists:
		return fmt.Errorf("the store answered outcome %d", outcome)
	case outcome == Stored && in.left > 0:
		return fmt.Errorf("the store claims success with %d bytes unread", in.left)
	default:
		return nil
	}
}

func outcomeToProto(o Outcome) blobstorev1.Outcome {
	if o == Exists {
		return blobstorev1.Outcome_OUTCOME_EXISTS
	}
	return blobstorev1.Outcome_OUTCOME_STORED
}

// incoming is the content of one object as an io.Reader over its frames. The last bytes are handed out only after the
// digest was checked, so a reader that got them all has the right ones, whether it looks for io.EOF or not.
type incoming struct {
	source   frameSource
	seq      uint64
	maxFrame int
	size     uint64
	digest   hash.Hash // nil when no digest was announced
	want     []byte

	data   []byte // of the current frame, not yet read
	offset uint64 // of the next frame
	left   uint64 // bytes not yet read: size - (offset - len(data))
	last   bool   // the current frame is the last one
	// broken is a breach of the protocol or the end of the stream: the stream cannot go on.
	broken error
	// fault concerns this object alone.
	fault error
}

// newIncoming starts with the first frame. The object is returned unchecked.
func newIncoming(source frameSource, first *blobstorev1.PutRequest, seq uint64, maxFrame int) (*incoming, Object, error) {
	header := first.GetHeader()
	if header == nil {
		return nil, Object{}, status.Errorf(codes.InvalidArgument, "object %d begins without a header", seq)
	}
	object := Object{Key: Key(header.GetKey()), Size: int64(header.GetSize()), SHA256: header.GetSha256()}
	in := &incoming{source: source, seq: seq, maxFrame: maxFrame, size: header.GetSize(), left: header.GetSize()}
	if len(object.SHA256) == sha256.Size {
		in.digest, in.want = sha256.New(), object.SHA256
	}
	if in.accept(first); in.broken != nil {
		return nil, Object{}, in.broken
	}
	return in, object, nil
}

// accept makes frame the current one.
func (in *incoming) accept(frame *blobstorev1.PutRequest) {
	data := frame.GetData()
	end := in.offset + uint64(len(data))
	switch {
	case frame.GetSeq() != in.seq:
		in.breach("frame of object %d within object %d", frame.GetSeq(), in.seq)
	case frame.GetOffset() != in.offset:
		in.breach("frame at offset %d, expected was %d", frame.GetOffset(), in.offset)
	case len(data) > in.maxFrame:
		in.breach("frame of %d bytes, at most %d are allowed", len(data), in.maxFrame)
	case end > in.size:
		in.breach("object of %d bytes has a frame that ends at %d", in.size, end)
	case frame.GetLast() != (end == in.size):
		in.breach("object of %d bytes: last is %v on a frame that ends at %d", in.size, frame.GetLast(), end)
	case len(data) == 0 && in.size > 0:
		in.breach("empty frame at offset %d", in.offset)
	default:
		in.data, in.offset, in.last = data, end, frame.GetLast()
		in.verify()
	}
}

func (in *incoming) breach(format string, args ...any) {
	in.broken = status.Errorf(codes.InvalidArgument, format, args...)
}

// verify feeds the digest and compares it once the last frame is there.
func (in *incoming) verify() {
	if in.digest == nil {
		return
	}
	in.digest.Write(in.data)
	if !in.last {
		return
	}
	if got := in.digest.Sum(nil); !bytes.Equal(got, in.want) {
		in.fault = fmt.Errorf("%w: sha256 is %x, announced was %x", ErrCorrupt, got, in.want)
	}
}

// fill makes data available, or returns why there is none: io.EOF after all of it was read.
func (in *incoming) fill() error {
	if in.fault != nil {
		return in.fault
	}
	if len(in.data) > 0 {
		return nil
	}
	if err := in.next(); err != nil {
		return err
	}
	return in.fault
}

// next receives a frame; io.EOF when there is none left.
func (in *incoming) next() error {
	if in.broken != nil {
		return in.broken
	}
	if in.last {
		return io.EOF
	}
	frame, err := in.source.Recv()
	if errors.Is(err, io.EOF) {
		in.breach("the stream ends within object %d", in.seq)
		return in.broken
	}
	if err != nil {
		in.broken = err
		return err
	}
	if frame.GetHeader() != nil {
		in.breach("second header within object %d", in.seq)
		return in.broken
	}
	in.accept(frame)
	return in.broken
}

// Read implements io.Reader.
func (in *incoming) Read(p []byte) (int, error) {
	if err := in.fill(); err != nil {
		return 0, err
	}
	n := copy(p, in.data)
	in.data = in.data[n:]
	in.left -= uint64(n)
	return n, nil
}

// WriteTo implements io.WriterTo, which spares io.Copy a buffer and writes whole frames.
func (in *incoming) WriteTo(w io.Writer) (int64, error) {
	var total int64
	for {
		err := in.fill()
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		n, err := w.Write(in.data)
		in.data = in.data[n:]
		in.left -= uint64(n)
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
}

// drain receives the frames that the store did not want, so that the next object can follow.
func (in *incoming) drain() error {
	for {
		err := in.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
