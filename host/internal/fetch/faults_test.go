package fetch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/internal/blobs"
	"github.com/syncbase/syncbase/host/internal/blobs/blobstest"
	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
)

func TestCutsCostAtMostAChunkEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork()
		data := random(5, 20<<20)
		peer, refs := net.holder(t, 1, data)
		count, cuts := 0, 0
		var mu sync.Mutex
		net.fault = func(_ id.Device, _ uint32, d []byte) ([]byte, error) {
			mu.Lock()
			defer mu.Unlock()
			if count++; count%7 == 0 {
				cuts++
				return nil, errors.New("link is cut")
			}
			return d, nil
		}
		n := newNode(t, net)
		n.run()
		n.PeerUp(peer)
		n.fetch(refs[0])
		n.check(refs[0], data)
		if cuts < 10 || net.sent() != len(data) {
			t.Errorf("%d bytes came over %d cuts, want %d", net.sent(), cuts, len(data))
		}
	})
}

func TestRestartGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork()
		net.delay = 40 * time.Millisecond
		data := random(6, 30<<20)
		peer, refs := net.holder(t, 1, data)
		n := newNode(t, net)
		n.opts.Auto = func(chunk.Ref) bool { return true }
		b := n.kv.NewBatch()
		if err := n.blobs.IndexRow(b, 1, 1, "k", nil, fmt.Appendf(nil, `{"$blob":%q}`, refs[0])); err != nil {
			t.Fatal(err)
		}
		if err := b.Commit(kv.Sync); err != nil {
			t.Fatal(err)
		}
		for range 4 { // nobody asks for the blob: the record in the store is enough
			n.run()
			n.PeerUp(peer)
			time.Sleep(300 * time.Millisecond)
		}
		if st, err := n.blobs.Stat(refs[0]); err != nil || st.State != blobs.Partial {
			t.Fatalf("before the last run: %+v, %v", st, err)
		}
		n.run()
		synctest.Wait() // until Run has found its work
		n.PeerUp(peer)
		if err := n.Follow(context.Background(), refs[0], func(Progress) error { return nil }); err != nil {
			t.Fatal(err)
		}
		n.check(refs[0], data)
		if net.sent() != len(data) || net.recipes != 1 {
			t.Errorf("%d bytes and %d recipes came over four stops, want %d and 1", net.sent(), net.recipes, len(data))
		}
	})
}

func TestKillLosesAtMostAPack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork()
		net.delay = 10 * time.Millisecond
		data := random(7, 40<<20)
		peer, refs := net.holder(t, 1, data)
		fs := kv.NewMemFS()
		store, err := kv.Open("db", kv.Options{FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		n := &node{t: t, net: net, objects: new(blobstest.Objects), stop: func() {}}
		n.blobs = blobs.New(store, n.objects)
		n.run()
		n.PeerUp(peer)
		if err := n.Want(refs[0], PriorityAsked); err != nil {
			t.Fatal(err)
		}
		if err := n.Follow(context.Background(), refs[0], func(p Progress) error {
			if p.Received > 30<<20 {
				return errors.New("far enough")
			}
			return nil
		}); err == nil {
			t.Fatal("the fetch ended too early")
		}
		sent := net.sent()
		after := fs.CrashClone()
		n.stop()
		rest := net.sent() - sent
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		if store, err = kv.Open("db", kv.Options{FS: after}); err != nil {
			t.Fatal(err)
		}
		n.blobs, n.stop = blobs.New(store, n.objects), func() {}
		n.run()
		n.PeerUp(peer)
		n.fetch(refs[0])
		n.check(refs[0], data)
		n.stop()
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		if twice := net.sent() - rest - len(data); twice > 17<<20 {
			t.Errorf("%d bytes came twice, want no more than the pack being filled and the one being sent", twice)
		}
	})
}

func TestLiarsAreNotAskedAgain(t *testing.T) {
	lies := map[string]func(net *network, liar id.Device){
		"flipped chunk": func(net *network, liar id.Device) {
			net.fault = func(peer id.Device, _ uint32, d []byte) ([]byte, error) {
				if peer == liar {
					d[0] ^= 1
				}
				return d, nil
			}
		},
		"short chunk": func(net *network, liar id.Device) {
			net.fault = func(peer id.Device, _ uint32, d []byte) ([]byte, error) {
				if peer == liar {
					d = d[1:]
				}
				return d, nil
			}
		},
		"garbage recipe": func(net *network, liar id.Device) {
			net.badRecipe = map[id.Device][]byte{liar: []byte("recipe")}
		},
		"empty recipe": func(net *network, liar id.Device) {
			net.badRecipe = map[id.Device][]byte{liar: nil}
		},
	}
	for name, lie := range lies {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := newNetwork()
				net.delay = time.Millisecond
				data := random(8, 5<<20)
				liar, _ := net.holder(t, 1, data)
				honest, refs := net.holder(t, 2, data)
				lie(net, liar)
				n := newNode(t, net)
				n.run()
				n.PeerUp(liar)
				if err := n.Want(refs[0], PriorityAsked, liar); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour)
				asked := net.askedOf(liar)
				if asked == 0 || asked > 8 {
					t.Errorf("the liar was asked %d times in an hour", asked)
				}
				n.PeerUp(honest)
				n.fetch(refs[0])
				n.check(refs[0], data)
				if net.askedOf(liar) != asked {
					t.Errorf("the liar was asked again")
				}
			})
		})
	}
}

func TestChunkThatWasNotAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork()
		data := random(9, 3<<20)
		peer, refs := net.holder(t, 1, data)
		n := newNode(t, net)
		var mu sync.Mutex
		var failures []error
		n.opts.Events.Failed = func(_ chunk.Ref, _ id.Device, err error) {
			mu.Lock()
			defer mu.Unlock()
			failures = append(failures, err)
		}
		n.run()
		n.Fetcher.opts.Source = shifted{net}
		n.PeerUp(peer)
		if err := n.Want(refs[0], PriorityAsked); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if len(failures) == 0 || !errors.Is(failures[0], errBad) {
			t.Errorf("failures %v, want wrong data", failures)
		}
	})
}

// shifted numbers chunks wrongly.
type shifted struct{ *network }

func (s shifted) Chunks(ctx context.Context, peer id.Device, ref string, indexes []uint32, visit func(uint32, []byte) error) error {
	return s.network.Chunks(ctx, peer, ref, indexes, func(i uint32, d []byte) error { return visit(i+1000, d) })
}

func TestDiskFullIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork()
		net.delay = time.Millisecond
		data := random(13, 30<<20)
		peer, refs := net.holder(t, 1, data)
		n := newNode(t, net)
		full := errors.New("no space left")
		var mu sync.Mutex
		puts := 0
		n.objects.OnPut = func(context.Context, string) error {
			mu.Lock()
			defer mu.Unlock()
			if puts++; puts > 1 && puts < 6 {
				return full
			}
			return nil
		}
		n.run()
		n.PeerUp(peer)
		if err := n.Want(refs[0], PriorityAsked); err != nil {
			t.Fatal(err)
		}
		seen := false
		err := n.Follow(context.Background(), refs[0], func(p Progress) error {
			seen = seen || errors.Is(p.Err, full)
			return nil
		})
		if err != nil || !seen {
			t.Errorf("Follow: %v; the error was shown: %v", err, seen)
		}
		n.check(refs[0], data)
	})
}

func TestAwayForHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork()
		data := random(14, 1<<20)
		peer, refs := net.holder(t, 1, data)
		store := net.stores[peer]
		net.stores[peer] = nil // nothing is running yet; the peer is up, but not to be reached
		n := newNode(t, net)
		n.run()
		n.PeerUp(peer)
		if err := n.Want(refs[0], PriorityAsked); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Hour)
		if asked := net.askedOf(peer); asked < 100 || asked > 1000 {
			t.Errorf("asked %d times in six hours", asked)
		}
		n.PeerDown(peer)
		net.mu.Lock()
		net.stores[peer] = store
		net.mu.Unlock()
		begin := time.Now()
		n.PeerUp(peer)
		n.fetch(refs[0])
		if took := time.Since(begin); took > time.Second {
			t.Errorf("fetched %v after the peer's return", took)
		}
	})
}

func TestStalledPeerIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newNetwork()
		data := random(15, 3<<20)
		slow, _ := net.holder(t, 1, data)
		good, refs := net.holder(t, 2, data)
		n := newNode(t, net)
		n.run()
		n.Fetcher.opts.Source = stalling{net, slow}
		n.PeerUp(slow)
		if err := n.Want(refs[0], PriorityAsked, slow); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		n.PeerUp(good)
		n.fetch(refs[0])
		n.check(refs[0], data)
	})
}

// stalling never answers for one peer.
type stalling struct {
	*network
	slow id.Device
}

func (s stalling) Recipe(ctx context.Context, peer id.Device, ref string) ([]byte, error) {
	if peer == s.slow {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.network.Recipe(ctx, peer, ref)
}
