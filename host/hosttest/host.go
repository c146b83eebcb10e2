package hosttest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/syncbase/syncbase/host"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// Host is one daemon, through all its starts.
type Host struct {
	c        *Cluster
	name     string
	number   int
	ip       string
	dir      string
	identity string
	// skew of the clock, in nanoseconds.
	skew atomic.Int64
	// timeServer is asked for the time; nil is none.
	timeServer func() time.Time
	disk       *kv.MemFS
	run        *run
	watchers   []*Watcher
	// asked is what the daemon has asked its peers.
	asked asked
}

// run is a daemon from one start to the next stop.
type run struct {
	host   *host.Host
	conn   *grpc.ClientConn
	cancel context.CancelFunc
	// done yields what Run returned.
	done chan error
	// watching are the watchers that follow.
	watching sync.WaitGroup
}

func newHost(c *Cluster, name string, number int, dir string) *Host {
	h := &Host{
		c: c, name: name, number: number, ip: fmt.Sprintf("10.0.0.%d", number+1), dir: dir,
		identity: filepath.Join(dir, "identity"), disk: kv.NewMemFS(),
	}
	if c.opts.MaxSkew > 0 {
		h.SetClock(time.Duration(c.random.Int64N(int64(2*c.opts.MaxSkew))) - c.opts.MaxSkew)
	}
	return h
}

// must ends the test on an error.
func (h *Host) must(_ any, err error) {
	h.c.t.Helper()
	if err != nil {
		h.c.t.Fatalf("seed %d: %s: %v", h.c.opts.Seed, h.name, err)
	}
}

// Name returns the name of the daemon.
func (h *Host) Name() string { return h.name }

// Address is where the daemon accepts peers.
func (h *Host) Address() string { return net.JoinHostPort(h.ip, "4001") }

// SetClock makes the clock of the machine wrong by skew from now on.
func (h *Host) SetClock(skew time.Duration) { h.skew.Store(int64(skew)) }

// SetTimeServer is where the daemon asks for the time when it is started next, and is for one that does not run; nil asks nobody. While it answers with the
// zero time it cannot be reached.
func (h *Host) SetTimeServer(server func() time.Time) { h.timeServer = server }

// clock is what the machine says what time it is.
func (h *Host) clock() time.Time { return time.Now().Add(time.Duration(h.skew.Load())) }

func (h *Host) askTime(context.Context, string) (time.Duration, error) {
	now := h.timeServer()
	if now.IsZero() {
		return 0, errors.New("time server does not answer")
	}
	return now.Sub(h.clock()), nil
}

// Running reports whether the daemon runs.
func (h *Host) Running() bool { return h.run != nil }

// Start starts a daemon that does not run, on what is on its disk.
func (h *Host) Start() {
	h.c.t.Helper()
	h.c.network.unplug(h.ip, false)
	clients := bufconn.Listen(256 << 10)
	d, err := host.New(host.Options{
		Config: h.config(), Version: "test", Log: h.log(),
		Seams: host.Seams{
			Disk: h.disk, Clients: clients, Listen: h.c.network.listen,
			Now:       h.clock,
			AskTime:   h.askTime,
			NewDevice: func() id.Device { return id.Device{0: 0xde, 7: byte(h.number + 1)} },
			Puller:    h.tapped,
			Features:  h.features(),
			Calls:     h.asked.options(),
			Dial:      h.dial,
		},
	})
	h.must(d, err)
	conn, err := grpc.NewClient("passthrough:///"+h.name,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return clients.DialContext(ctx) }),
	)
	h.must(conn, err)
	ctx, cancel := context.WithCancel(context.Background())
	h.run = &run{host: d, conn: conn, cancel: cancel, done: make(chan error, 1)}
	go func(r *run) { r.done <- r.host.Run(ctx) }(h.run)
	select {
	case <-d.Ready():
	case err := <-h.run.done:
		h.run = nil
		cancel()
		h.must(nil, fmt.Errorf("did not start: %w", err))
	}
	for _, w := range h.watchers {
		h.attach(w)
	}
}

// dial connects to a host that can be reached.
func (h *Host) dial(ctx context.Context, address string) (net.Conn, error) {
	for _, other := range h.c.Hosts() {
		if other.Address() != address {
			continue
		}
		if h.c.opts.Walled(other.name) {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}
		if h.c.opts.Apart(h.name, other.name) || h.c.opts.Apart(other.name, h.name) {
			return nil, fmt.Errorf("dial %s: no route to host", address)
		}
	}
	return h.c.network.dial(ctx, h.ip, address)
}

func (h *Host) config() host.Config {
	config := host.Config{}
	config.Node.Name, config.Node.DataDir = h.name, h.dir
	if !h.c.opts.Deaf(h.name) {
		config.Node.Listen = []string{h.Address()}
	}
	config.Identity.Dir = h.identity
	config.Sync.Interval = h.c.opts.Interval
	if h.c.opts.Keep > 0 {
		config.Store.History.Keep, config.Store.History.MaxMiB = h.c.opts.Keep, 32
	}
	if h.timeServer != nil {
		config.Clock.Servers, config.Clock.Interval = []string{"time.test"}, time.Hour
	}
	for _, other := range h.c.Hosts() {
		if other != h && h.c.opts.Knows(h.name, other.name) {
			config.Node.Peers = append(config.Node.Peers, other.Address())
		}
	}
	return config
}

func (h *Host) log() hclog.Logger {
	to := h.c.opts.LogTo
	if to == nil {
		to = testLog{h.c.t}
	}
	return hclog.New(&hclog.LoggerOptions{Name: h.name, Level: h.c.opts.Log, Output: to})
}

type testLog struct{ t interface{ Log(...any) } }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Log(string(p[:max(0, len(p)-1)]))
	return len(p), nil
}

// Stop stops the daemon in order. It does nothing to one that does not run.
func (h *Host) Stop() {
	h.c.t.Helper()
	if err := h.end(); err != nil {
		h.c.t.Errorf("%s stopped with: %v", h.name, err)
	}
}

func (h *Host) end() error {
	r := h.run
	if r == nil {
		return nil
	}
	h.run = nil
	_ = r.conn.Close()
	r.watching.Wait()
	r.cancel()
	return <-r.done
}

// Crash is a loss of power: the daemon is gone at once, from the network and from its clients, and of what it wrote only
// what was synced is left. Start starts it again.
func (h *Host) Crash() {
	h.c.t.Helper()
	if h.run == nil {
		return
	}
	h.c.network.unplug(h.ip, true)
	_ = h.run.conn.Close()
	left := h.Snapshot()
	// What the daemon still does now, nobody will ever see.
	_ = h.end()
	h.putBack(left)
}

// API is the daemon's service for clients, called by its owner.
func (h *Host) API() nodev1.NodeServiceClient {
	if h.run == nil {
		h.c.t.Fatalf("seed %d: %s does not run", h.c.opts.Seed, h.name)
	}
	return nodev1.NewNodeServiceClient(h.run.conn)
}

func (h *Host) ctx() context.Context { return h.c.t.Context() }

// collect reads a stream to its end.
func collect[M any](stream grpc.ServerStreamingClient[M], err error) ([]*M, error) {
	if err != nil {
		return nil, err
	}
	var list []*M
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
}
