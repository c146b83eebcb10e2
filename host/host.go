// Package host is the daemon: it puts the rooms together and runs them.
//
// It is the only place that sees everything, and it decides nothing: each adapter here translates between two rooms that
// must not know each other. New opens what lasts and starts nothing; Run blocks, owns every goroutine and returns after
// all of them have ended, clients first, then peers, then plugins. Read Options, Host.Run and the adapters beside it.
package host

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/syncbase/syncbase/host/internal/api"
	"github.com/syncbase/syncbase/host/internal/api/gateway"
	"github.com/syncbase/syncbase/host/internal/blobs"
	"github.com/syncbase/syncbase/host/internal/engine"
	"github.com/syncbase/syncbase/host/internal/fetch"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/identity"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/peer"
	"github.com/syncbase/syncbase/host/internal/plug"
	"github.com/syncbase/syncbase/host/internal/resolve"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/syncgroup"
)

// Options of a daemon.
type Options struct {
	Config Config
	// Version of the software.
	Version string
	// Log receives what the daemon has to say. Default: nothing is logged.
	Log hclog.Logger
	// Seams are for tests.
	Seams Seams
}

// Host is a daemon. Safe for concurrent use.
type Host struct {
	opts     Options
	log      hclog.Logger
	identity *identity.Identity
	kv       *kv.Store
	rows     *rows.Store
	engine   *engine.Engine
	plugins  *plug.Host
	blobs    *blobs.Store
	fetcher  *fetch.Fetcher
	clock    *timekeeper
	peers    *peer.Sessions
	desks    *resolve.Desks
	api      *api.Server
	// dev is the clock of a daemon in development, nil in any other.
	dev *devClock
	web *gateway.Gateway
	// copies of this device that run.
	copies *ownCopies
	// dir is whether the data directory is still there.
	dir *dirWatch
	// disk is how much room there is.
	disk *diskWatch
	// wrong are devices with wrong clocks.
	wrong wrongClocks
	// apart is what peers have by the name of a syncgroup of this device.
	apart *apartBook
	// unmarked: the disk was full at the start. Settling sets it, and then only the layer of the marks uses it.
	unmarked bool

	// draining ends when the daemon begins to stop: what peers have open is not waited for.
	draining context.Context
	drain    context.CancelFunc
	// ready is closed when clients and peers are served.
	ready chan struct{}
	// publishable has a token when there may be a syncgroup to publish.
	publishable chan struct{}
	// mu guards the fields below it.
	mu sync.Mutex
	// addresses are where peers are accepted.
	addresses []string
	// webAddresses are where clients are served over HTTP.
	webAddresses []string
	// linked is closed and replaced whenever a link to a peer comes up.
	linked chan struct{}
	// doubts are the databases that a peer does not serve any more, until somebody has asked it why; doubted is closed and
	// replaced whenever there is another one.
	doubts  map[id.Principal]map[*rows.DB]bool
	doubted chan struct{}
	// refusing is closed and replaced whenever what this device refuses has changed.
	refusing chan struct{}

	// refusals is what others refuse; it has a lock of its own.
	refusals refusalBook
}

// New opens the data directory and the identity, creating both when absent, and starts nothing. The caller must Run the
// host, or Close it.
func New(opts Options) (*Host, error) {
	if opts.Log == nil {
		opts.Log = hclog.NewNullLogger()
	}
	opts.Seams = opts.Seams.withDefaults()
	h := &Host{
		opts: opts, log: opts.Log, ready: make(chan struct{}), linked: make(chan struct{}),
		doubts: map[id.Principal]map[*rows.DB]bool{}, doubted: make(chan struct{}), publishable: make(chan struct{}, 1),
		copies: newOwnCopies(), apart: newApartBook(), refusing: make(chan struct{}),
	}
	h.refusals.h, h.disk = h, &diskWatch{h: h}
	h.development()
	h.draining, h.drain = context.WithCancel(context.Background())
	if err := h.socketFits(); err != nil {
		return nil, err
	}
	dir := opts.Config.Node.DataDir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create data directory: %w", err)
	}
	store, err := openUnlocked(func() (*kv.Store, error) { return kv.Open(filepath.Join(dir, storeDir), h.storeOptions()) }, time.Sleep)
	if err != nil {
		return nil, err
	}
	h.kv, h.dir = store, watchDir(dir, filepath.Join(dir, storeDir))
	for _, step := range []func() error{h.settle, h.openIdentity, h.openStores, h.newPeers, h.newFetcher, h.newDesks, h.newAPI, h.newGateway} {
		if err := step(); err != nil {
			return nil, errors.Join(err, h.Close())
		}
	}
	return h, nil
}

// Close releases the data directory of a host that was not run.
func (h *Host) Close() error {
	h.drain()
	return h.kv.Close()
}

func (h *Host) openIdentity() (err error) {
	h.identity, err = identity.Open(h.opts.Config.Identity.Dir, identity.Options{
		Name:    h.opts.Config.Node.Name,
		Problem: func(err error) { h.log.Warn("identity", "error", err) },
	})
	return err
}

func (h *Host) openStores() (err error) {
	if h.plugins, err = plug.New(h.pluginOptions()); err != nil {
		return err
	}
	if store := h.opts.Config.Blobs.Store; store != "" {
		h.blobs = blobs.New(h.kv, objects{h, store, h.plugins.BlobStore(store)})
	} else {
		h.blobs = blobs.New(h.kv, noObjects{})
	}
	h.rows, err = rows.Open(h.kv, rows.Options{
		Now:        h.opts.Seams.Now,
		NewDevice:  h.opts.Seams.NewDevice,
		Random:     randomNumber,
		References: h.blobs,
		Merge:      syncgroup.Merge,
		Owner:      h.identity.Owner(),
	})
	if err != nil {
		return err
	}
	if h.clock, err = openTimekeeper(h); err != nil {
		return err
	}
	if err := h.enforceAll(); err != nil {
		return err
	}
	h.engine = engine.New(h.rows, engine.Events{
		Received: h.received, Failed: h.pullFailed, Renewed: h.renewed, Rebased: h.rebased, Diverged: h.diverged,
		SetAside: h.setAside, Retried: h.retried, RetryFailed: h.retryFailed,
	})
	h.engine.Audit = h.opts.Config.Sync.Interval
	return nil
}

func newDevice() (d id.Device) {
	// crypto/rand.Read never fails.
	_, _ = rand.Read(d[:])
	return d
}

// Ready is closed when the daemon serves clients and peers.
func (h *Host) Ready() <-chan struct{} { return h.ready }

// Socket is where local clients connect.
func (h *Host) Socket() string { return filepath.Join(h.opts.Config.Node.DataDir, "syncbase.sock") }

// PeerAddresses are where peers are accepted, with real ports, once the host is ready.
func (h *Host) PeerAddresses() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.addresses
}

// Run serves until ctx ends, and then stops everything in order; it returns nil after a clean stop. Call it once.
func (h *Host) Run(ctx context.Context) error {
	local, proof, err := h.listenClients()
	if err != nil {
		return errors.Join(err, h.kv.Close())
	}
	remote, err := h.listenPeers()
	if err != nil {
		return errors.Join(err, local.Close(), h.kv.Close())
	}
	doors, err := h.openDoors()
	if err == nil {
		err = h.plugins.SetInstances(h.instances())
	}
	if err != nil {
		closeAll(append(remote, local))
		closeDoors(doors)
		return errors.Join(err, h.kv.Close())
	}
	err = h.serve(ctx, local, proof, remote, doors)
	h.leave()
	return errors.Join(err, h.kv.Close())
}

// serve runs the rooms in layers, each of which ends only after those above it: clients and peers' calls, then our own
// sessions, then fetching, then plugins.
func (h *Host) serve(ctx context.Context, local net.Listener, proof credentials.TransportCredentials, remote []net.Listener, doors []gateway.Door) error {
	localServer := grpc.NewServer(append(api.ServerOptions(), h.api.EndOfConnections(), grpc.Creds(proof))...)
	h.api.Register(localServer)
	peerServer := grpc.NewServer(append(append(api.ServerOptions(), h.api.EndOfConnections()), h.peers.ServerOptions()...)...)
	h.api.Register(peerServer)
	h.peers.Register(peerServer)

	plugins := start(h.plugins.Run)
	durable := start(h.rows.Run)
	marks := start(h.markProgress)
	unpacking := start(h.unpack)
	fetcher := start(h.fetcher.Run)
	clock := start(h.clock.run)
	sessions := start(h.peers.Run)
	reclaimer := start(h.reclaimer().Run)
	sweeper := start(h.sweep)
	retrying := start(h.engine.Retry)
	discovery := start(h.runDiscovery)
	members := start(h.introduceMembers)
	publishing := start(h.publishSyncgroups)
	desks := start(h.desks.Run)
	listeners := start(func(ctx context.Context) error {
		return serveAll(ctx, localServer, peerServer, local, append(remote, h.peers.Callbacks())...)
	})
	web := start(func(ctx context.Context) error { return h.web.Run(ctx, doors) })
	err := h.awaitRequired(ctx)
	switch {
	case ctx.Err() != nil:
		err = nil // told to stop before it was ready
	case err == nil:
		close(h.ready)
		select {
		case <-ctx.Done():
		case <-firstFailure(plugins, durable, fetcher, clock, sessions, reclaimer, sweeper, retrying, discovery, members, publishing, desks, listeners, web):
		}
	}
	h.log.Info("stopping")
	h.api.Drain()
	h.drain()
	web.cancel() // together with the listeners
	err = errors.Join(err, unpacking.stop())
	for _, l := range []*layer{listeners, web, desks, publishing, members, discovery, retrying, sweeper, reclaimer, sessions, clock, fetcher, plugins, durable} {
		err = errors.Join(err, l.stop())
	}
	return errors.Join(err, marks.stop())
}

// requiredPatience is how long a required plugin may take to become ready.
const requiredPatience = 10 * time.Second

// awaitRequired returns when every required plugin is ready, or says which one is not, and why.
func (h *Host) awaitRequired(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requiredPatience)
	defer cancel()
	for _, name := range slices.Sorted(maps.Keys(h.opts.Config.Plugins)) {
		if !h.opts.Config.Plugins[name].Required {
			continue
		}
		if err := h.plugins.WaitReady(ctx, name); err != nil {
			return fmt.Errorf("required plugin %s did not become ready: %w%s", name, err, h.pluginMessage(name, err))
		}
	}
	return nil
}

// pluginMessage is what the status of a plugin says, to be added to an error that does not say it.
func (h *Host) pluginMessage(name string, err error) string {
	for _, s := range h.plugins.Status() {
		if s.Name == name && s.Message != "" && !strings.Contains(err.Error(), s.Message) {
			return ": " + s.Message
		}
	}
	return ""
}

// layer is a part of the daemon that runs in a goroutine of its own.
type layer struct {
	cancel context.CancelFunc
	// done is closed when run has returned err.
	done chan struct{}
	err  error
}

func start(run func(context.Context) error) *layer {
	ctx, cancel := context.WithCancel(context.Background())
	l := &layer{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		l.err = run(ctx)
	}()
	return l
}

// stop ends the layer, waits for it, and returns its error unless it only says that it was stopped.
func (l *layer) stop() error {
	l.cancel()
	<-l.done
	if errors.Is(l.err, context.Canceled) {
		return nil
	}
	return l.err
}

// firstFailure yields when the first of the layers ends by itself. Its goroutines end with the layers.
func firstFailure(layers ...*layer) <-chan error {
	// failed has room for all, so that nobody waits for a reader.
	failed := make(chan error, len(layers))
	for _, l := range layers {
		go func() {
			<-l.done
			failed <- nil
		}()
	}
	return failed
}
