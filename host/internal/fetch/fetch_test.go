package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/internal/blobs"
	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/id"
)

// reference: store-112 a device fetches a blob of another one, of no bytes, of 1 MiB and of more.
//
// reference: store-111 fetching a blob that is here is done at once.
func TestWholeTransfer(t *testing.T) {
	for _, size := range []int{0, 1, 1 << 20, 20 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := newNetwork()
				net.delay = time.Millisecond
				data := random(1, size)
				peer, refs := net.holder(t, 1, data)
				n := newNode(t, net)
				n.run()
				n.PeerUp(peer)
				states := n.fetch(refs[0])
				if want := []State{Pending, Locating, Fetching, Done}; !isSubsequence(states, want) || states[len(states)-1] != Done {
					t.Errorf("states %v, want a part of %v", states, want)
				}
				n.check(refs[0], data)
				if sent := net.sent(); sent != size {
					t.Errorf("%d bytes came for a blob of %d", sent, size)
				}
				if again := n.fetch(refs[0]); !slices.Equal(again, []State{Done}) || net.sent() != size {
					t.Errorf("fetched again: states %v, %d bytes in all", again, net.sent())
				}
				locations, err := n.blobs.Locations(refs[0])
				if err != nil || size > 0 && (len(locations) != 1 || locations[0].Device != peer) {
					t.Errorf("signpost after the fetch: %v, %v", locations, err)
				}
			})
		})
	}
}

func isSubsequence(part, all []State) bool {
	for _, s := range all {
		if len(part) > 0 && part[0] == s {
			part = part[1:]
		}
	}
	return len(part) == 0
}

func TestOnlyMissingChunksTravel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork()
		old := random(2, 20<<20)
		edited := slices.Concat(old[:10<<20], random(3, 1<<20), old[10<<20:])
		repeated := bytes.Repeat(random(4, 300_000), 20)
		peer, refs := net.holder(t, 1, old, edited, repeated)
		n := newNode(t, net)
		n.run()
		n.PeerUp(peer)
		n.fetch(refs[0])
		before := net.sent()
		n.fetch(refs[1])
		n.check(refs[1], edited)
		if sent := net.sent() - before; sent > 2<<20 {
			t.Errorf("1 MiB in the middle of 20 cost %d bytes", sent)
		}
		before = net.sent()
		n.fetch(refs[2])
		n.check(refs[2], repeated)
		if sent := net.sent() - before; sent > 2<<20 {
			t.Errorf("300 kB twenty times over cost %d bytes", sent)
		}
	})
}

func TestTwoHoldersShareTheWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork()
		net.delay = 5 * time.Millisecond
		data := random(21, 30<<20)
		one, refs := net.holder(t, 1, data)
		two, _ := net.holder(t, 2, data)
		gave := make(map[id.Device]int)
		var mu sync.Mutex
		net.fault = func(peer id.Device, _ uint32, d []byte) ([]byte, error) {
			mu.Lock()
			defer mu.Unlock()
			gave[peer] += len(d)
			return d, nil
		}
		n := newNode(t, net)
		n.run()
		n.PeerUp(one)
		n.PeerUp(two)
		if err := n.Want(refs[0], PriorityAsked, one, two); err != nil {
			t.Fatal(err)
		}
		n.fetch(refs[0])
		n.check(refs[0], data)
		mu.Lock()
		defer mu.Unlock()
		if net.sent() != len(data) || gave[one] < len(data)/3 || gave[two] < len(data)/3 {
			t.Errorf("of %d bytes the peers gave %d and %d", len(data), gave[one], gave[two])
		}
	})
}

func TestManyWaitersShareOneTransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork()
		net.delay = time.Millisecond
		data := random(10, 5<<20)
		peer, refs := net.holder(t, 1, data)
		n := newNode(t, net)
		n.run()
		n.PeerUp(peer)
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				if i%2 == 0 {
					n.fetch(refs[0])
					return
				}
				var got bytes.Buffer
				if _, err := n.Read(context.Background(), refs[0], 0, 1<<62, &got); err != nil || !bytes.Equal(got.Bytes(), data) {
					t.Errorf("reader %d: %d bytes, %v", i, got.Len(), err)
				}
			})
		}
		all.Wait()
		if net.sent() != len(data) || net.recipes != 1 {
			t.Errorf("%d bytes and %d recipes came, want %d and 1", net.sent(), net.recipes, len(data))
		}
	})
}

// reference: store-112 a blob of another device is read without having been fetched first.
func TestReadWhileFetching(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork()
		net.delay = 10 * time.Millisecond
		data := random(11, 30<<20)
		peer, refs := net.holder(t, 1, data)
		n := newNode(t, net)
		n.run()
		n.PeerUp(peer)
		begin := time.Now()
		var got bytes.Buffer
		const offset, length = 25_000_000, 1_000_000
		if _, err := n.Read(context.Background(), refs[0], offset, length, &got); err != nil || !bytes.Equal(got.Bytes(), data[offset:][:length]) {
			t.Errorf("%d bytes, %v", got.Len(), err)
		}
		early := time.Since(begin)
		if _, err := n.Read(context.Background(), refs[0], 30<<20+1, 1, &got); !errors.Is(err, blobs.ErrRange) {
			t.Errorf("beyond the end: %v", err)
		}
		n.fetch(refs[0])
		if all := time.Since(begin); early > all*3/4 {
			t.Errorf("the end of the blob came after %v of %v although a reader waited for it", early, all)
		}
		n.check(refs[0], data)
		if net.sent() != len(data) {
			t.Errorf("%d bytes came, want %d", net.sent(), len(data))
		}
	})
}

func TestReaderWhoLeavesStopsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork()
		net.delay = 10 * time.Millisecond
		data := random(12, 5<<20)
		peer, refs := net.holder(t, 1, data)
		n := newNode(t, net)
		n.run()
		n.PeerUp(peer)
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		if _, err := n.Read(ctx, refs[0], 0, 1<<62, new(bytes.Buffer)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		time.Sleep(time.Minute)
		n.check(refs[0], data)
	})
}

func TestCancelAndWantAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork()
		net.delay = 10 * time.Millisecond
		data := random(16, 20<<20)
		peer, refs := net.holder(t, 1, data)
		n := newNode(t, net)
		n.run()
		n.PeerUp(peer)
		if err := n.Want(refs[0], PriorityAsked); err != nil {
			t.Fatal(err)
		}
		time.Sleep(200 * time.Millisecond)
		n.Cancel(refs[0])
		if err := n.Follow(context.Background(), refs[0], func(Progress) error { return nil }); !errors.Is(err, ErrCancelled) && !errors.Is(err, ErrNotWanted) {
			t.Errorf("Follow of a cancelled fetch: %v", err)
		}
		n.fetch(refs[0]) // while the requests of the first wish are still ending
		n.check(refs[0], data)
		if twice := net.sent() - len(data); twice > 8*chunk.MaxSize {
			t.Errorf("%d bytes came twice, want at most a chunk for each of 8 requests", twice)
		}
		time.Sleep(time.Second)
		n.mu.Lock()
		defer n.mu.Unlock()
		if len(n.tasks) > 0 || net.running > 0 {
			t.Errorf("left: %d tasks, %d requests", len(n.tasks), net.running)
		}
	})
}

func TestManyBlobsWithinTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork()
		net.delay = 50 * time.Millisecond
		var data [][]byte
		for i := range 100 {
			data = append(data, random(uint64(100+i), 20_000+i))
		}
		peer, refs := net.holder(t, 1, data...)
		n := newNode(t, net)
		var mu sync.Mutex
		done := make(map[chunk.Ref]int)
		n.opts.Events.Done = func(ref chunk.Ref, _ uint64) {
			mu.Lock()
			defer mu.Unlock()
			done[ref]++
		}
		n.run()
		n.PeerUp(peer)
		for _, ref := range refs {
			if err := n.Want(ref, PriorityAuto); err != nil {
				t.Fatal(err)
			}
		}
		for i, ref := range refs {
			n.fetch(ref)
			n.check(ref, data[i])
		}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		for _, ref := range refs {
			if done[ref] != 1 {
				t.Errorf("%v was fetched %d times", ref, done[ref])
			}
		}
		if net.most > 4 {
			t.Errorf("%d requests at once for blobs of one chunk, want at most 4", net.most)
		}
	})
}

func TestServerFetchesWhatRowsReferTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork()
		data := [][]byte{random(17, 100_000), random(18, 100_000)}
		peer, refs := net.holder(t, 1, data...)
		n := newNode(t, net)
		n.opts.Auto = func(ref chunk.Ref) bool { return ref == refs[0] }
		n.run()
		n.PeerUp(peer)
		if err := n.Referenced(refs...); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		n.check(refs[0], data[0])
		if _, err := n.blobs.Stat(refs[1]); !errors.Is(err, blobs.ErrNotFound) {
			t.Errorf("a blob that Auto did not accept: %v", err)
		}
		if err := n.Follow(context.Background(), refs[1], func(Progress) error { return nil }); !errors.Is(err, ErrNotWanted) {
			t.Errorf("Follow of a blob that is not wanted: %v", err)
		}
	})
}

func TestSelfIsNotAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork()
		self, refs := net.holder(t, 1, random(19, 1000))
		n := newNode(t, net)
		n.opts.Self = self
		n.run()
		n.PeerUp(self)
		if err := n.Want(refs[0], PriorityAsked, self); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if net.askedOf(self) > 0 {
			t.Error("the device asked itself")
		}
	})
}

func TestOptionsValidate(t *testing.T) {
	if _, err := New(Options{Parallel: -1, Stall: -1}); err == nil {
		t.Error("negative options and no store were accepted")
	}
}

func BenchmarkFetch(b *testing.B) {
	const size = 64 << 20
	net := newNetwork()
	peer, refs := net.holder(b, 1, random(1, size))
	b.SetBytes(size)
	for b.Loop() {
		n := newNode(b, net)
		n.run()
		n.PeerUp(peer)
		n.fetch(refs[0])
		n.stop()
	}
}

func TestBlobThatComesByAnotherWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork()
		data := random(20, 1<<20)
		n := newNode(t, net)
		n.run()
		ref := recipeRef(t, data)
		if err := n.Want(ref, PriorityAsked); err != nil {
			t.Fatal(err)
		}
		var following sync.WaitGroup
		following.Go(func() {
			if err := n.Follow(context.Background(), ref, func(Progress) error { return nil }); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		if _, _, err := n.blobs.PutBlob(context.Background(), bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		if err := n.Stored(ref); err != nil {
			t.Fatal(err)
		}
		following.Wait()
		n.PeerUp(id.Device{1})
		time.Sleep(time.Hour)
		if net.askedOf(id.Device{1}) > 0 {
			t.Error("a peer was asked for a blob that is here")
		}
	})
}

func recipeRef(t *testing.T, data []byte) chunk.Ref {
	t.Helper()
	var b chunk.Builder
	c := chunk.NewChunker(bytes.NewReader(data))
	for d, err := c.Next(); err == nil; d, err = c.Next() {
		if err := b.Add(chunk.Sum(d), len(d)); err != nil {
			t.Fatal(err)
		}
	}
	return b.Recipe().Ref()
}
