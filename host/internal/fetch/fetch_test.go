package fetch

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/syncbase/syncbase/host/internal/blobs"
	"github.com/syncbase/syncbase/host/internal/blobs/blobstest"
	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func random(seed uint64, n int) []byte {
	data := make([]byte, n)
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	_, _ = rand.NewChaCha8(key).Read(data)
	return data
}

// network is a Source: peers in the same process, with faults.
type network struct {
	// delay passes before each recipe and each chunk.
	delay time.Duration
	// fault may replace a chunk on its way, or end the request with an error.
	fault func(peer id.Device, index uint32, data []byte) ([]byte, error)
	// badRecipe replaces the recipes of a peer.
	badRecipe map[id.Device][]byte

	mu      sync.Mutex
	stores  map[id.Device]*blobs.Store
	bytes   int
	recipes int
	asked   map[id.Device]int
	running int
	most    int
}

func newNetwork() *network {
	return &network{stores: make(map[id.Device]*blobs.Store), asked: make(map[id.Device]int)}
}

func (n *network) enter(peer id.Device) *blobs.Store {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked[peer]++
	n.running++
	n.most = max(n.most, n.running)
	return n.stores[peer]
}

func (n *network) leave() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.running--
}

func (n *network) pause(ctx context.Context) error {
	if n.delay == 0 {
		return ctx.Err()
	}
	select {
	case <-time.After(n.delay):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errUnreachable = errors.New("no route")

func heldError(err error) error {
	if errors.Is(err, blobs.ErrNotFound) || errors.Is(err, blobs.ErrPartial) {
		return fmt.Errorf("%w: %w", ErrNotHeld, err)
	}
	return err
}

// Recipe implements Source.
func (n *network) Recipe(ctx context.Context, peer id.Device, text string) (encoded []byte, err error) {
	store := n.enter(peer)
	defer n.leave()
	if store == nil {
		return nil, errUnreachable
	}
	if err := n.pause(ctx); err != nil {
		return nil, err
	}
	if bad, found := n.badRecipe[peer]; found {
		return bad, nil
	}
	ref, err := chunk.ParseRef(text)
	if err != nil {
		return nil, err
	}
	err = store.ServeRecipe(ctx, ref, func(part []byte) error { encoded = append(encoded, part...); return nil })
	n.mu.Lock()
	defer n.mu.Unlock()
	n.recipes++
	return encoded, heldError(err)
}

// Chunks implements Source.
func (n *network) Chunks(ctx context.Context, peer id.Device, text string, indexes []uint32, visit func(uint32, []byte) error) error {
	store := n.enter(peer)
	defer n.leave()
	if store == nil {
		return errUnreachable
	}
	ref, err := chunk.ParseRef(text)
	if err != nil {
		return err
	}
	return heldError(store.ReadChunks(ctx, ref, indexes, func(i uint32, data []byte) error {
		if err := n.pause(ctx); err != nil {
			return err
		}
		if n.fault != nil {
			if data, err = n.fault(peer, i, bytes.Clone(data)); err != nil {
				return err
			}
		}
		n.mu.Lock()
		n.bytes += len(data)
		n.mu.Unlock()
		return visit(i, data)
	}))
}

func (n *network) askedOf(peer id.Device) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked[peer]
}

func (n *network) sent() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.bytes
}

// node is a device under test: its store survives its fetcher.
type node struct {
	t       testing.TB
	net     *network
	kv      *kv.Store
	objects *blobstest.Objects
	blobs   *blobs.Store
	opts    Options
	*Fetcher
	stop func()
}

func newStore(t testing.TB) (*kv.Store, *blobstest.Objects) {
	t.Helper()
	store, err := kv.OpenMem()
	if err != nil {
		t.Fatal(err)
	}
	return store, new(blobstest.Objects)
}

func newNode(t testing.TB, net *network) *node {
	store, objects := newStore(t)
	n := &node{t: t, net: net, kv: store, objects: objects, blobs: blobs.New(store, objects), stop: func() {}}
	t.Cleanup(func() {
		n.stop()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// run starts a fetcher, after the end of the one before.
func (n *node) run() {
	n.t.Helper()
	n.stop()
	n.opts.Blobs, n.opts.Source = n.blobs, n.net
	f, err := New(n.opts)
	if err != nil {
		n.t.Fatal(err)
	}
	n.Fetcher = f
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := f.Run(ctx); !errors.Is(err, context.Canceled) {
			n.t.Errorf("Run: %v", err)
		}
	}()
	n.stop = func() {
		cancel()
		<-ended
	}
}

// holder adds a peer that has the data.
func (n *network) holder(t testing.TB, number byte, data ...[]byte) (id.Device, []chunk.Ref) {
	t.Helper()
	store, objects := newStore(t)
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	peer, s := id.Device{number}, blobs.New(store, objects)
	var refs []chunk.Ref
	for _, d := range data {
		ref, _, err := s.PutBlob(context.Background(), bytes.NewReader(d))
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, ref)
	}
	n.mu.Lock()
	n.stores[peer] = s
	n.mu.Unlock()
	return peer, refs
}

// fetch wants a blob and waits until it is whole.
func (n *node) fetch(ref chunk.Ref) (states []State) {
	n.t.Helper()
	if err := n.Want(ref, PriorityAsked); err != nil {
		n.t.Fatal(err)
	}
	var last Progress
	err := n.Follow(context.Background(), ref, func(p Progress) error {
		if p.Received < last.Received && p.Err == nil && p.State >= last.State || p.Received > p.Total {
			n.t.Errorf("progress went from %+v to %+v", last, p)
		}
		last = p
		if len(states) == 0 || states[len(states)-1] != p.State {
			states = append(states, p.State)
		}
		return nil
	})
	if err != nil {
		n.t.Fatal(err)
	}
	if last.Received != last.Total {
		n.t.Errorf("done with %+v", last)
	}
	return states
}

func (n *node) check(ref chunk.Ref, want []byte) {
	n.t.Helper()
	r, err := n.blobs.Open(ref)
	if err != nil {
		n.t.Fatal(err)
	}
	var got bytes.Buffer
	if _, err := r.WriteTo(context.Background(), &got, 0, r.Size()); err != nil || !bytes.Equal(got.Bytes(), want) {
		n.t.Errorf("the blob has %d bytes (%v), want %d", got.Len(), err, len(want))
	}
}

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
