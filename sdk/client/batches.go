package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

const (
	// maxRemembered bounds how many open batches a client remembers; a daemon allows fewer.
	maxRemembered = 1000
	// closeWithin bounds how long Close may take to abort them. What it does not come to, the daemon gives up a minute later.
	closeWithin = time.Second
)

// batches are those that a client has begun and neither committed nor aborted.
type batches struct {
	// mu guards open, which has their handles.
	mu   sync.Mutex
	open map[string]struct{}
}

func (b *batches) began(handle string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil {
		b.open = map[string]struct{}{}
	}
	if len(b.open) == maxRemembered {
		clear(b.open) // nearly all of them were left to the daemon, which has given them up
	}
	b.open[handle] = struct{}{}
}

func (b *batches) ended(handle string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.open, handle)
}

// take returns what is open, once.
func (b *batches) take() map[string]struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	open := b.open
	b.open = nil
	return open
}

// tell forgets a batch that has ended, which it has when the daemon says so or says anything else about it.
func (t *Tx) tell(err error) error {
	err = t.db.c.failure(err)
	var said *Error
	if err == nil || errors.As(err, &said) && said.Reason != "" {
		t.db.c.batches.ended(t.handle)
	}
	return err
}

// abortAll gives up every open batch, if the daemon can be told so now.
func (c *Client) abortAll() {
	open := c.batches.take()
	if len(open) == 0 || c.conn.GetState() != connectivity.Ready {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	for handle := range open {
		_, err := c.api.AbortBatch(ctx, &nodev1.AbortBatchRequest{Batch: handle})
		if code := status.Code(err); code == codes.Unavailable || code == codes.DeadlineExceeded {
			return
		}
	}
}
