package plug

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"

	hclog "github.com/hashicorp/go-hclog"

	"github.com/syncbase/syncbase/host/internal/plug/runner"
	"github.com/syncbase/syncbase/host/internal/plug/supervise"
)

// Host is the catalog of plugin instances and the owner of their processes. All methods are safe for concurrent use.
type Host struct {
	opts Options
	prep func() error // prepares the run directory, once
	dirs *runner.Dirs // set by prep

	mu      sync.Mutex // guards the fields below
	members map[string]*member
	ends    map[string]context.CancelFunc // of members; set while running
	ctx     context.Context               // of Run; nil before it
	ended   bool                          // Run has returned or is about to
	leaving map[string]<-chan struct{}    // closed at the end of the member that had the name last
	running sync.WaitGroup                // counts members; added to under mu while not ended
}

// New returns a Host that runs nothing yet.
func New(opts Options) (*Host, error) {
	if err := opts.Validate(); err != nil {
		return nil, fmt.Errorf("plugins: %w", err)
	}
	h := &Host{
		opts:    opts.withDefaults(),
		members: make(map[string]*member),
		ends:    make(map[string]context.CancelFunc),
		leaving: make(map[string]<-chan struct{}),
	}
	h.prep = sync.OnceValue(func() (err error) {
		h.dirs, err = runner.NewDirs(h.opts.RunDir)
		return err
	})
	return h, nil
}

func (h *Host) pluginLog(name string) hclog.Logger { return h.opts.Log.Named("plugin." + name) }

func (h *Host) dataDir(name string) string { return filepath.Join(h.opts.DataDir, name) }

// Run keeps the instances running until the context ends, then drains and stops all of them, and returns when nothing is
// left. It may be called once.
func (h *Host) Run(ctx context.Context) error {
	if err := h.prep(); err != nil {
		return fmt.Errorf("plugins: %w", err)
	}
	h.mu.Lock()
	if h.ctx != nil {
		h.mu.Unlock()
		return errors.New("plugins: Run was called before")
	}
	h.ctx = ctx
	for _, m := range h.members {
		h.start(m)
	}
	h.mu.Unlock()

	<-ctx.Done()
	h.mu.Lock()
	h.ended = true
	h.mu.Unlock()
	h.running.Wait()
	return nil
}

// start runs a member. The caller holds mu.
func (h *Host) start(m *member) {
	ctx, cancel := context.WithCancel(h.ctx)
	h.ends[m.name] = cancel
	h.running.Go(func() {
		defer cancel()
		m.run(ctx)
	})
}

// SetInstances makes the catalog equal to the list: what is new is started, what is gone is stopped, what has changed is
// reconfigured or replaced, what has not is left alone. It returns at once; Status tells how it went. If any entry has a
// fault, all faults are returned and nothing changes.
func (h *Host) SetInstances(instances []Instance) error {
	specs := make(map[string]spec, len(instances))
	var faults []error
	for _, in := range instances {
		sp, err := h.opts.spec(in)
		if err != nil {
			faults = append(faults, err)
		} else if _, ok := specs[in.Name]; ok {
			faults = append(faults, fmt.Errorf("plugin %q: listed twice", in.Name))
		}
		specs[in.Name] = sp
	}
	if len(faults) > 0 {
		return errors.Join(faults...)
	}

	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return errors.New("plugins: already stopped")
	}
	for name := range h.members {
		if _, ok := specs[name]; !ok {
			h.remove(name)
		}
	}
	for name, sp := range specs {
		h.set(name, sp)
	}
	return nil
}

// set adds a member or changes it. The caller holds mu.
func (h *Host) set(name string, sp spec) {
	if m, ok := h.members[name]; ok {
		if m.kind == sp.Kind {
			m.want(sp)
			return
		}
		h.remove(name)
	}
	m := newMember(h, sp, h.leaving[name])
	delete(h.leaving, name)
	h.members[name] = m
	if h.ctx != nil {
		h.start(m)
	}
}

// remove ends a member. The caller holds mu.
func (h *Host) remove(name string) {
	if cancel, ok := h.ends[name]; ok {
		cancel()
		h.leaving[name] = h.members[name].done
	}
	delete(h.ends, name)
	delete(h.members, name)
}

// Status describes all instances, in order of their names.
func (h *Host) Status() []Status {
	h.mu.Lock()
	members := maps.Clone(h.members)
	h.mu.Unlock()
	all := make([]Status, 0, len(members))
	for _, name := range slices.Sorted(maps.Keys(members)) {
		all = append(all, members[name].status())
	}
	return all
}

// WaitReady waits until calls to the instance can be answered. The error says why they cannot.
func (h *Host) WaitReady(ctx context.Context, name string) error {
	h.mu.Lock()
	m, ok := h.members[name]
	h.mu.Unlock()
	if !ok {
		return fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	if _, err := m.handle.acquire(ctx); err != nil {
		return fmt.Errorf("%s(%s): %w", m.kind, name, err)
	}
	return nil
}

// handle finds where the calls of a facade go.
func (h *Host) handle(name string, kind Kind) (*handle, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	m, ok := h.members[name]
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: %q", ErrUnknown, name)
	case m.kind != kind:
		return nil, fmt.Errorf("%w: %q is a %s", ErrUnknown, name, m.kind)
	}
	return m.handle, nil
}

// Validate runs the instance's plugin once, without configuring it, and returns its remarks on the configuration. The
// error is about what kept the plugin from answering. It works on a Host that does not run.
func (h *Host) Validate(ctx context.Context, in Instance) ([]Diagnostic, error) {
	sp, err := h.opts.spec(in)
	if err != nil {
		return nil, err
	}
	if err := h.prep(); err != nil {
		return nil, fmt.Errorf("plugins: %w", err)
	}
	remarks, err := h.validate(ctx, sp)
	if err != nil {
		return nil, fmt.Errorf("plugin %q: %w", in.Name, err)
	}
	return remarks, nil
}

func (h *Host) validate(ctx context.Context, sp spec) (diagnostics, error) {
	dir, err := h.dirs.Make()
	if err != nil {
		return nil, err
	}
	s := newSession(sp, dir, runner.NewOutput(newLineLog(h.pluginLog(sp.Name), h.opts.Now).line))
	ctx, cancel := context.WithTimeoutCause(ctx, validateLimit, fmt.Errorf("no answer within %v", validateLimit))
	defer cancel()
	// Killing the process is what ends a handshake that does not come.
	stop := context.AfterFunc(ctx, func() { _ = s.proc.Kill(context.Background()) })
	defer stop()
	if err := s.open(h.opts.Log.GetLevel()); err != nil {
		return nil, errors.Join(context.Cause(ctx), err)
	}
	defer func() {
		_ = s.proc.Kill(context.Background())
		s.await()
		s.close()
	}()
	if err := s.describe(ctx, h.opts.HostVersion); err != nil {
		return nil, err
	}
	return s.validate(ctx, sp.json)
}

// validateLimit is how long a plugin may take to start and judge a configuration.
const validateLimit = supervise.StartTimeout + supervise.DescribeTimeout + supervise.ValidateTimeout
