package fetch

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/id"
)

// reference: sync-176 a hundred blobs are fetched side by side in a fraction of the time that one after the other takes; who asks
// for one again while it is fetched, or when it is here, causes nothing; and the first request for each fails and is made again.
func TestHundredFetchesWithFailuresAndDuplicates(t *testing.T) {
	const delay = 100 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork()
		net.delay = delay
		var data [][]byte
		size := 0
		for i := range 100 {
			data = append(data, random(uint64(300+i), 10_000+i))
			size += len(data[i])
		}
		var peers []id.Device
		var refs []chunk.Ref
		for i := range 3 {
			peer, same := net.holder(t, byte(i+1), data...)
			peers, refs = append(peers, peer), same
		}
		var mu sync.Mutex
		failed, done := map[int]bool{}, map[chunk.Ref]int{}
		net.fault = func(_ id.Device, _ uint32, d []byte) ([]byte, error) {
			mu.Lock()
			defer mu.Unlock()
			if !failed[len(d)] { // every blob is one chunk of a size of its own
				failed[len(d)] = true
				return nil, errors.New("link is cut")
			}
			return d, nil
		}
		n := newNode(t, net)
		n.opts.Parallel = 10
		n.opts.Events.Done = func(ref chunk.Ref, _ uint64) {
			mu.Lock()
			defer mu.Unlock()
			done[ref]++
		}
		n.run()
		for _, p := range peers {
			n.PeerUp(p)
		}
		began := time.Now()
		for range 3 {
			for _, ref := range refs {
				if err := n.Want(ref, PriorityAsked); err != nil {
					t.Fatal(err)
				}
			}
		}
		var all sync.WaitGroup
		for i := range 2 * len(refs) {
			all.Go(func() {
				ref := refs[i%len(refs)]
				if err := n.Follow(context.Background(), ref, func(Progress) error { return nil }); err != nil && !errors.Is(err, ErrNotWanted) {
					t.Errorf("blob %d: %v", i%len(refs), err)
				}
			})
		}
		all.Wait()
		took := time.Since(began)
		for i, ref := range refs {
			n.fetch(ref) // is here
			n.check(ref, data[i])
		}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if len(failed) != 100 || net.recipes != 100 || net.sent() != size {
			t.Errorf("%d failed once, %d recipes and %d bytes came; want 100, 100 and %d", len(failed), net.recipes, net.sent(), size)
		}
		for i, ref := range refs {
			if done[ref] != 1 {
				t.Errorf("blob %d was fetched %d times", i, done[ref])
			}
		}
		// A recipe, a chunk that fails and the chunk again.
		if one := 3 * 100 * delay; took > one/8 {
			t.Errorf("took %v, one after the other would take %v", took, one)
		}
		if net.most != 10 {
			t.Errorf("%d requests at once, want 10", net.most)
		}
	})
}
