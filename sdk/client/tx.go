package client

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// TxOptions say how a batch is to be. The zero value can read and write.
type TxOptions struct {
	// ReadOnly makes a batch that only reads; it is aborted, not committed, in the end.
	ReadOnly bool
}

// Tx is an open batch: it reads the database as it was at Begin, with its own writes on top, which nobody else sees before
// Commit. Every row that it read, present or not, and every range that it scanned must be unchanged at Commit; otherwise
// that fails with ErrConflict. So batches behave as if they were made one after the other.
//
// Collections that it is given have to be of its database, otherwise it fails with ErrInvalid, and nothing is read or written.
//
// Abort it, if it is not committed; Close of the client does, and the daemon gives it up when it is not used for a minute, or the
// connection of the client has ended. Of open batches there can be 100 for a client and 300 for a principal. Safe for concurrent use.
type Tx struct {
	db     *Database
	handle string
}

// Begin opens a batch. RunInBatch does this and all that follows.
func (d *Database) Begin(ctx context.Context, opts TxOptions) (*Tx, error) {
	resp, err := d.c.api.BeginBatch(ctx, &nodev1.BeginBatchRequest{Database: d.name, ReadOnly: opts.ReadOnly})
	if err != nil {
		return nil, d.c.failure(err)
	}
	d.c.batches.began(resp.GetBatch())
	return &Tx{db: d, handle: resp.GetBatch()}, nil
}

// Get reads a row as the batch sees it, or fails with ErrNotFound. A row that the batch wrote itself has no version yet.
func (t *Tx) Get(ctx context.Context, c *Collection, key string) (Row, error) {
	if err := t.db.owns(c); err != nil {
		return Row{}, err
	}
	resp, err := t.db.c.api.Get(ctx, &nodev1.GetRequest{Database: t.db.name, Collection: c.name, Key: key, Batch: t.handle})
	if err != nil {
		return Row{}, t.db.c.failure(err)
	}
	return rowOf(resp.GetRow()), nil
}

// Scan iterates over rows as the batch sees them when it begins. The range counts as read: with Max up to the last row that it
// allows, so who takes the first of a queue is in nobody's way who appends to it; otherwise all of it, also when the loop is left
// early.
func (t *Tx) Scan(ctx context.Context, c *Collection, r Range) iter.Seq2[Row, error] {
	if err := t.db.owns(c); err != nil {
		return func(yield func(Row, error) bool) { yield(Row{}, err) }
	}
	return t.db.scan(ctx, c, r, t.handle)
}

// Put writes a row; the value is as for Put of Collection.
func (t *Tx) Put(ctx context.Context, c *Collection, key string, value any) error {
	op, err := c.PutOp(key, value)
	if err != nil {
		return err
	}
	return t.Write(ctx, op)
}

// Delete removes a row if it is there.
func (t *Tx) Delete(ctx context.Context, c *Collection, key string) error {
	return t.Write(ctx, c.DeleteOp(key))
}

// Write adds many puts and deletes in one call, up to 32 MiB of keys and values. After an error some of them may be part of the batch: abort it.
func (t *Tx) Write(ctx context.Context, ops ...Op) error {
	list, err := t.db.own(ops)
	if err != nil {
		return err
	}
	req := &nodev1.WriteBatchRequest{Batch: t.handle, Ops: list}
	size, err := fits(req, req.Ops)
	if err != nil {
		return err
	}
	leave, err := t.db.c.large.enter(ctx, size)
	if err != nil {
		return t.db.c.failed(ctx)
	}
	defer leave()
	_, err = t.db.c.api.WriteBatch(ctx, req)
	return t.db.c.failure(err)
}

// Commit applies what the batch wrote: all of it or, after an error, nothing. The batch has ended either way. When it
// returns nil the writes are as durable as the database is set to make them. A call that fails with ErrUnavailable, or
// because the context ended, may have been carried out nevertheless.
func (t *Tx) Commit(ctx context.Context) error {
	_, err := t.db.c.api.CommitBatch(ctx, &nodev1.CommitBatchRequest{Batch: t.handle})
	return t.tell(err)
}

// Abort gives the batch up. Aborting one that has ended does nothing.
func (t *Tx) Abort(ctx context.Context) error {
	_, err := t.db.c.api.AbortBatch(ctx, &nodev1.AbortBatchRequest{Batch: t.handle})
	if err = t.tell(err); errors.Is(err, ErrUnknownBatch) {
		return nil
	}
	return err
}

// RunOptions say how RunInBatch goes about it. The zero value is a batch that can read and write, and ten attempts.
type RunOptions struct {
	TxOptions
	// Attempts is how often the batch is tried before ErrConflict is returned, or ErrExhausted while too many are open; 0 means 10.
	Attempts int
}

const (
	defaultAttempts = 10
	// firstRetry is the longest pause before the second attempt; it doubles up to lastRetry.
	firstRetry = 5 * time.Millisecond
	lastRetry  = 500 * time.Millisecond
	// abortWithin bounds how long giving up a batch may take when the caller's context has ended.
	abortWithin = 5 * time.Second
)

// RunInBatch calls fn with an open batch and commits it. When something that the batch read has changed in the meantime, or too
// many batches are open, it begins anew, after a short random pause, so fn may run several times and must not keep what it did in an attempt that
// failed. When fn returns an error or panics, the batch is aborted and the error returned as it is. A read-only batch is
// aborted after fn, which runs once.
func (d *Database) RunInBatch(ctx context.Context, opts RunOptions, fn func(*Tx) error) error {
	if opts.Attempts <= 0 {
		opts.Attempts = defaultAttempts
	}
	for attempt := 1; ; attempt++ {
		stage, err := d.attempt(ctx, opts, fn)
		again := stage == committing && errors.Is(err, ErrConflict) || stage == beginning && tooManyBatches(err)
		if !again || attempt >= opts.Attempts {
			return err
		}
		if err := pause(ctx, retryAfter(attempt, rand.Float64())); err != nil {
			return err
		}
	}
}

// retryAfter is how long to wait after so many attempts: between nothing and a bound that doubles, so that those who met do
// not meet again. The chance is in [0, 1).
func retryAfter(attempts int, chance float64) time.Duration {
	bound := lastRetry
	if doublings := attempts - 1; doublings < 10 {
		bound = min(firstRetry<<doublings, lastRetry)
	}
	return time.Duration(chance * float64(bound))
}

// stage is how far an attempt came.
type stage int

const (
	beginning stage = iota
	running
	committing
)

// tooManyBatches tells whether others have to end batches before one can begin.
func tooManyBatches(err error) bool {
	var said *Error
	return errors.As(err, &said) && said.Reason == "TOO_MANY_BATCHES"
}

// attempt runs fn in one batch, and tells how far it came.
func (d *Database) attempt(ctx context.Context, opts RunOptions, fn func(*Tx) error) (at stage, err error) {
	tx, err := d.Begin(ctx, opts.TxOptions)
	if err != nil {
		return beginning, err
	}
	at = running
	defer func() {
		if at == running {
			tx.giveUp(ctx)
		}
	}()
	if err := fn(tx); err != nil || opts.ReadOnly {
		return running, err
	}
	at = committing
	return committing, tx.Commit(ctx)
}

// giveUp aborts even if the context has ended. When that fails, the daemon does it a minute later.
func (t *Tx) giveUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortWithin)
	defer cancel()
	_ = t.Abort(ctx)
}

// pause waits, unless the context ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// scan is Scan of a collection, in a batch if there is one.
func (d *Database) scan(ctx context.Context, c *Collection, r Range, batch string) iter.Seq2[Row, error] {
	return flatten(ctx, d.c, func(ctx context.Context) (grpc.ServerStreamingClient[nodev1.ScanResponse], error) {
		return d.c.api.Scan(ctx, &nodev1.ScanRequest{
			Database: d.name, Collection: c.name, Batch: batch,
			Prefix: r.Prefix, Start: r.Start, Limit: r.Limit, Max: r.Max, KeysOnly: r.KeysOnly, Reverse: r.Reverse,
		})
	}, func(m *nodev1.ScanResponse, yield func(Row) bool) bool {
		for _, row := range m.GetRows() {
			if !yield(rowOf(row)) {
				return false
			}
		}
		return true
	})
}
