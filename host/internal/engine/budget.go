package engine

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/syncbase/syncbase/host/internal/delta"
)

// budgetBytes is how many bytes of commits that have arrived may wait to be applied in the whole process, whatever the number
// of peers and databases. What comes beyond it stays in the connections, whose flow control slows its senders.
const budgetBytes = 4 * window

const (
	// creditBytes are told to the peer at once, as it may need them to go on, and less after creditRest: a stream of small steps would
	// cost a message back for each.
	creditBytes = window / 16
	creditRest  = 20 * time.Millisecond
)

// budget is shared by all pulls of an engine. Safe for concurrent use.
type budget struct {
	size int64
	left *semaphore.Weighted
}

func newBudget(size int64) *budget { return &budget{size, semaphore.NewWeighted(size)} }

// metered is a stream whose commits count against the budget from when they have arrived until there is credit for them. The
// pull has to end it by free.
type metered struct {
	Stream
	ctx    context.Context // of the pull, whose end must end a wait
	budget *budget
	// mu guards held, which is what the stream has of the budget.
	mu   sync.Mutex
	held int64
	// owed is the credit of which the peer has not been told, and credited when it was told last. Used by who gives credit.
	owed     uint64
	credited time.Time
}

// Recv waits until the budget has room for the message; of a pull that was cut off it takes what there is room for at once. One that
// is larger than all of the budget needs all of it.
func (m *metered) Recv() (delta.Message, error) {
	msg, err := m.Stream.Recv()
	if err != nil {
		return msg, err
	}
	var size int64
	for _, c := range msg.Commits {
		size += int64(len(c))
	}
	if size = min(size, m.budget.size); size == 0 {
		return msg, nil
	}
	if err := m.budget.left.Acquire(m.ctx, size); err != nil && !m.budget.left.TryAcquire(size) {
		return delta.Message{}, err
	}
	m.mu.Lock()
	m.held += size
	m.mu.Unlock()
	return msg, nil
}

// Credit gives room back. The peer is told of little bits now and then: see due.
func (m *metered) Credit(n uint64) error {
	m.release(int64(min(n, uint64(m.budget.size))))
	m.owed += n
	if m.owed < creditBytes && time.Since(m.credited) < creditRest {
		return nil
	}
	return m.settle()
}

// due is for how long the peer can wait for the credit that it has not been told of; negative when there is none. Then settle.
func (m *metered) due() time.Duration {
	if m.owed == 0 {
		return -1
	}
	return max(0, creditRest-time.Since(m.credited))
}

// settle tells the peer of all its credit. One that is cut off needs none.
func (m *metered) settle() error {
	n := m.owed
	m.owed, m.credited = 0, time.Now()
	if err := m.Stream.Credit(n); m.ctx.Err() == nil {
		return err
	}
	return nil
}

// free gives back all that is left. Nobody may be in Recv any more.
func (m *metered) free() { m.release(m.budget.size) }

func (m *metered) release(n int64) {
	m.mu.Lock()
	n = min(n, m.held)
	m.held -= n
	m.mu.Unlock()
	m.budget.left.Release(n)
}
