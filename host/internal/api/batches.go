package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc/peer"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// Limits of open batches, each of which holds a snapshot and what was read and written in it.
const (
	// batchIdle is how long a batch lives without being used.
	batchIdle = time.Minute
	// maxBatches bounds the open batches of all callers, maxBatchesEach those of one, and maxBatchesConn those that were begun over
	// one connection: an application that leaves batches open takes them from itself first, and not from all others of its user.
	maxBatches     = 1000
	maxBatchesEach = 300
	maxBatchesConn = 100
	// maxBatchBytes bounds what all open batches may keep in memory.
	maxBatchBytes = 256 << 20
)

var (
	// errUnknownBatch is all that is said of a handle that is not the caller's, or that of no open batch.
	errUnknownBatch = fmt.Errorf("unknown batch: it has ended, or was not used for %v, or the connection over which it was begun has ended; begin again", batchIdle)
	// errTooManyBatches refuses a batch, or a read or write in one.
	errTooManyBatches = errors.New("too many open batches")
)

// batches are the open batches of all callers. Each is known by a name that nobody can guess, and to its caller alone. One
// that is not used for a while is given up, and so are those of a connection that has ended. Safe for concurrent use.
type batches struct {
	// mu guards the fields below it, and those of the batches that are said to be.
	mu     sync.Mutex
	open   map[string]*openBatch
	count  map[id.Principal]int
	conns  map[connection]int
	total  int
	bytes  int
	closed bool
}

// openBatch is one batch of a caller.
type openBatch struct {
	tx     *rows.Tx
	db     *rows.DB
	caller id.Principal
	conn   connection
	handle string
	// timer gives the batch up; it runs while the batch is not in use. It and the fields below it are guarded by the mu
	// of batches.
	timer *time.Timer
	uses  int
	bytes int
}

func newBatches() *batches {
	return &batches{open: map[string]*openBatch{}, count: map[id.Principal]int{}, conns: map[connection]int{}}
}

// connection stands for the connection of a call: gRPC makes one peer for each, which all its calls share. Of a call within the
// process there is none.
type connection *peer.Peer

func connectionOf(ctx context.Context) connection {
	p, _ := peer.FromContext(ctx)
	return p
}

// begin opens a batch and returns its name, unless nobody waits for that any more.
func (b *batches) begin(ctx context.Context, conn connection, caller id.Principal, db *rows.DB, readOnly bool) (string, error) {
	if err := b.admit(conn, caller); err != nil {
		return "", err
	}
	tx, err := db.Begin(readOnly)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil && b.closed {
		err = errors.Join(errDraining, tx.Abort())
	}
	// The calls of a connection are canceled before its end is told, so what is opened after that is noticed here.
	if err == nil && ctx.Err() != nil {
		err = errors.Join(ctx.Err(), tx.Abort())
	}
	if err != nil {
		b.leave(conn, caller)
		return "", err
	}
	// 26 characters of base 32: at least 128 random bits.
	x := &openBatch{tx: tx, db: db, caller: caller, conn: conn, handle: rand.Text()}
	x.timer = time.AfterFunc(batchIdle, func() { b.expire(x) })
	b.open[x.handle] = x
	return x.handle, nil
}

// admit counts one more batch of the caller.
func (b *batches) admit(conn connection, caller id.Principal) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.closed:
		return errDraining
	case conn != nil && b.conns[conn] >= maxBatchesConn:
		return fmt.Errorf("%w: %d were begun over this connection; commit or abort some", errTooManyBatches, maxBatchesConn)
	case b.count[caller] >= maxBatchesEach:
		return fmt.Errorf("%w: %s has %d; commit or abort some", errTooManyBatches, caller, maxBatchesEach)
	case b.total >= maxBatches:
		return fmt.Errorf("%w: this daemon keeps %d; try again later", errTooManyBatches, maxBatches)
	}
	b.count[caller]++
	b.conns[conn]++
	b.total++
	return nil
}

// leave is the opposite of admit. Called with mu held.
func (b *batches) leave(conn connection, caller id.Principal) {
	b.total--
	if b.count[caller]--; b.count[caller] == 0 {
		delete(b.count, caller)
	}
	if b.conns[conn]--; b.conns[conn] == 0 {
		delete(b.conns, conn)
	}
}

// use finds an open batch of the caller's, which is not given up before release.
func (b *batches) use(handle string, caller id.Principal) (*openBatch, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	x := b.open[handle]
	if x == nil || x.caller != caller {
		return nil, errUnknownBatch
	}
	x.uses++
	x.timer.Stop()
	return x, nil
}

// release ends one use.
func (b *batches) release(x *openBatch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if x.uses--; x.uses == 0 && b.open[x.handle] == x {
		x.timer.Reset(batchIdle)
	}
}

// take finds an open batch of the caller's and makes its name unknown; the caller ends the batch.
func (b *batches) take(handle string, caller id.Principal) (*openBatch, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	x := b.open[handle]
	if x == nil || x.caller != caller {
		return nil, errUnknownBatch
	}
	b.forget(x)
	return x, nil
}

// forget is called with mu held.
func (b *batches) forget(x *openBatch) {
	x.timer.Stop()
	delete(b.open, x.handle)
	b.leave(x.conn, x.caller)
	b.bytes -= x.bytes
}

// keep counts what one more read or write of the batch keeps in memory.
func (b *batches) keep(x *openBatch, size int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.open[x.handle] != x:
		return errUnknownBatch
	case b.bytes+size > maxBatchBytes:
		return fmt.Errorf("%w: together they hold %d bytes, which is the limit", errTooManyBatches, maxBatchBytes)
	}
	x.bytes += size
	b.bytes += size
	return nil
}

// expire gives up a batch that was not used for batchIdle. Under mu, so that close can rely on nothing happening after it.
func (b *batches) expire(x *openBatch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open[x.handle] != x || x.uses > 0 {
		return
	}
	b.forget(x)
	// The error would be one of a store that is broken, of which others will hear.
	_ = x.tx.Abort()
}

// close gives up every batch, in use or not, and lets no more begin.
func (b *batches) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for _, x := range b.open {
		b.forget(x)
		_ = x.tx.Abort()
	}
}
