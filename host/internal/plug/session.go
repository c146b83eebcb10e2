package plug

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	hclog "github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	gorunner "github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	pluginv1 "github.com/syncbase/syncbase/sdk/api/plugin/v1"
	sdk "github.com/syncbase/syncbase/sdk/plugin"

	"github.com/syncbase/syncbase/host/internal/plug/runner"
)

// session is one process of a plugin, from its start to the last of its traces. The methods are called in this order:
// open, describe, configure, any number of others, close. kill may come at any time.
type session struct {
	spec   spec
	dir    string
	out    *runner.Output
	proc   *runner.Process
	client *goplugin.Client

	abandoned chan struct{} // closed when nobody waits for the end of the process any more

	conn *grpc.ClientConn
	rpc  pluginv1.PluginServiceClient
	desc description

	mu     sync.Mutex       // guards dialed
	dialed *grpc.ClientConn // the connection go-plugin made, also when it then gave up
}

// description is what a plugin says about itself, checked.
type description struct {
	name, version string
	features      []string
	exclusive     bool
}

// newSession prepares a process that runs in a directory of its own.
func newSession(sp spec, dir string, out *runner.Output) *session {
	return &session{spec: sp, dir: dir, out: out, proc: runner.New(sp.command, dir, out), abandoned: make(chan struct{})}
}

// open starts the process and completes the handshake. If it fails, the process is gone and close has been called.
func (s *session) open(level hclog.Level) error {
	s.client = goplugin.NewClient(&goplugin.ClientConfig{
		HandshakeConfig:  sdk.Handshake(),
		VersionedPlugins: sdk.HostSets(),
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, _ string) (gorunner.Runner, error) {
			protocol := append(slices.Clone(cmd.Env),
				goplugin.EnvUnixSocketDir+"="+s.dir, sdk.LogLevelKey+"="+level.String())
			s.proc.SetEnv(runner.Environment(s.spec.Env, protocol))
			return s.proc, nil
		},
		UnixSocketConfig: &goplugin.UnixSocketConfig{TempDir: s.dir},
		StartTimeout:     time.Hour, // the supervisor kills the process long before
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		GRPCDialOptions: append(sdk.DialOptions(sdk.PlugCredentials(s.proc.Pid)),
			grpc.WithChainStreamInterceptor(s.intercept)),
		Logger:      hclog.NewNullLogger(),
		SyncStdout:  s.out.Writer(),
		SyncStderr:  s.out.Writer(),
		SkipHostEnv: true,
	})
	if err := s.connect(); err != nil {
		_ = s.proc.Kill(context.Background())
		if s.proc.Pid() != 0 && !s.await() {
			return err
		}
		s.close()
		return s.explain(err)
	}
	return nil
}

// await waits for the end of the process. It returns false if the process was abandoned.
func (s *session) await() bool {
	select {
	case <-s.proc.Done():
		return true
	case <-s.abandoned:
		return false
	}
}

// ends reports whether the process has ended, or does so in a moment.
func (s *session) ends() bool {
	timer := time.NewTimer(deathNotice)
	defer timer.Stop()
	select {
	case <-s.proc.Exited():
		return true
	case <-timer.C:
		return false
	}
}

func (s *session) connect() error {
	if _, err := s.client.Start(); err != nil {
		return err
	}
	protocol, err := s.client.Client()
	if err != nil {
		return err
	}
	raw, err := protocol.Dispense(sdk.ServiceSet)
	if err != nil {
		return err
	}
	s.conn = raw.(*grpc.ClientConn)
	s.rpc = pluginv1.NewPluginServiceClient(s.conn)
	return nil
}

// intercept keeps go-plugin from opening the stream of its broker, which nobody uses and which would never end, and
// remembers the connection: go-plugin forgets to close it when the process dies at this moment.
func (s *session) intercept(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string,
	next grpc.Streamer, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	if strings.HasPrefix(method, "/plugin.") {
		s.mu.Lock()
		s.dialed = cc
		s.mu.Unlock()
	}
	if strings.HasPrefix(method, "/plugin.GRPCBroker/") {
		return nil, status.Error(codes.Unimplemented, "no broker")
	}
	return next(ctx, desc, cc, method, opts...)
}

// close removes every trace of a process that has ended.
func (s *session) close() {
	s.mu.Lock()
	dialed := s.dialed
	s.mu.Unlock()
	switch {
	case s.conn == nil && dialed != nil: // go-plugin would dial once more to say goodbye
		dialed.Close()
	case s.client != nil:
		s.client.Kill()
	}
	_ = os.RemoveAll(s.dir)
}

var pluginNameRE = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

const (
	maxVersion = 64
	maxKinds   = 64
	maxSchema  = 256 << 10
)

// describe asks the plugin what it is and checks that it serves the kind of the instance.
func (s *session) describe(ctx context.Context, hostVersion string) error {
	resp, err := s.rpc.Describe(ctx, &pluginv1.DescribeRequest{HostVersion: hostVersion})
	if err != nil {
		return fmt.Errorf("Describe: %w", err)
	}
	switch {
	case !pluginNameRE.MatchString(resp.GetName()):
		return fmt.Errorf("Describe: name %q: want 1 to 64 of a-z, 0-9 and -", bounded(resp.GetName(), 80))
	case len(resp.GetVersion()) > maxVersion:
		return fmt.Errorf("Describe: version has %d bytes, more than %d", len(resp.GetVersion()), maxVersion)
	case len(resp.GetKinds()) > maxKinds:
		return fmt.Errorf("Describe: %d kinds, more than %d", len(resp.GetKinds()), maxKinds)
	case len(resp.GetConfigSchema()) > maxSchema:
		return fmt.Errorf("Describe: the schema has %d bytes, more than %d", len(resp.GetConfigSchema()), maxSchema)
	case len(resp.GetConfigSchema()) > 0 && !json.Valid(resp.GetConfigSchema()):
		return errors.New("Describe: the schema is not JSON")
	}
	want := kinds[s.spec.Kind].service
	var offered []string
	for _, kind := range resp.GetKinds() {
		offered = append(offered, bounded(kind.GetService(), 128))
		if kind.GetService() == want {
			s.desc = description{
				name: resp.GetName(), version: resp.GetVersion(),
				features: kind.GetFeatures(), exclusive: resp.GetExclusive(),
			}
			return nil
		}
	}
	return fmt.Errorf("%s is no %s plugin: it offers %q, not %q", resp.GetName(), s.spec.Kind, offered, want)
}

// validate asks the plugin about a configuration.
func (s *session) validate(ctx context.Context, config []byte) (diagnostics, error) {
	resp, err := s.rpc.Validate(ctx, &pluginv1.ValidateRequest{Config: config})
	if err != nil {
		return nil, fmt.Errorf("Validate: %w", err)
	}
	return readDiagnostics(resp.GetDiagnostics()), nil
}

// configure gives the plugin a configuration. It reports whether only a new process could take it.
func (s *session) configure(ctx context.Context, sp spec, dataDir string, generation uint64) (restart bool, remarks diagnostics, err error) {
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return false, nil, err
	}
	resp, err := s.rpc.Configure(ctx, &pluginv1.ConfigureRequest{
		Instance:      sp.Name,
		Config:        sp.json,
		DataDir:       filepath.Clean(dataDir),
		Generation:    generation,
		MaxFrameBytes: maxFrame,
	})
	if err != nil {
		return false, nil, fmt.Errorf("Configure: %w", err)
	}
	remarks = readDiagnostics(resp.GetDiagnostics())
	return resp.GetRestartRequired(), remarks, remarks.refusal()
}

// health returns a remark of a plugin that works, or why it does not.
func (s *session) health(ctx context.Context) (string, error) {
	resp, err := s.rpc.Health(ctx, &pluginv1.HealthRequest{})
	if err != nil {
		return "", err
	}
	message := bounded(resp.GetMessage(), maxMessage)
	switch resp.GetState() {
	case pluginv1.State_STATE_SERVING:
		return "", nil
	case pluginv1.State_STATE_DEGRADED:
		return "degraded: " + message, nil
	default:
		return "", fmt.Errorf("the plugin says it is not serving: %s", message)
	}
}

func (s *session) drain(ctx context.Context, grace time.Duration) error {
	_, err := s.rpc.Drain(ctx, &pluginv1.DrainRequest{Grace: durationpb.New(grace)})
	return err
}
