package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// Options of a gateway. Services is required.
type Options struct {
	// Services puts what is offered on the server that requests are turned to, Server is what every other gRPC server of
	// the daemon has: limits and interceptors. It may hold no credentials.
	Services func(grpc.ServiceRegistrar)
	Server   []grpc.ServerOption

	// Origins are those of pages that may use the gateway, as "https://app.example.org". Default: none.
	Origins []string
	// Hosts are names under which the gateway may be addressed, besides localhost and any IP address. Default: none.
	Hosts []string

	// MaxBody bounds the body of a request that is not a blob. Default: 48 MiB.
	MaxBody int64
	// MaxRequests bounds the requests at a time through one door, MaxPerCaller those of one principal. Default: 1000, 250.
	MaxRequests, MaxPerCaller int
	// MaxConnections bounds the connections at a time through one door. Default: 500.
	MaxConnections int
	// Patience is how long a client may take to send or to take the next piece. Default: 30 s.
	Patience time.Duration
	// Heartbeat is how often a watch without changes shows that it is alive. Default: 15 s.
	Heartbeat time.Duration
	// Grace is how long requests may go on after the gateway was told to stop. Default: 3 s.
	Grace time.Duration
	// Log is told what goes wrong on connections. Default: nothing is logged.
	Log hclog.Logger
}

func (o Options) withDefaults() Options {
	setDefault(&o.MaxBody, 48<<20)
	setDefault(&o.MaxRequests, 1000)
	setDefault(&o.MaxPerCaller, 250)
	setDefault(&o.MaxConnections, 500)
	setDefault(&o.Patience, 30*time.Second)
	setDefault(&o.Heartbeat, 15*time.Second)
	setDefault(&o.Grace, 3*time.Second)
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	return o
}

func setDefault[T int | int64 | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// Validate lists everything that is wrong.
func (o Options) Validate() error {
	var errs []error
	if o.Services == nil {
		errs = append(errs, errors.New("gateway: no services"))
	}
	for _, origin := range o.Origins {
		if !isOrigin(origin) {
			errs = append(errs, fmt.Errorf("gateway: %q is not an origin such as https://app.example.org", origin))
		}
	}
	if o.MaxBody < 0 || o.MaxRequests < 0 || o.MaxPerCaller < 0 || o.MaxConnections < 0 || o.Patience < 0 || o.Heartbeat < 0 || o.Grace < 0 {
		errs = append(errs, errors.New("gateway: a limit is negative"))
	}
	return errors.Join(errs...)
}

// A Prover tells who makes a request that came over a connection. An error refuses the request as UNAUTHENTICATED.
type Prover func(r *http.Request, conn net.Conn) (credentials.AuthInfo, error)

// Door is a listener and how those who come through it prove who they are.
type Door struct {
	Listener net.Listener
	// TLS, if set, is spoken by whoever comes through the door.
	TLS   *tls.Config
	Prove Prover
}

// Gateway turns requests into calls. Safe for concurrent use.
type Gateway struct {
	opts     Options
	origins  []string
	hosts    []string
	server   *grpc.Server
	channels *channels
	client   nodev1.NodeServiceClient
	calls    http.Handler

	// large has one value for every large body that is in memory.
	large chan struct{}
	// mu guards the field below it.
	mu sync.Mutex
	// stopping is set when no request may begin any more.
	stopping bool
	// handlers are the requests that are being answered; Run waits for them.
	handlers sync.WaitGroup
}

// New makes a gateway and starts nothing. Run it once.
func New(opts Options) (*Gateway, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	opts = opts.withDefaults()
	g := &Gateway{opts: opts, large: make(chan struct{}, largeBodies)}
	for _, origin := range opts.Origins {
		g.origins = append(g.origins, lower(origin))
	}
	for _, host := range opts.Hosts {
		g.hosts = append(g.hosts, lower(host))
	}
	line := newLine()
	g.channels = newChannels(line, opts.MaxPerCaller)
	g.client = nodev1.NewNodeServiceClient(caller{})
	g.server = grpc.NewServer(append(slices.Clone(opts.Server), grpc.Creds(line))...)
	opts.Services(g.server)
	var err error
	g.calls, err = newCalls(g.client)
	return g, err
}

// Run answers what comes through the doors until ctx ends, then lets requests finish for a moment and cuts the rest. It
// closes the listeners, and returns when every handler has.
func (g *Gateway) Run(ctx context.Context, doors []Door) error {
	var inner, outer sync.WaitGroup
	errs := make([]error, len(doors)+1)
	inner.Go(func() {
		// The context may have ended before this begins.
		if err := g.server.Serve(g.channels.line); !errors.Is(err, grpc.ErrServerStopped) {
			errs[len(doors)] = err
		}
	})
	servers := make([]*http.Server, len(doors))
	for i, door := range doors {
		servers[i] = g.httpServer(door)
		outer.Go(func() {
			errs[i] = serve(servers[i], limit(door.Listener, g.opts.MaxConnections))
		})
	}
	<-ctx.Done()
	for _, server := range servers {
		outer.Go(func() { g.stop(server) })
	}
	outer.Wait()
	g.mu.Lock()
	g.stopping = true
	g.mu.Unlock()
	g.handlers.Wait()
	g.channels.close()
	g.server.Stop()
	inner.Wait()
	return errors.Join(errs...)
}

// begin counts a request, unless the gateway has stopped.
func (g *Gateway) begin() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.stopping {
		g.handlers.Add(1)
	}
	return !g.stopping
}

func serve(server *http.Server, l net.Listener) (err error) {
	if server.TLSConfig != nil {
		err = server.ServeTLS(l, "", "")
	} else {
		err = server.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (g *Gateway) stop(server *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), g.opts.Grace)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		_ = server.Close()
	}
}

const (
	maxHeaderBytes = 64 << 10
	headerPatience = 10 * time.Second
	idlePatience   = 2 * time.Minute
	// streamsPerConnection bounds the requests at a time on one connection of HTTP/2.
	streamsPerConnection = 100
)

// connKey is where the context of a request has its connection, doorKey what the door wrapped it in, if there is no TLS.
type (
	connKey struct{}
	doorKey struct{}
)

func (g *Gateway) httpServer(door Door) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	return &http.Server{
		Handler:           g.handler(door.Prove),
		TLSConfig:         door.TLS,
		ReadHeaderTimeout: headerPatience,
		IdleTimeout:       idlePatience,
		MaxHeaderBytes:    maxHeaderBytes,
		Protocols:         protocols,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: streamsPerConnection},
		ErrorLog:          g.opts.Log.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			if limited, ok := conn.(*limitedConn); ok {
				ctx = context.WithValue(ctx, doorKey{}, limited)
				conn = limited.Conn // the prover may want to ask the kernel about it
			}
			return context.WithValue(ctx, connKey{}, conn)
		},
		ConnState: connState,
	}
}
