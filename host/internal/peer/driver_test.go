package peer

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	"github.com/syncbase/syncbase/host/internal/identity"
)

// memory is a network of one listener within a synctest bubble.
type memory struct {
	listener *bufconn.Listener

	// mu guards the fields below it.
	mu    sync.Mutex
	down  bool
	dials []time.Duration
	begun time.Time
	// stalled is closed when the network swallows everything.
	stalled chan struct{}
}

func newMemory() *memory {
	return &memory{listener: bufconn.Listen(1 << 20), begun: time.Now(), stalled: make(chan struct{})}
}

var errDown = errors.New("the network is down")

func (m *memory) dial(ctx context.Context, _ string) (net.Conn, error) {
	m.mu.Lock()
	m.dials = append(m.dials, time.Since(m.begun))
	down := m.down
	m.mu.Unlock()
	if down {
		return nil, errDown
	}
	conn, err := m.listener.DialContext(ctx)
	if err != nil {
		return nil, err
	}
	return &holed{Conn: conn, stalled: m.stalled, closed: make(chan struct{})}, nil
}

func (m *memory) setDown(down bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down = down
}

// holed is a connection that swallows everything, in both directions, once stalled is closed.
type holed struct {
	net.Conn
	stalled chan struct{}
	once    sync.Once
	closed  chan struct{}
}

func (h *holed) Read(b []byte) (int, error) {
	n, err := h.Conn.Read(b)
	select {
	case <-h.stalled:
		<-h.closed
		return 0, net.ErrClosed
	default:
		return n, err
	}
}

func (h *holed) Write(b []byte) (int, error) {
	select {
	case <-h.stalled:
		return len(b), nil
	default:
		return h.Conn.Write(b)
	}
}

func (h *holed) Close() error {
	h.once.Do(func() { close(h.closed) })
	return h.Conn.Close()
}

// inBubble runs a server a, reachable through the memory network, and a client b that knows its address.
func inBubble(t *testing.T, test func(t *testing.T, m *memory, b *Sessions)) {
	synctest.Test(t, func(t *testing.T) {
		f := newFamily(t)
		m := newMemory()
		options := func(name string, n byte, as *identity.Identity) Options {
			return Options{Identity: as, Name: name, Device: device(n), Dial: m.dial, Rand: func() float64 { return 0.5 }}
		}
		a, err := New(options("a", 1, f.member(t, "a")))
		if err != nil {
			t.Fatal(err)
		}
		b, err := New(options("b", 2, f.member(t, "b")))
		if err != nil {
			t.Fatal(err)
		}
		server := grpc.NewServer(a.ServerOptions()...)
		a.Register(server)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { server.Serve(m.listener) })
		running.Go(func() { b.Run(ctx) })
		if err := b.AddAddress("static", "a:1"); err != nil {
			t.Fatal(err)
		}
		test(t, m, b)
		cancel()
		server.Stop()
		running.Wait()
	})
}

func TestDriverBacksOffAndReconnects(t *testing.T) {
	inBubble(t, func(t *testing.T, m *memory, b *Sessions) {
		synctest.Wait()
		if len(b.Links()) != 1 {
			t.Fatalf("%d links; known %+v", len(b.Links()), b.Known())
		}
		time.Sleep(time.Hour) // idle, and still up
		m.setDown(true)
		b.Links()[0].close(errDown)
		m.mu.Lock()
		m.dials, m.begun = nil, time.Now()
		m.mu.Unlock()
		time.Sleep(7 * time.Second)
		synctest.Wait()
		m.mu.Lock()
		dials := m.dials
		m.mu.Unlock()
		want := []time.Duration{200, 600, 1400, 3000, 6200} // milliseconds: 0.2 s, doubling
		if len(dials) != len(want) {
			t.Fatalf("dialed at %v", dials)
		}
		for i, d := range dials {
			if d != want[i]*time.Millisecond {
				t.Errorf("dialed at %v", dials)
			}
		}
		m.setDown(false)
		time.Sleep(maxDelay)
		synctest.Wait()
		if len(b.Links()) != 1 {
			t.Errorf("no link after the network came back; known %+v", b.Known())
		}
	})
}

func TestDriverNoticesBlackHole(t *testing.T) {
	inBubble(t, func(t *testing.T, m *memory, b *Sessions) {
		synctest.Wait()
		link := b.Links()[0]
		m.setDown(true)
		close(m.stalled)
		stalled := time.Now()
		<-link.Done()
		if took := time.Since(stalled); took > pingAfter+pingTimeout+time.Second {
			t.Errorf("it took %s to notice", took)
		}
		if !errors.Is(link.Err(), ErrUnreachable) {
			t.Errorf("the link ended with %v", link.Err())
		}
	})
}

func TestHeadStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		var mu sync.Mutex
		started := map[string]time.Duration{}
		s, err := New(Options{
			Identity: newFamily(t).member(t, "a"),
			Name:     "a",
			Device:   device(1),
			Dial: func(ctx context.Context, address string) (net.Conn, error) {
				mu.Lock()
				started[address] = time.Since(begun)
				mu.Unlock()
				if address == "b:1" {
					return nil, errDown
				}
				<-ctx.Done()
				return nil, ctx.Err()
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = s.race(t.Context(), order{addresses: []string{"a:1", "b:1", "c:1"}})
		if !errors.Is(err, ErrUnreachable) {
			t.Errorf("got %v, want ErrUnreachable", err)
		}
		// b fails at once, so c need not wait for b's head start to pass.
		if started["a:1"] != 0 || started["b:1"] != stagger || started["c:1"] != stagger {
			t.Errorf("started %v", started)
		}
		if took := time.Since(begun); took != attemptTimeout+stagger {
			t.Errorf("the race took %s", took)
		}
	})
}
