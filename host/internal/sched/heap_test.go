package sched

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// reference: sync-175 a million random additions, removals and takings leave the least on top and every index right.
func TestHeapKeepsOrderAndIndexes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	h := blobHeap{less: func(a, b *blob) bool { return a.wake.Before(b.wake) }}
	for i := range 1_000_000 {
		switch n := random.IntN(10); {
		case n < 5 && h.Len() < 100 || h.Len() == 0:
			h.add(&blob{wake: time.Unix(random.Int64N(50), 0)})
		case n < 7:
			h.remove(h.blobs[random.IntN(h.Len())])
		default:
			least := slices.MinFunc(h.blobs, func(a, b *blob) int { return a.wake.Compare(b.wake) })
			if got := h.take(); !got.wake.Equal(least.wake) {
				t.Fatalf("step %d: took %v, the least is %v", i, got.wake, least.wake)
			}
		}
		if i%1000 > 0 {
			continue
		}
		for k, b := range h.blobs {
			if b.index != k {
				t.Fatalf("step %d: the blob at %d has the index %d", i, k, b.index)
			}
		}
	}
}
