package plug

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	blobstorev1 "github.com/syncbase/syncbase/sdk/api/blobstore/v1"
)

// Get reads ranges and hands their bytes to visit, range after range, each from its first byte to its last, without gap
// or repetition, also when the plugin is restarted meanwhile. Index is the position in ranges, offset the position within
// the object; data is only valid during the call. An error of visit ends Get, which returns it. If ranges cannot be read,
// the others still are, and the error joins an ItemError for each failure.
func (b *BlobStore) Get(ctx context.Context, ranges []Range, visit func(index int, offset uint64, data []byte) error) error {
	for i, r := range ranges {
		if err := checkKeys([][]byte{r.Key}); err != nil {
			return b.wrap("get", fmt.Errorf("range %d: %w", i, err))
		}
		if r.Offset > math.MaxUint64-r.Length {
			return b.wrap("get", fmt.Errorf("range %d: %w", i, ErrRange))
		}
	}
	var failed []error
	for first := 0; first < len(ranges); first += maxRanges {
		reader := &rangeReader{ranges: ranges, index: first, end: min(first+maxRanges, len(ranges)), visit: visit}
		if err := b.do(ctx, "get", reader.read); err != nil {
			return err
		}
		failed = append(failed, reader.failed...)
	}
	if len(failed) > 0 {
		return b.wrap("get", errors.Join(failed...))
	}
	return nil
}

// Read returns a part of an object, at most 64 MiB; length 0 means to its end.
func (b *BlobStore) Read(ctx context.Context, key []byte, offset, length uint64) ([]byte, error) {
	if length > MaxObjectSize {
		return nil, b.wrap("get", fmt.Errorf("%d bytes asked for, more than %d", length, MaxObjectSize))
	}
	data := make([]byte, 0, length)
	err := b.Get(ctx, []Range{{Key: key, Offset: offset, Length: length}}, func(_ int, _ uint64, part []byte) error {
		if len(data)+len(part) > MaxObjectSize {
			return b.wrap("get", fmt.Errorf("object %x is larger than %d bytes", key, MaxObjectSize))
		}
		data = append(data, part...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return data, nil
}

// rangeReader reads ranges[index:end] and knows where to go on after an interruption.
type rangeReader struct {
	ranges []Range
	visit  func(index int, offset uint64, data []byte) error
	end    int

	index  int    // the range being read
	got    uint64 // bytes of it that were visited
	size   uint64 // of its object, once known
	failed []error
}

// read is one attempt. It asks for everything that is still missing.
func (r *rangeReader) read(ctx context.Context, l *live) error {
	if r.complete() {
		r.advance()
	}
	if r.index == r.end {
		return nil
	}
	ctx, touch, stop := watch(ctx, progressLimit)
	defer stop()
	base := r.index
	stream, err := blobstorev1.NewBlobStoreServiceClient(l.conn).Get(ctx, r.request())
	if err != nil {
		return streamError(ctx, err)
	}
	for r.index < r.end {
		frame, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: the stream ended at range %d of %d", ErrProtocol, r.index, r.end)
		}
		if err != nil {
			return streamError(ctx, err)
		}
		if err := r.take(base, frame); err != nil {
			return err
		}
		touch()
	}
	return nil
}

// complete reports whether all bytes of the present range were visited, although the plugin may not have said so.
func (r *rangeReader) complete() bool {
	if r.got == 0 {
		return false
	}
	rg := r.ranges[r.index]
	return r.got == rg.Length || rg.Offset+r.got == r.size
}

func (r *rangeReader) advance() { r.index, r.got, r.size = r.index+1, 0, 0 }

func (r *rangeReader) request() *blobstorev1.GetRequest {
	req := &blobstorev1.GetRequest{}
	for i, rg := range r.ranges[r.index:r.end] {
		if i == 0 && r.got > 0 {
			rg.Offset += r.got
			if rg.Length > 0 {
				rg.Length -= r.got
			}
		}
		req.Ranges = append(req.Ranges, &blobstorev1.Range{Key: rg.Key, Offset: rg.Offset, Length: rg.Length})
	}
	return req
}

// take checks one frame and passes it on.
func (r *rangeReader) take(base int, frame *blobstorev1.GetResponse) error {
	if int(frame.GetIndex()) != r.index-base {
		return fmt.Errorf("%w: frame of range %d, want %d", ErrProtocol, base+int(frame.GetIndex()), r.index)
	}
	rg := r.ranges[r.index]
	if err := fromFault(frame.GetFault()); err != nil {
		r.failed = append(r.failed, &ItemError{Index: r.index, Key: rg.Key, Err: err})
		r.advance()
		return nil
	}
	if frame.GetObjectSize() > 0 {
		r.size = frame.GetObjectSize()
	}
	data := frame.GetData()
	if err := r.check(rg, frame, uint64(len(data))); err != nil {
		return err
	}
	if len(data) > 0 {
		if err := r.visit(r.index, rg.Offset+r.got, data); err != nil {
			return visitError{err}
		}
		r.got += uint64(len(data))
	}
	if frame.GetLast() {
		r.advance()
	}
	return nil
}

func (r *rangeReader) check(rg Range, frame *blobstorev1.GetResponse, size uint64) error {
	switch {
	case size > maxFrame:
		return fmt.Errorf("%w: a frame of %d bytes, more than %d", ErrProtocol, size, maxFrame)
	case size > 0 && frame.GetOffset() != rg.Offset+r.got:
		return fmt.Errorf("%w: range %d goes on at %d, want %d", ErrProtocol, r.index, frame.GetOffset(), rg.Offset+r.got)
	case rg.Length > 0 && r.got+size > rg.Length:
		return fmt.Errorf("%w: range %d has more than the %d bytes asked for", ErrProtocol, r.index, rg.Length)
	case rg.Length > 0 && frame.GetLast() && r.got+size < rg.Length:
		return fmt.Errorf("%w: range %d ended after %d of %d bytes", ErrProtocol, r.index, r.got+size, rg.Length)
	case size == 0 && !frame.GetLast() && frame.GetObjectSize() == 0:
		return fmt.Errorf("%w: an empty frame in range %d", ErrProtocol, r.index)
	}
	return nil
}
