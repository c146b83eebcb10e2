package blobstore

import (
	"context"
	"errors"
	"fmt"
	"io"

	blobstorev1 "github.com/syncbase/syncbase/sdk/api/blobstore/v1"
)

// Upload puts objects one after the other on one stream. One goroutine may send while another takes the answers, which
// come in the order of the objects; who sends much without taking answers will block.
type Upload struct {
	stream     blobstorev1.BlobStoreService_PutClient
	cancel     context.CancelFunc
	frameBytes int
	// sent counts objects; it belongs to the goroutine that sends.
	sent uint64
	// answered belongs to the goroutine that takes answers.
	answered uint64
	buffer   []byte
}

// errStreamOver is met in sending; only Answer tells why the stream is over.
var errStreamOver = fmt.Errorf("put: %w: the store has ended the stream", ErrTransient)

// Upload opens a stream, which lasts until Close or the end of ctx.
func (c *Client) Upload(ctx context.Context) (*Upload, error) {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := c.stub.Put(ctx)
	if err != nil {
		cancel()
		return nil, FromStatus(err)
	}
	return &Upload{stream: stream, cancel: cancel, frameBytes: c.frameBytes}, nil
}

// Send sends one object: exactly object.Size bytes of r. When r fails or ends early the stream is given up, and the store
// forgets the object.
func (u *Upload) Send(object Object, r io.Reader) error {
	u.sent++
	if u.buffer == nil {
		u.buffer = make([]byte, u.frameBytes)
	}
	header := &blobstorev1.PutHeader{Key: []byte(object.Key), Size: uint64(object.Size), Sha256: object.SHA256}
	var offset int64
	for first := true; first || offset < object.Size; first = false {
		data := u.buffer[:min(int64(len(u.buffer)), object.Size-offset)]
		if _, err := io.ReadFull(r, data); err != nil {
			u.cancel()
			return fmt.Errorf("put %x: read at %d of %d: %w", object.Key, offset, object.Size, err)
		}
		end := offset + int64(len(data))
		frame := &blobstorev1.PutRequest{Seq: u.sent, Header: header, Offset: uint64(offset), Last: end == object.Size, Data: data}
		if err := u.SendFrame(frame); err != nil {
			return err
		}
		header, offset = nil, end
	}
	return nil
}

// SendFrame sends one frame as it is, for tests of what a store does with frames that are wrong.
func (u *Upload) SendFrame(frame *blobstorev1.PutRequest) error {
	err := u.stream.Send(frame)
	if errors.Is(err, io.EOF) {
		return errStreamOver
	}
	return FromStatus(err)
}

// Answer waits for the next object's answer. After the end of the stream the error says why it ended.
func (u *Upload) Answer() (Outcome, error) {
	answer, err := u.stream.Recv()
	if errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("put: %w: the stream has ended", ErrTransient)
	}
	if err != nil {
		return 0, FromStatus(err)
	}
	u.answered++
	if answer.GetSeq() != u.answered {
		return 0, fmt.Errorf("put: answer to object %d, expected was %d", answer.GetSeq(), u.answered)
	}
	if err := FromFault(answer.GetFault()); err != nil {
		return 0, err
	}
	switch answer.GetOutcome() {
	case blobstorev1.Outcome_OUTCOME_STORED:
		return Stored, nil
	case blobstorev1.Outcome_OUTCOME_EXISTS:
		return Exists, nil
	default:
		return 0, fmt.Errorf("put: outcome %d is unknown", answer.GetOutcome())
	}
}

// Finish tells the store that no more objects follow.
func (u *Upload) Finish() error { return FromStatus(u.stream.CloseSend()) }

// Close gives up whatever has not been answered.
func (u *Upload) Close() { u.cancel() }
