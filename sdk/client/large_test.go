package client

import (
	"context"
	"testing"
	"testing/synctest"
)

// What a client has under way of large commits is bounded in bytes: more waits, and little goes past it.
func TestLargeCommitsWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLargeBudget()
		enter := func(ctx context.Context, size int) func() {
			leave, err := b.enter(ctx, size)
			if err != nil {
				t.Fatal(err)
			}
			return leave
		}
		first := enter(t.Context(), maxLargeBytes-largeCommit)
		second := enter(t.Context(), largeCommit)
		enter(t.Context(), largeCommit-1)()
		entered := make(chan func(), 1)
		go func() { entered <- enter(t.Context(), 2*maxLargeBytes) }()
		synctest.Wait()
		first()
		synctest.Wait()
		if len(entered) > 0 {
			t.Error("more than the budget is under way")
		}
		given, stop := context.WithCancel(t.Context())
		stop()
		if _, err := b.enter(given, largeCommit); err == nil {
			t.Error("who has given up was let in")
		}
		second()
		(<-entered)()
	})
}
