package blobstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	blobstorev1 "github.com/syncbase/syncbase/sdk/api/blobstore/v1"
	"github.com/syncbase/syncbase/sdk/plugin"
)

// Client is a Store at the other end of a connection. Its errors wrap the sentinels of this package.
//
// It trusts the other end with nothing but the bytes themselves: frames have to be contiguous, answers have to match
// what was asked. Who moves many objects uses Upload for the way in.
type Client struct {
	stub       blobstorev1.BlobStoreServiceClient
	frameBytes int
}

var (
	_ Store   = (*Client)(nil)
	_ Locator = (*Client)(nil)
)

// NewClient reaches the store behind conn, which stays the caller's. It sends frames of plugin.DefaultFrameBytes.
func NewClient(conn grpc.ClientConnInterface) *Client {
	return &Client{stub: blobstorev1.NewBlobStoreServiceClient(conn), frameBytes: plugin.DefaultFrameBytes}
}

// WithFrameBytes is a Client that sends frames of another size, which has to be the one the plugin was configured with
// or less.
func (c *Client) WithFrameBytes(n int) *Client {
	return &Client{stub: c.stub, frameBytes: min(max(n, plugin.MinFrameBytes), plugin.MaxFrameBytes)}
}

// Put implements Store with a stream for this one object.
func (c *Client) Put(ctx context.Context, object Object, r io.Reader) (Outcome, error) {
	up, err := c.Upload(ctx)
	if err != nil {
		return 0, err
	}
	defer up.Close()
	if err := up.Send(object, r); err != nil && !errors.Is(err, errStreamOver) {
		return 0, err
	}
	return up.Answer()
}

// Open implements Store. The whole of the range is streamed while it is read.
func (c *Client) Open(ctx context.Context, key Key, offset, length int64) (io.ReadCloser, int64, error) {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := c.stub.Get(ctx, &blobstorev1.GetRequest{Ranges: []*blobstorev1.Range{
		{Key: []byte(key), Offset: uint64(offset), Length: uint64(length)},
	}})
	if err != nil {
		cancel()
		return nil, 0, FromStatus(err)
	}
	d := &download{stream: stream, cancel: cancel, key: key, offset: uint64(offset)}
	first, err := d.receive()
	if err != nil {
		cancel()
		return nil, 0, err
	}
	size := first.GetObjectSize()
	if size > MaxObjectBytes || uint64(offset)+uint64(length) > size {
		cancel()
		return nil, 0, fmt.Errorf("get %x: %w: the store claims a size of %d", key, ErrCorrupt, size)
	}
	d.end = uint64(offset) + uint64(length)
	if length == 0 {
		d.end = size
	}
	if err := d.accept(first); err != nil {
		cancel()
		return nil, 0, err
	}
	return d, int64(size), nil
}

// download reads the frames of one range.
type download struct {
	stream blobstorev1.BlobStoreService_GetClient
	cancel context.CancelFunc
	key    Key
	data   []byte
	offset uint64 // of the next frame
	end    uint64 // of the range
	last   bool
}

func (d *download) receive() (*blobstorev1.GetResponse, error) {
	frame, err := d.stream.Recv()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("get %x: %w: the stream ends at %d", d.key, ErrTransient, d.offset)
	}
	if err != nil {
		return nil, FromStatus(err)
	}
	return frame, FromFault(frame.GetFault())
}

func (d *download) accept(frame *blobstorev1.GetResponse) error {
	end := d.offset + uint64(len(frame.GetData()))
	if frame.GetIndex() != 0 || frame.GetOffset() != d.offset || end > d.end || frame.GetLast() != (end == d.end) {
		return fmt.Errorf("get %x: %w: frame %d of %d bytes at %d, expected was offset %d of a range that ends at %d",
			d.key, ErrCorrupt, frame.GetIndex(), len(frame.GetData()), frame.GetOffset(), d.offset, d.end)
	}
	d.data, d.offset, d.last = frame.GetData(), end, frame.GetLast()
	return nil
}

// Read implements io.Reader.
func (d *download) Read(p []byte) (int, error) {
	for len(d.data) == 0 {
		if d.last {
			return 0, io.EOF
		}
		frame, err := d.receive()
		if err != nil {
			return 0, err
		}
		if err := d.accept(frame); err != nil {
			return 0, err
		}
	}
	n := copy(p, d.data)
	d.data = d.data[n:]
	return n, nil
}

// Close implements io.Closer.
func (d *download) Close() error {
	d.cancel()
	return nil
}

// Stat implements Store.
func (c *Client) Stat(ctx context.Context, key Key) (Info, error) {
	answer, err := c.stub.Stat(ctx, &blobstorev1.StatRequest{Keys: [][]byte{[]byte(key)}})
	if err != nil {
		return Info{}, FromStatus(err)
	}
	if n := len(answer.GetEntries()); n != 1 {
		return Info{}, fmt.Errorf("stat: %d entries for one key", n)
	}
	entry := answer.GetEntries()[0]
	if entry.GetMissing() {
		return Info{}, fmt.Errorf("stat %x: %w", key, ErrNotFound)
	}
	if err := FromFault(entry.GetFault()); err != nil {
		return Info{}, err
	}
	return infoOf(entry)
}

func infoOf(entry *blobstorev1.Entry) (Info, error) {
	key, err := checkKey(entry.GetKey())
	if err != nil {
		return Info{}, err
	}
	if entry.GetSize() > MaxObjectBytes {
		return Info{}, fmt.Errorf("object %x: %w: a size of %d", key, ErrCorrupt, entry.GetSize())
	}
	info := Info{Key: key, Size: int64(entry.GetSize())}
	if entry.GetModified() != nil {
		info.Modified = entry.GetModified().AsTime()
	}
	return info, nil
}

// List implements Store.
func (c *Client) List(ctx context.Context, prefix, startAfter Key) iter.Seq2[Info, error] {
	return c.ListLimit(ctx, prefix, startAfter, 0)
}

// ListLimit is List with a largest number of entries; 0 means no limit.
func (c *Client) ListLimit(ctx context.Context, prefix, startAfter Key, limit uint64) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		req := &blobstorev1.ListRequest{Prefix: []byte(prefix), StartAfter: []byte(startAfter), Limit: limit}
		stream, err := c.stub.List(ctx, req)
		if err != nil {
			yield(Info{}, FromStatus(err))
			return
		}
		for {
			page, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(Info{}, FromStatus(err))
				return
			}
			if !yieldPage(page.GetEntries(), yield) {
				return
			}
		}
	}
}

func yieldPage(entries []*blobstorev1.Entry, yield func(Info, error) bool) bool {
	for _, entry := range entries {
		info, err := infoOf(entry)
		if !yield(info, err) || err != nil {
			return false
		}
	}
	return true
}

// Delete implements Store.
func (c *Client) Delete(ctx context.Context, key Key) error {
	answer, err := c.stub.Delete(ctx, &blobstorev1.DeleteRequest{Keys: [][]byte{[]byte(key)}})
	if err != nil {
		return FromStatus(err)
	}
	if n := len(answer.GetFaults()); n != 1 {
		return fmt.Errorf("delete: %d answers for one key", n)
	}
	return FromFault(answer.GetFaults()[0])
}

// Usage implements Store.
func (c *Client) Usage(ctx context.Context) (Usage, error) {
	answer, err := c.stub.Usage(ctx, &blobstorev1.UsageRequest{})
	if err != nil {
		return Usage{}, FromStatus(err)
	}
	usage := Usage{Objects: answer.GetObjects(), Bytes: answer.GetBytes(), Available: Unknown}
	if answer.Available != nil {
		usage.Available = int64(min(answer.GetAvailable(), 1<<62))
	}
	return usage, nil
}

// Locate implements Locator.
func (c *Client) Locate(ctx context.Context, key Key) (Location, error) {
	answer, err := c.stub.Locate(ctx, &blobstorev1.LocateRequest{Keys: [][]byte{[]byte(key)}})
	if err != nil {
		return Location{}, FromStatus(err)
	}
	if n := len(answer.GetLocations()); n != 1 {
		return Location{}, FromCode(codes.Internal, fmt.Sprintf("locate: %d answers for one key", n))
	}
	at := answer.GetLocations()[0]
	if err := FromFault(at.GetFault()); err != nil {
		return Location{}, err
	}
	return Location{Path: at.GetPath(), Offset: int64(at.GetOffset()), Length: int64(at.GetLength())}, nil
}
