package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"google.golang.org/grpc"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/rows"
)

const (
	// maxUnanswered bounds how many messages of a stream may be under way; then its next one has to wait.
	maxUnanswered = 64
	// maxTogether bounds how many commits are applied without letting go of the database.
	maxTogether = 256
)

// CommitEach is Commit for each commit of the stream, with access decided anew for each message, and for each commit where
// Commit decides it. Commits are started in their order and not waited for, and those of a message become durable together.
func (s *Server) CommitEach(stream grpc.BidiStreamingServer[nodev1.CommitEachRequest, nodev1.CommitEachResponse]) error {
	ctx, done := s.untilDrained(stream.Context())
	defer done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c := committer{s: s, stream: stream, cancel: cancel, started: make(chan []started, maxUnanswered)}
	var answering sync.WaitGroup
	answering.Go(c.answer)
	// Recv cannot be ended but by returning, so another goroutine is in it; it ends with the call.
	go c.receive(ctx)
	<-ctx.Done()
	c.end()
	answering.Wait() // what was applied is answered before the stream ends
	if err := context.Cause(ctx); !errors.Is(err, io.EOF) && !errors.Is(err, errDraining) {
		return err
	}
	return nil // that the client has sent everything, and that the daemon stops, is no error
}

// committer is one call of CommitEach. One goroutine receives messages and starts commits; another waits for them and sends
// what became of them.
type committer struct {
	s      *Server
	stream grpc.BidiStreamingServer[nodev1.CommitEachRequest, nodev1.CommitEachResponse]
	cancel context.CancelCauseFunc
	// database is from the first message.
	database string
	// started hands over the commits of a message to be waited for.
	started chan []started
	// mu is held while commits are started, and guards ended: no more are.
	mu    sync.Mutex
	ended bool
}

// started is a commit that was applied, or why it was not.
type started struct {
	commit rows.Started
	err    error
}

// receive starts commits until the stream or ctx ends.
func (c *committer) receive(ctx context.Context) {
	for {
		m, err := c.stream.Recv()
		if err == nil {
			err = c.take(ctx, m)
		}
		if err != nil {
			c.cancel(err)
			return
		}
	}
}

// end waits for commits that are being started, and lets no more begin.
func (c *committer) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	close(c.started)
}

func (c *committer) take(ctx context.Context, m *nodev1.CommitEachRequest) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return errDraining
	}
	if (c.database == "") == (m.GetDatabase() == "") {
		return fmt.Errorf("%w: the first message of a stream of commits names the database, and no other does", ErrInvalid)
	}
	if c.database == "" {
		c.database = m.GetDatabase()
	}
	for commits := range slices.Chunk(m.GetCommits(), maxTogether) {
		c.started <- c.start(ctx, commits)
	}
	return nil
}

// start applies commits; an error is an outcome like any other.
func (c *committer) start(ctx context.Context, commits []*nodev1.IndependentCommit) []started {
	all := make([]started, len(commits))
	t, err := c.s.open(ctx, c.database)
	if err != nil {
		for i := range all {
			all[i].err = err
		}
		return all
	}
	lists, at := make([][]rows.Op, 0, len(commits)), make([]int, 0, len(commits))
	names := collectionNames{t: t}
	for i, commit := range commits {
		ops, err := names.ops(commit.GetOps())
		if err != nil {
			all[i].err = err
			continue
		}
		lists, at = append(lists, ops), append(at, i)
	}
	for i, commit := range t.db.StartCommits(lists, t.guarded()) {
		all[at[i]].commit = commit
	}
	return all
}

// outcome waits for the commit, and says in o what became of it.
func (n *started) outcome(o *nodev1.CommitOutcome) {
	err := n.err
	if err == nil {
		versions, waited := n.commit.Wait()
		if err = waited; err == nil {
			o.Versions = versionTexts(versions)
			return
		}
	}
	code, reason := classify(err)
	o.Code, o.Error, o.Reason = uint32(code), err.Error(), reason
	if op := (*rows.OpError)(nil); errors.As(err, &op) {
		o.Operation = uint32(op.Op + 1)
	}
}

// answer waits for the commits of a message after the other, and sends their outcomes. It goes on after a failure, with nothing
// to show for it, so that nobody waits for it.
func (c *committer) answer() {
	for list := range c.started {
		m := &nodev1.CommitEachResponse{Outcomes: make([]*nodev1.CommitOutcome, len(list))}
		outcomes := make([]nodev1.CommitOutcome, len(list))
		for i := range list {
			m.Outcomes[i] = &outcomes[i]
			list[i].outcome(&outcomes[i])
		}
		if err := c.stream.Send(m); err != nil {
			c.cancel(err)
		}
	}
}
