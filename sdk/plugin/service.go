package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	hclog "github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pluginv1 "github.com/syncbase/syncbase/sdk/api/plugin/v1"
	"github.com/syncbase/syncbase/sdk/plugin/internal/gate"
)

const (
	// maxGrace bounds what a drain may ask for.
	maxGrace = 10 * time.Minute
	// maxHealthBytes is the protocol's bound of a health message.
	maxHealthBytes = 1 << 10
)

// service implements PluginService for a Spec and holds the configured implementations of its kinds.
type service struct {
	pluginv1.UnimplementedPluginServiceServer
	spec        Spec
	description *pluginv1.DescribeResponse
	log         hclog.Logger
	gate        *gate.Gate

	// turn holds one token; who has it may configure or drain, and owns the two fields below.
	turn       chan struct{}
	configured *pluginv1.ConfigureRequest
	closed     bool

	// lives has an entry for each kind of spec, set before the gate opens.
	lives []atomic.Pointer[Live]
}

func newService(spec Spec, log hclog.Logger) (*service, error) {
	description, err := spec.Describe()
	if err != nil {
		return nil, err
	}
	s := &service{
		spec:        spec,
		description: description,
		log:         log,
		gate:        gate.New(spec.endless),
		turn:        make(chan struct{}, 1),
		lives:       make([]atomic.Pointer[Live], len(spec.Kinds)),
	}
	return s, nil
}

func (s Spec) endless(method string) bool {
	for _, k := range s.Kinds {
		if k.Endless != nil && k.Endless(method) {
			return true
		}
	}
	return false
}

// register adds PluginService and the services of all kinds to a server.
func (s *service) register(r grpc.ServiceRegistrar) {
	pluginv1.RegisterPluginServiceServer(r, s)
	for i, k := range s.spec.Kinds {
		k.Register(r, func() Live { return *s.lives[i].Load() })
	}
}

// Describe implements PluginService.
func (s *service) Describe(context.Context, *pluginv1.DescribeRequest) (*pluginv1.DescribeResponse, error) {
	return s.description, nil
}

// Validate implements PluginService.
func (s *service) Validate(_ context.Context, req *pluginv1.ValidateRequest) (*pluginv1.ValidateResponse, error) {
	return &pluginv1.ValidateResponse{Diagnostics: diagnostics(s.spec.CheckConfig(req.GetConfig()))}, nil
}

// Configure implements PluginService.
func (s *service) Configure(ctx context.Context, req *pluginv1.ConfigureRequest) (*pluginv1.ConfigureResponse, error) {
	if err := s.takeTurn(ctx); err != nil {
		return nil, err
	}
	defer s.giveTurn()
	if s.closed {
		return nil, status.Error(codes.Unavailable, "the plugin is draining")
	}
	setup, err := s.setup(req)
	if err != nil {
		return nil, err
	}
	if faults := diagnostics(s.spec.CheckConfig(req.GetConfig())); faults != nil {
		return &pluginv1.ConfigureResponse{Diagnostics: faults}, nil
	}
	if s.configured == nil {
		err = s.open(ctx, setup)
	} else {
		err = s.reconfigure(ctx, req, setup)
	}
	if errors.Is(err, ErrRestartRequired) {
		return &pluginv1.ConfigureResponse{RestartRequired: true}, nil
	}
	var fault *ConfigError
	if errors.As(err, &fault) {
		return &pluginv1.ConfigureResponse{Diagnostics: diagnostics(err)}, nil
	}
	if err != nil {
		return nil, openStatus(err)
	}
	s.configured = req
	s.gate.Open()
	return &pluginv1.ConfigureResponse{}, nil
}

func (s *service) setup(req *pluginv1.ConfigureRequest) (Setup, error) {
	frame := int(req.GetMaxFrameBytes())
	if frame == 0 {
		frame = DefaultFrameBytes
	}
	if frame < MinFrameBytes || frame > MaxFrameBytes {
		return Setup{}, status.Errorf(codes.InvalidArgument, "max_frame_bytes is %d, allowed are %d to %d", frame, MinFrameBytes, MaxFrameBytes)
	}
	config := req.GetConfig()
	if len(bytes.TrimSpace(config)) == 0 {
		config = []byte("{}")
	}
	return Setup{
		Config:     config,
		DataDir:    req.GetDataDir(),
		Instance:   req.GetInstance(),
		FrameBytes: frame,
		Log:        s.log,
	}, nil
}

// open makes all implementations or none.
func (s *service) open(ctx context.Context, setup Setup) error {
	for i, k := range s.spec.Kinds {
		instance, err := k.Open(ctx, setup)
		if err != nil {
			s.closeAll()
			return fmt.Errorf("open %s: %w", k.Service, err)
		}
		s.lives[i].Store(&Live{Instance: instance, Setup: setup})
	}
	return nil
}

// reconfigure gives a changed setup to every implementation, if all of them can take one.
func (s *service) reconfigure(ctx context.Context, req *pluginv1.ConfigureRequest, setup Setup) error {
	old := s.configured
	if bytes.Equal(old.GetConfig(), req.GetConfig()) && old.GetDataDir() == req.GetDataDir() &&
		old.GetMaxFrameBytes() == req.GetMaxFrameBytes() {
		return nil
	}
	var takers []Reconfigurer
	for i := range s.lives {
		taker, ok := s.lives[i].Load().Instance.(Reconfigurer)
		if !ok {
			return ErrRestartRequired
		}
		takers = append(takers, taker)
	}
	for i, taker := range takers {
		if err := taker.Reconfigure(ctx, setup); err != nil {
			return fmt.Errorf("reconfigure %s: %w", s.spec.Kinds[i].Service, err)
		}
		s.lives[i].Store(&Live{Instance: s.lives[i].Load().Instance, Setup: setup})
	}
	return nil
}

// openStatus keeps a status that the author chose; anything else is a condition that somebody has to mend before the
// next attempt.
func openStatus(err error) error {
	if st, ok := status.FromError(err); ok {
		return st.Err()
	}
	return status.Error(codes.FailedPrecondition, Clip(err.Error(), maxDiagnosticBytes))
}

// Health implements PluginService.
func (s *service) Health(ctx context.Context, _ *pluginv1.HealthRequest) (*pluginv1.HealthResponse, error) {
	ctx, leave, err := s.gate.Enter(ctx, pluginv1.PluginService_Health_FullMethodName)
	if err != nil {
		return &pluginv1.HealthResponse{State: pluginv1.State_STATE_NOT_SERVING, Message: status.Convert(err).Message()}, nil
	}
	defer leave()
	out := &pluginv1.HealthResponse{State: pluginv1.State_STATE_SERVING}
	for i := range s.lives {
		checker, ok := s.lives[i].Load().Instance.(HealthChecker)
		if !ok {
			continue
		}
		if err := checker.Health(ctx); err != nil {
			out.State = max(out.State, stateOf(err))
			out.Message = Clip(out.Message+err.Error()+"\n", maxHealthBytes)
		}
	}
	return out, nil
}

// stateOf relies on worse states having larger numbers.
func stateOf(err error) pluginv1.State {
	if errors.Is(err, ErrDegraded) {
		return pluginv1.State_STATE_DEGRADED
	}
	return pluginv1.State_STATE_NOT_SERVING
}

// Drain implements PluginService.
func (s *service) Drain(ctx context.Context, req *pluginv1.DrainRequest) (*pluginv1.DrainResponse, error) {
	grace := min(max(req.GetGrace().AsDuration(), 0), maxGrace)
	if err := s.gate.Drain(ctx, grace); err != nil {
		return nil, status.Error(codes.DeadlineExceeded, err.Error())
	}
	if err := s.takeTurn(ctx); err != nil {
		return nil, err
	}
	defer s.giveTurn()
	s.closed = true
	if err := s.closeAll(); err != nil {
		return nil, status.Error(codes.Internal, Clip(err.Error(), maxDiagnosticBytes))
	}
	return &pluginv1.DrainResponse{}, nil
}

// closeAll closes what Open returned, the last first, and each once.
func (s *service) closeAll() error {
	var faults []error
	for i := len(s.lives) - 1; i >= 0; i-- {
		live := s.lives[i].Swap(nil)
		if live == nil {
			continue
		}
		if c, ok := live.Instance.(io.Closer); ok {
			if err := c.Close(); err != nil {
				faults = append(faults, fmt.Errorf("close %s: %w", s.spec.Kinds[i].Service, err))
			}
		}
	}
	return errors.Join(faults...)
}

func (s *service) takeTurn(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return status.FromContextError(ctx.Err()).Err()
	}
}

func (s *service) giveTurn() { <-s.turn }
