package api

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
	"github.com/syncbase/syncbase/sdk/client"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/resolve"
	"github.com/syncbase/syncbase/host/internal/rows"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	owner  id.Principal = "home.local/owner"
	laptop id.Principal = "home.local/owner/device/laptop"
	friend id.Principal = "friends.local/anna"
)

// callerKey is the metadata by which calls of these tests say who they are. Without it, it is the owner.
const callerKey = "caller"

func callerOf(ctx context.Context) (id.Principal, error) {
	if p, ok := peer.FromContext(ctx); ok {
		if proof, ok := p.AuthInfo.(testProof); ok {
			return proof.principal, nothingElse(ctx)
		}
	}
	md, _ := metadata.FromIncomingContext(ctx)
	values := md.Get(callerKey)
	if len(values) == 0 {
		return owner, nil
	}
	if values[0] == "" {
		return "", errors.New("no certificate")
	}
	return id.Principal(values[0]), nil
}

// as makes the calls of a context somebody else's.
func as(ctx context.Context, p id.Principal) context.Context {
	return metadata.AppendToOutgoingContext(ctx, callerKey, string(p))
}

type node struct{}

func (node) Facts() Facts {
	return Facts{Name: "laptop", Version: "test", DataDir: "/data", PeerAddress: "127.0.0.1:1", Principal: laptop, Authority: true}
}

// world is a service on a Unix socket over rows in memory, with fakes for what is not rows.
type world struct {
	clock  fakeClock
	t      testing.TB
	rows   *rows.Store
	server *Server
	fakes  *fakes
	socket string
	conn   *grpc.ClientConn
	raw    nodev1.NodeServiceClient
	// grpc is the running server; stop ends it and waits.
	stop func()
}

func newWorld(t testing.TB) *world {
	t.Helper()
	store, err := kv.OpenMem()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return newWorldOn(t, store)
}

func newWorldOn(t testing.TB, store *kv.Store) *world {
	t.Helper()
	w := &world{t: t, fakes: &fakes{}, socket: filepath.Join(t.TempDir(), "s")}
	var err error
	w.rows, err = rows.Open(store, rows.Options{Now: time.Now, NewDevice: func() id.Device { return id.Device{7} }, Owner: owner})
	if err != nil {
		t.Fatal(err)
	}
	w.start()
	t.Cleanup(func() { w.stop() })
	w.conn, err = grpc.NewClient("unix://"+w.socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.conn.Close() })
	w.raw = nodev1.NewNodeServiceClient(w.conn)
	return w
}

// start serves on the socket.
func (w *world) start() {
	w.t.Helper()
	var err error
	desks := resolve.New(w.rows, resolve.Options{Pause: time.Millisecond, MaxPause: 10 * time.Millisecond})
	desksCtx, endDesks := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = desks.Run(desksCtx) })
	w.server, err = New(Options{
		Rows: w.rows, Owner: owner, Caller: callerOf, Node: node{}, Clock: &w.clock,
		Syncgroups: fakeSyncgroups{w.fakes}, Blobs: fakeBlobs{w.fakes}, Peers: fakePeers{}, Plugins: fakePlugins{},
		Resolvers: desks, AnswerWithin: 200 * time.Millisecond,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	l, err := net.Listen("unix", w.socket)
	if err != nil {
		w.t.Fatal(err)
	}
	g := grpc.NewServer(append(ServerOptions(), w.server.EndOfConnections())...)
	w.server.Register(g)
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	server := w.server
	w.stop = func() {
		g.Stop()
		server.Drain()
		endDesks()
		running.Wait()
		if err := <-served; err != nil {
			w.t.Error(err)
		}
	}
}

// restart breaks every connection, as a daemon that starts again does.
func (w *world) restart() {
	w.stop()
	w.start()
}

// client connects as an application does; it is the owner.
func (w *world) client() *client.Client {
	w.t.Helper()
	c, err := client.Dial(context.Background(), "unix://"+w.socket, client.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.Close() })
	return c
}

// collection makes a database and a collection of the owner's.
func (w *world) collection(db, name string) *client.Collection {
	w.t.Helper()
	d := w.client().Database(db)
	if _, err := d.Create(w.t.Context(), nil); err != nil && !errors.Is(err, client.ErrExists) {
		w.t.Fatal(err)
	}
	c := d.Collection(name)
	if _, err := c.Create(w.t.Context(), nil); err != nil {
		w.t.Fatal(err)
	}
	return c
}

// reasonOf gives code and reason of an error, such as "NotFound NO_ROW".
func reasonOf(err error) string {
	if err == nil {
		return "OK"
	}
	st := status.Convert(err)
	reason := ""
	for _, d := range st.Details() {
		if info, ok := d.(interface{ GetReason() string }); ok {
			reason = info.GetReason()
		}
	}
	return st.Code().String() + " " + reason
}

func dbName(local string) id.Name { return id.Name{Owner: owner, Local: local} }
