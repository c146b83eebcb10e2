package plugin

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"

	hclog "github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/encoding/protojson"
)

// Main runs a plugin and does not return. Started by a host it serves until the host ends it; started by a person it
// understands the flags -describe and -debug and otherwise says what it is.
func Main(name, version string, kinds ...Kind) {
	Spec{Name: name, Version: version, Kinds: kinds}.Main()
}

// Dispatch runs one of several plugins that share a program and does not return. The program calls it instead of
// everything else it would do when IsPlugin reports true; name is the argument by which the host chose.
func Dispatch(name string, specs ...Spec) {
	var names []string
	for _, s := range specs {
		if s.Name == name {
			s.Main()
		}
		names = append(names, s.Name)
	}
	fmt.Fprintf(os.Stderr, "no plugin %q in this program; it has %s\n", name, strings.Join(names, ", "))
	os.Exit(2)
}

// Main is the package's Main for a specification.
func (s Spec) Main() {
	if IsPlugin() {
		s.serve()
	}
	os.Exit(s.byHand(os.Args[1:], os.Stdout, os.Stderr))
}

// serve runs under a host, until the host stops the process or is gone.
func (s Spec) serve() {
	log := logger(os.Stderr, os.Getenv(LogLevelKey))
	go leash(os.Stdin, log)
	service, err := newService(s, log)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	stderr := os.Stderr
	restore := sync.OnceFunc(func() {
		os.Stdout, os.Stderr = stderr, stderr
		_ = os.Unsetenv(CookieKey) // children of this process are no plugins
	})
	config := service.serveConfig(HostCredentials(), append(crashes(stderr), printsTo(restore))...)
	os.Stdout = handshakeOutput()
	goplugin.Serve(config)
	os.Exit(0)
}

func (s *service) serveConfig(creds credentials.TransportCredentials, extra ...grpc.ServerOption) *goplugin.ServeConfig {
	set := goplugin.PluginSet{ServiceSet: serviceSet{register: s.register}}
	return &goplugin.ServeConfig{
		HandshakeConfig:  Handshake(),
		VersionedPlugins: map[int]goplugin.PluginSet{ProtocolVersion: set},
		Logger:           s.log,
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			opts = append(opts, serverOptions(creds)...)
			opts = append(opts, s.interceptors()...)
			return grpc.NewServer(append(opts, extra...)...)
		},
	}
}

// interceptors put the gate before the services of the kinds; PluginService and what go-plugin adds pass freely.
func (s *service) interceptors() []grpc.ServerOption {
	guarded := func(method string) bool {
		for _, k := range s.spec.Kinds {
			if strings.HasPrefix(method, "/"+k.Service+"/") {
				return true
			}
		}
		return false
	}
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(s.gate.Unary(guarded)),
		grpc.ChainStreamInterceptor(s.gate.Stream(guarded)),
	}
}

// NewServer makes a server of the plugin for a listener of the caller's, in the caller's process: the same services
// behind the same gate as in a process of its own. The creds authenticate the callers.
func (s Spec) NewServer(creds credentials.TransportCredentials, log hclog.Logger) (*grpc.Server, error) {
	service, err := newService(s, log)
	if err != nil {
		return nil, err
	}
	server := grpc.NewServer(append(serverOptions(creds), service.interceptors()...)...)
	service.register(server)
	return server, nil
}

// leash ends the process when the host does: the host holds the other end of stdin and never writes to it.
func leash(stdin io.Reader, log hclog.Logger) {
	_, err := io.Copy(io.Discard, stdin)
	log.Info("the host is gone, exiting", "cause", err)
	os.Exit(0)
}

func logger(out io.Writer, level string) hclog.Logger {
	at := hclog.LevelFromString(level)
	if at == hclog.NoLevel {
		at = hclog.Info
	}
	return hclog.New(&hclog.LoggerOptions{Level: at, Output: out, JSONFormat: true})
}

// byHand is what a person gets who starts the plugin.
func (s Spec) byHand(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet(s.Name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	describe := flags.Bool("describe", false, "print what the plugin offers and the schema of its configuration as JSON")
	debug := flags.Bool("debug", false, "serve until interrupted and print how a host can attach")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	var err error
	switch {
	case *describe:
		err = s.printDescription(stdout)
	case *debug:
		err = s.debug(stdout, stderr)
	default:
		fmt.Fprintf(stderr, "%s %s is a plugin for Syncbase; name it in the configuration of a daemon to use it.\n", s.Name, s.Version)
		flags.PrintDefaults()
		return 2
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

func (s Spec) printDescription(stdout io.Writer) error {
	description, err := s.Describe()
	if err != nil {
		return err
	}
	config := description.GetConfigSchema()
	description.ConfigSchema = nil
	text, err := protojson.Marshal(description)
	if err != nil {
		return fmt.Errorf("describe: %w", err)
	}
	both := struct {
		Plugin json.RawMessage `json:"plugin"`
		Config json.RawMessage `json:"config_schema,omitempty"`
	}{text, config}
	encoder := json.NewEncoder(stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(both)
}

// Reattach says where a plugin listens that was started with -debug. Its JSON is the value of the variable ReattachKey.
type Reattach struct {
	Network string `json:"network"`
	Address string `json:"address"`
	PID     int    `json:"pid"`
}

// debug serves without a host that started it, so that a debugger can hold the process.
func (s Spec) debug(stdout, stderr io.Writer) error {
	service, err := newService(s, logger(stderr, os.Getenv(LogLevelKey)))
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	attach := make(chan *goplugin.ReattachConfig, 1)
	config := service.serveConfig(UserCredentials())
	config.Test = &goplugin.ServeTestConfig{Context: ctx, ReattachConfigCh: attach}
	served := make(chan struct{})
	go func() {
		defer close(served)
		goplugin.Serve(config)
	}()
	select {
	case at := <-attach:
		line, err := json.Marshal(Reattach{Network: at.Addr.Network(), Address: at.Addr.String(), PID: at.Pid})
		if err != nil {
			return fmt.Errorf("debug: %w", err)
		}
		fmt.Fprintf(stdout, "%s='%s'\n", ReattachKey, line)
	case <-served:
	}
	<-served
	return nil
}
