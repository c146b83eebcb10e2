package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"google.golang.org/grpc"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/rows"
)

// maxUnanswered bounds how many commits of a stream may be under way; then its next message has to wait.
const maxUnanswered = 1024

// CommitEach is Commit for each commit of the stream, with access decided anew for each message, and for each commit where
// Commit decides it. Commits are started in their order and not waited for, so those that arrive together become durable
// together.
func (s *Server) CommitEach(stream grpc.BidiStreamingServer[nodev1.CommitEachRequest, nodev1.CommitEachResponse]) error {
	ctx, done := s.untilDrained(stream.Context())
	defer done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c := committer{s: s, stream: stream, cancel: cancel, started: make(chan started, maxUnanswered), turn: make(chan struct{}, 1)}
	var answering sync.WaitGroup
	answering.Go(c.wait)
	answering.Go(c.answer)
	err := c.run(ctx)
	close(c.started)
	answering.Wait() // what was applied is answered before the stream ends
	return err
}

// committer is one call of CommitEach. The handler receives messages and starts commits; a goroutine waits for them, and
// another sends what became of them.
type committer struct {
	s      *Server
	stream grpc.BidiStreamingServer[nodev1.CommitEachRequest, nodev1.CommitEachResponse]
	cancel context.CancelCauseFunc
	// database is from the first message.
	database string
	// started hands commits over to be waited for.
	started chan started
	// turn has a message while there are outcomes or the last one is there.
	turn chan struct{}
	// mu guards outcomes, which are to be sent, and last: there will be no more.
	mu       sync.Mutex
	outcomes []*nodev1.CommitOutcome
	last     bool
}

// started is a commit that was applied, or why it was not.
type started struct {
	commit rows.Pending
	err    error
}

// run starts commits until the stream or ctx ends. That the client has sent everything, and that the daemon stops, is no
// error.
func (c *committer) run(ctx context.Context) error {
	// Recv cannot be ended but by returning, so another goroutine is in it; it ends with the call.
	messages := make(chan *nodev1.CommitEachRequest)
	go func() {
		for {
			m, err := c.stream.Recv()
			if err != nil {
				c.cancel(err)
				return
			}
			select {
			case messages <- m:
			case <-ctx.Done():
				return
			}
		}
	}()
	for first := true; ; first = false {
		select {
		case m := <-messages:
			if first == (m.GetDatabase() == "") {
				return fmt.Errorf("%w: the first message of a stream of commits names the database, and no other does", ErrInvalid)
			}
			if first {
				c.database = m.GetDatabase()
			}
			c.start(ctx, m.GetCommits())
		case <-ctx.Done():
			if err := context.Cause(ctx); !errors.Is(err, io.EOF) && !errors.Is(err, errDraining) {
				return err
			}
			return nil
		}
	}
}

// start applies commits; an error is an outcome like any other.
func (c *committer) start(ctx context.Context, commits []*nodev1.IndependentCommit) {
	t, err := c.s.open(ctx, c.database)
	for _, commit := range commits {
		next := started{err: err}
		if err == nil {
			next.commit, next.err = t.startCommit(commit.GetOps())
		}
		c.started <- next
	}
}

func (t *target) startCommit(list []*nodev1.Op) (rows.Pending, error) {
	ops, err := t.ops(list)
	if err != nil {
		return rows.Pending{}, err
	}
	return t.db.StartCommit(ops, t.guarded())
}

// wait waits for commits in their order, until there are no more.
func (c *committer) wait() {
	for next := range c.started {
		outcome := next.outcome()
		c.mu.Lock()
		c.outcomes = append(c.outcomes, outcome)
		c.mu.Unlock()
		c.wake()
	}
	c.mu.Lock()
	c.last = true
	c.mu.Unlock()
	c.wake()
}

func (c *committer) wake() {
	select {
	case c.turn <- struct{}{}:
	default:
	}
}

func (n *started) outcome() *nodev1.CommitOutcome {
	err := n.err
	if err == nil {
		versions, waited := n.commit.Wait()
		if err = waited; err == nil {
			return &nodev1.CommitOutcome{Versions: versionTexts(versions)}
		}
	}
	code, reason := classify(err)
	o := &nodev1.CommitOutcome{Code: uint32(code), Error: err.Error(), Reason: reason}
	if op := (*rows.OpError)(nil); errors.As(err, &op) {
		o.Operation = uint32(op.Op + 1)
	}
	return o
}

// answer sends outcomes, as many at a time as there are, until the last one. It goes on after a failure, with nothing to
// show for it, so that nobody waits for it.
func (c *committer) answer() {
	for range c.turn {
		c.mu.Lock()
		list, last := c.outcomes, c.last
		c.outcomes = nil
		c.mu.Unlock()
		if len(list) > 0 {
			if err := c.stream.Send(&nodev1.CommitEachResponse{Outcomes: list}); err != nil {
				c.cancel(err)
			}
		}
		if last {
			return
		}
	}
}
