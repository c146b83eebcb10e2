package client

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// Small commits that are under way at the same time share a stream, which costs a fraction of a call for each. Nothing else
// changes: each is applied by itself, has its own answer and its own error, and may be given up by its caller alone.

const (
	// maxPipedBytes and maxPipedOps are the most that a commit may have to go through a pipe.
	maxPipedBytes, maxPipedOps = 16 << 10, 16
	// maxPipedMessage is about the largest message of a pipe.
	maxPipedMessage = 512 << 10
	// maxPipedMessages is how many messages of a pipe may be without an answer. What comes meanwhile makes the next one: the more callers
	// there are, the less each commit costs, and it waits no longer than for the commits before it to become durable.
	maxPipedMessages = 2
	// maxPipes bounds how many databases have a pipe at a time.
	maxPipes = 8
	// maxPipeIdle is how long a pipe stays open with nothing to do.
	maxPipeIdle = 5 * time.Second
)

// pipes are those of a client.
type pipes struct {
	// under counts the commits under way: one that is alone is a call of its own.
	under atomic.Int64
	// unknown: the daemon has no such method.
	unknown atomic.Bool
	// running are the goroutines of all pipes; ctx ends with the client.
	running sync.WaitGroup
	ctx     context.Context
	end     context.CancelFunc

	// mu guards the fields below it.
	mu     sync.Mutex
	open   map[string]*pipe
	closed bool
}

func (p *pipes) init() {
	p.ctx, p.end = context.WithCancel(context.Background())
	p.open = map[string]*pipe{}
}

// close ends every pipe, and waits for it. Commits that are in one fail.
func (p *pipes) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.end()
	p.running.Wait()
}

// commit sends the operations through the pipe of the database. It reports false if they have to go by a call of their own,
// as nothing of them was applied.
func (c *Client) pipedCommit(ctx context.Context, database string, ops []*nodev1.Op) (versions []string, err error, sent bool) {
	size, fits := pipedSize(ops)
	if _, has := metadata.FromOutgoingContext(ctx); has || !fits || ctx.Err() != nil || c.pipes.unknown.Load() {
		return nil, nil, false
	}
	p := c.pipe(database)
	if p == nil {
		return nil, nil, false
	}
	it := &piped{size: size, done: make(chan struct{})}
	it.commit.Ops = ops
	if !p.add(it) {
		return nil, nil, false
	}
	select {
	case <-it.done:
	case <-ctx.Done():
		if p.giveUp(it) {
			return nil, c.failed(ctx), true
		}
		<-it.done // it was answered at the same moment
	}
	switch {
	case it.err != nil:
		return nil, c.failure(c.ended(ctx, it.err)), true
	case it.outcome == nil:
		return nil, nil, false
	case it.outcome.GetCode() != 0:
		return nil, outcomeError(it.outcome), true
	}
	return it.outcome.GetVersions(), nil, true
}

// outcomeError is what failure makes of the same error of a call.
func outcomeError(o *nodev1.CommitOutcome) *Error {
	e := &Error{Message: o.GetError(), Reason: o.GetReason(), Operation: int(o.GetOperation()), kind: kinds[codes.Code(o.GetCode())]}
	if kind := reasons[e.Reason]; kind != nil {
		e.kind = kind
	}
	return e
}

// pipedSize reports whether the operations may go through a pipe: few and small ones, whose texts do not keep a message from
// being sent.
func pipedSize(ops []*nodev1.Op) (size int, fits bool) {
	if len(ops) == 0 || len(ops) > maxPipedOps {
		return 0, false
	}
	for _, op := range ops {
		var texts [4]string
		switch op := op.GetOp().(type) {
		case *nodev1.Op_Put:
			texts = [4]string{op.Put.GetCollection(), op.Put.GetKey(), op.Put.GetType()}
			size += len(op.Put.GetValue())
		case *nodev1.Op_Delete:
			texts = [4]string{op.Delete.GetCollection(), op.Delete.GetKey()}
		case *nodev1.Op_Check:
			texts = [4]string{op.Check.GetCollection(), op.Check.GetKey(), op.Check.GetVersion(), op.Check.GetType()}
			size += len(op.Check.GetValue())
		default:
			return 0, false
		}
		for _, text := range texts {
			size += len(text)
			if !utf8.ValidString(text) {
				return 0, false
			}
		}
	}
	return size, size <= maxPipedBytes
}

// pipe returns the pipe of a database, nil when it is to have none.
func (c *Client) pipe(database string) *pipe {
	all := &c.pipes
	all.mu.Lock()
	defer all.mu.Unlock()
	if p := all.open[database]; p != nil || all.closed || len(all.open) >= maxPipes || !utf8.ValidString(database) || database == "" {
		return p
	}
	p := &pipe{all: all, api: c.api, database: database, wake: make(chan struct{}, 1)}
	p.ctx, p.end = context.WithCancel(all.ctx)
	all.open[database] = p
	all.running.Go(p.run)
	return p
}

// pipe is a stream of commits to a database.
type pipe struct {
	all      *pipes
	api      nodev1.NodeServiceClient
	database string
	// ctx ends with the stream.
	ctx context.Context
	end context.CancelFunc
	// wake has a message while there is something to send.
	wake chan struct{}

	// mu guards the fields below it and those of the commits.
	mu sync.Mutex
	// queue is not sent yet; sent waits for answers, in this order.
	queue, sent []*piped
	// unanswered is of how many commits in sent each message consists.
	unanswered []int
	// ended: nothing more can be added.
	ended bool
}

// piped is a commit in a pipe. When done is closed it has an outcome, or an error, or neither: then it was not applied.
type piped struct {
	commit  nodev1.IndependentCommit
	size    int
	outcome *nodev1.CommitOutcome
	err     error
	done    chan struct{}
	// over: done is closed, or nobody waits for it any more.
	over bool
}

// finish is called with pipe.mu held.
func (it *piped) finish(outcome *nodev1.CommitOutcome, err error) {
	if !it.over {
		it.over, it.outcome, it.err = true, outcome, err
		close(it.done)
	}
}

// add reports false when the pipe has ended.
func (p *pipe) add(it *piped) bool {
	p.mu.Lock()
	if p.ended {
		p.mu.Unlock()
		return false
	}
	p.queue = append(p.queue, it)
	p.mu.Unlock()
	p.stir()
	return true
}

// giveUp leaves a commit to itself, and reports false if it is done. What was not sent is not going to be.
func (p *pipe) giveUp(it *piped) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if it.over {
		return false
	}
	it.over = true
	return true
}

// take moves commits from the queue to those that are sent, and returns them as a message, nil if none are to be sent now.
func (p *pipe) take() *nodev1.CommitEachRequest {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.unanswered) >= maxPipedMessages {
		return nil
	}
	if len(p.queue) == 0 {
		return nil
	}
	m, size, n := &nodev1.CommitEachRequest{Commits: make([]*nodev1.IndependentCommit, 0, len(p.queue))}, 0, 0
	for _, it := range p.queue {
		if size += it.size; size > maxPipedMessage && n > 0 {
			break
		}
		n++
		if it.over {
			continue
		}
		m.Commits, p.sent = append(m.Commits, &it.commit), append(p.sent, it)
	}
	clear(p.queue[:n])
	if p.queue = p.queue[n:]; len(p.queue) == 0 {
		p.queue = nil
	}
	if len(m.Commits) == 0 {
		return nil
	}
	p.unanswered = append(p.unanswered, len(m.Commits))
	return m
}

// run sends until the pipe has been idle for a while or the stream ends, and ends with it.
func (p *pipe) run() {
	defer p.end()
	stream, err := p.api.CommitEach(p.ctx)
	if err != nil {
		p.close(err)
		return
	}
	var receiving sync.WaitGroup
	defer receiving.Wait()
	receiving.Go(func() { p.receive(stream) })
	idle := time.NewTimer(maxPipeIdle)
	defer idle.Stop()
	database := p.database
	for {
		// Callers that were answered together are about to commit again. They go first, so that one message has them all.
		runtime.Gosched()
		m := p.take()
		if m == nil {
			idle.Reset(maxPipeIdle)
			select {
			case <-p.wake:
			case <-p.ctx.Done():
				return
			case <-idle.C:
				if p.retire(stream) {
					return
				}
			}
			continue
		}
		m.Database, database = database, ""
		if stream.Send(m) != nil {
			return // receive is told why
		}
	}
}

// retire lets nobody add to the pipe any more, unless there is something in it: then it reports false.
func (p *pipe) retire(stream grpc.ClientStream) bool {
	p.mu.Lock()
	if p.ended = len(p.queue)+len(p.sent) == 0; !p.ended {
		p.mu.Unlock()
		return false
	}
	p.mu.Unlock()
	p.forget()
	_ = stream.CloseSend() // receive is told if it failed
	return true
}

// forget lets the next commit begin another pipe.
func (p *pipe) forget() {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	if p.all.open[p.database] == p {
		delete(p.all.open, p.database)
	}
}

// receive hands out what the daemon answers until the stream ends.
func (p *pipe) receive(stream grpc.BidiStreamingClient[nodev1.CommitEachRequest, nodev1.CommitEachResponse]) {
	defer p.end()
	for {
		m, err := stream.Recv()
		if err == nil {
			err = p.answer(m.GetOutcomes())
		}
		if err != nil {
			p.close(err)
			return
		}
	}
}

func (p *pipe) answer(outcomes []*nodev1.CommitOutcome) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(outcomes) > len(p.sent) {
		return status.Error(codes.Internal, "the daemon answered commits that it was not sent")
	}
	for i, outcome := range outcomes {
		p.sent[i].finish(outcome, nil)
	}
	clear(p.sent[:len(outcomes)])
	if p.sent = p.sent[len(outcomes):]; len(p.sent) == 0 {
		p.sent = nil
	}
	for n := len(outcomes); n > 0; {
		answered := min(n, p.unanswered[0])
		if n, p.unanswered[0] = n-answered, p.unanswered[0]-answered; p.unanswered[0] == 0 {
			p.unanswered = p.unanswered[1:]
		}
	}
	if len(p.queue) > 0 {
		p.stir()
	}
	return nil
}

// stir makes run look at the queue.
func (p *pipe) stir() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// close ends the pipe. What was sent may have been applied, unless the daemon ended the stream in order, or does not know
// what it is.
func (p *pipe) close(err error) {
	p.forget()
	if status.Code(err) == codes.Unimplemented {
		p.all.unknown.Store(true)
		err = nil
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	for _, it := range p.sent {
		it.finish(nil, err)
	}
	for _, it := range p.queue {
		it.finish(nil, nil)
	}
	p.queue, p.sent = nil, nil
}
