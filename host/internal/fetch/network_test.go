package fetch

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
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
