package client

import (
	"context"

	"golang.org/x/sync/semaphore"
)

const (
	// largeCommit is from which size on operations that are sent wait for others.
	largeCommit = 1 << 20
	// maxLargeBytes is how many bytes of such operations a client has under way: the daemon has each of them in memory several times
	// before it is stored, and several at a time are stored one after the other anyway.
	maxLargeBytes = maxBatchBytes
)

// largeBudget bounds what a client has under way. Safe for concurrent use.
type largeBudget struct{ left *semaphore.Weighted }

func newLargeBudget() largeBudget { return largeBudget{semaphore.NewWeighted(maxLargeBytes)} }

// enter waits until operations of that size may be sent, or ctx ends. Whoever does not get its error calls leave when they were
// answered.
func (b largeBudget) enter(ctx context.Context, size int) (leave func(), err error) {
	n := int64(min(size, maxLargeBytes))
	if n < largeCommit {
		return func() {}, nil
	}
	if err := b.left.Acquire(ctx, n); err != nil {
		return nil, err
	}
	return func() { b.left.Release(n) }, nil
}
