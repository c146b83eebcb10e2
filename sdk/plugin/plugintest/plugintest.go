// Package plugintest runs a plugin for a test: in the test's own process, where the race detector and the coverage see
// both sides, or in a process of its own.
//
// Either way the plugin is reached over gRPC through the same services and the same gate as under a host, so what passes
// here speaks the protocol. Nothing in this package restarts or supervises; that is the host's work.
//
// Start with [InProcess] and [Subprocess]; code without a testing.TB uses [Serve].
package plugintest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	hclog "github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"

	pluginv1 "github.com/syncbase/syncbase/sdk/api/plugin/v1"
	"github.com/syncbase/syncbase/sdk/plugin"
)

const (
	// pipeBytes is how much the connection within one process buffers.
	pipeBytes = 1 << 20
	// drainGrace is what a test's plugin gets to finish its calls.
	drainGrace = 5 * time.Second
	// callLimit bounds the calls that this package makes itself.
	callLimit = 30 * time.Second
)

// Options say how a plugin is set up. The zero value is a good one.
type Options struct {
	// Config is marshalled to JSON, unless it is []byte or json.RawMessage; nil means an empty object.
	Config any
	// DataDir is by default a temporary directory of the test.
	DataDir string
	// FrameBytes is by default the plugin's.
	FrameBytes int
	// Log is by default silent. A subprocess writes to stderr instead.
	Log hclog.Logger
}

// Running is a plugin that serves.
type Running struct {
	// Conn reaches all services of the plugin.
	Conn *grpc.ClientConn
	// PID is the process of the plugin; 0 when it is the caller's own.
	PID int

	stop func() error

	once sync.Once
	err  error
	// gone is closed when Stop begins.
	gone chan struct{}
}

// Stop ends the plugin without draining, as a crash would, and waits for it. It may be called again.
func (r *Running) Stop() error {
	r.once.Do(func() {
		close(r.gone)
		r.err = errors.Join(r.Conn.Close(), r.stop())
	})
	return r.err
}

func (r *Running) stopped() bool {
	select {
	case <-r.gone:
		return true
	default:
		return false
	}
}

// Configure gives the plugin its configuration; diagnostics come back as an error.
func (r *Running) Configure(ctx context.Context, opts Options) error {
	config, err := configBytes(opts.Config)
	if err != nil {
		return err
	}
	answer, err := pluginv1.NewPluginServiceClient(r.Conn).Configure(ctx, &pluginv1.ConfigureRequest{
		Instance:      "test",
		Config:        config,
		DataDir:       opts.DataDir,
		Generation:    1,
		MaxFrameBytes: uint32(opts.FrameBytes),
	})
	if err != nil {
		return fmt.Errorf("plugintest: configure: %w", err)
	}
	if answer.GetRestartRequired() {
		return plugin.ErrRestartRequired
	}
	var faults []error
	for _, d := range answer.GetDiagnostics() {
		if d.GetSeverity() != pluginv1.Severity_SEVERITY_WARNING {
			faults = append(faults, &plugin.ConfigError{Path: d.GetPath(), Summary: d.GetSummary(), Detail: d.GetDetail()})
		}
	}
	return errors.Join(faults...)
}

// Drain lets the plugin finish what is in flight and release what it holds.
func (r *Running) Drain(ctx context.Context, grace time.Duration) error {
	_, err := pluginv1.NewPluginServiceClient(r.Conn).Drain(ctx, &pluginv1.DrainRequest{Grace: durationpb.New(grace)})
	return err
}

// Serve runs a plugin, not yet configured, in this process. The caller has to Stop it, and to Drain it before that if
// what it opened is to be closed.
func Serve(spec plugin.Spec, log hclog.Logger) (*Running, error) {
	if log == nil {
		log = hclog.NewNullLogger()
	}
	server, err := spec.NewServer(insecure.NewCredentials(), log)
	if err != nil {
		return nil, err
	}
	listener := bufconn.Listen(pipeBytes)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	dial := func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }
	conn, err := grpc.NewClient("passthrough:plugin",
		append(plugin.DialOptions(insecure.NewCredentials()), grpc.WithContextDialer(dial))...)
	if err != nil {
		server.Stop()
		<-served
		return nil, fmt.Errorf("plugintest: %w", err)
	}
	return &Running{Conn: conn, gone: make(chan struct{}), stop: func() error {
		server.Stop()
		return <-served
	}}, nil
}

// InProcess runs and configures a plugin of one kind for the length of the test, drains it in the end and fails the test
// if that fails.
func InProcess(t testing.TB, kind plugin.Kind, opts Options) *Running {
	t.Helper()
	running, err := Serve(plugin.Spec{Name: "under-test", Version: "test", Kinds: []plugin.Kind{kind}}, opts.Log)
	if err != nil {
		t.Fatalf("serve the plugin: %v", err)
	}
	running.attach(t, opts)
	return running
}

// attach configures a plugin and ties its life to the test's.
func (r *Running) attach(t testing.TB, opts Options) {
	t.Helper()
	if opts.DataDir == "" {
		opts.DataDir = t.TempDir()
	}
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Errorf("stop the plugin: %v", err)
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	if err := r.Configure(ctx, opts); err != nil {
		t.Fatalf("configure the plugin: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), callLimit)
		defer cancel()
		if r.stopped() {
			return
		}
		if err := r.Drain(ctx, drainGrace); err != nil {
			t.Errorf("drain the plugin: %v", err)
		}
	})
}

func configBytes(config any) ([]byte, error) {
	switch c := config.(type) {
	case nil:
		return []byte("{}"), nil
	case []byte:
		return c, nil
	default:
		data, err := json.Marshal(c)
		if err != nil {
			return nil, fmt.Errorf("plugintest: configuration: %w", err)
		}
		return data, nil
	}
}
