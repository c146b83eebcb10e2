package plug

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	hclog "github.com/hashicorp/go-hclog"

	"github.com/syncbase/syncbase/host/internal/plug/runner"
	"github.com/syncbase/syncbase/host/internal/plug/supervise"
)

// supervisor keeps processes of one spec running, one after the other. Its machine decides; this type carries out.
type supervisor struct {
	opts       Options
	log        hclog.Logger
	dirs       *runner.Dirs
	dataDir    string
	generation *atomic.Uint64 // of the instance
	report     func(report)   // never blocks for long; called by run only

	machine *supervise.Machine // used by run only
	current *session           // of the present attempt; used by run only
	events  chan supervise.Event
	quit    chan struct{} // closed when nobody receives events any more
	stopped chan struct{} // closed to ask for the end
	once    sync.Once     // closes stopped
	done    chan struct{} // closed when nothing of the supervisor is left

	mu       sync.Mutex // guards the fields below
	spec     spec       // its configuration changes when the process has accepted another one
	state    supervise.State
	pid      int
	restarts int
	serving  *session // nil unless calls go to it
	desc     description
	message  string
}

// report tells the instance what became of a supervisor.
type report struct {
	from *supervisor
	live *live  // set when a process can be used
	down string // set when it cannot any more, or could not be started
	loop bool   // restarts come too fast
}

func newSupervisor(h *Host, sp spec, generation *atomic.Uint64, send func(report)) *supervisor {
	return &supervisor{
		opts:       h.opts,
		log:        h.pluginLog(sp.Name),
		dirs:       h.dirs,
		dataDir:    h.dataDir(sp.Name),
		generation: generation,
		report:     send,
		machine:    supervise.New(h.opts.Rand),
		events:     make(chan supervise.Event),
		quit:       make(chan struct{}),
		stopped:    make(chan struct{}),
		done:       make(chan struct{}),
		spec:       sp,
		state:      supervise.Verifying, // what people see until it runs
	}
}

// stop asks for the end; done is closed when it has come.
func (s *supervisor) stop() { s.once.Do(func() { close(s.stopped) }) }

// run owns everything the supervisor starts. It returns after stop.
func (s *supervisor) run() {
	defer close(s.done)
	ctx, cancel := context.WithCancel(context.Background())
	var ops sync.WaitGroup
	defer ops.Wait()
	defer cancel()
	defer close(s.quit)

	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	stopped := s.stopped
	event := supervise.Event{Kind: supervise.Start}
	for {
		if finished := s.step(ctx, &ops, event); finished {
			return
		}
		s.wait(timer)
		select {
		case event = <-s.events:
		case <-timer.C:
			event = supervise.Event{Kind: supervise.Tick}
		case <-stopped:
			stopped = nil
			event = supervise.Event{Kind: supervise.Stop, Grace: s.opts.DrainGrace}
		}
	}
}

// wait sets the timer to the moment at which the machine wants to be called.
func (s *supervisor) wait(timer *time.Timer) {
	next, ok := s.machine.Next()
	if !ok {
		timer.Stop()
		return
	}
	timer.Reset(max(0, next.Sub(s.opts.Now())))
}

// step feeds one event to the machine, carries out what it wants and makes the outcome visible.
func (s *supervisor) step(ctx context.Context, ops *sync.WaitGroup, event supervise.Event) (finished bool) {
	before := s.machine.State()
	actions := s.machine.Handle(s.opts.Now(), event)
	s.note()
	if s.machine.State() == supervise.Backoff && before != supervise.Backoff {
		s.log.Warn("plugin is down", "reason", s.machine.Reason())
		s.report(report{from: s, down: s.machine.Reason()})
	}
	for _, action := range actions {
		if action.Kind == supervise.Finish {
			finished = true
			continue
		}
		s.act(ctx, ops, action)
	}
	return finished
}

func (s *supervisor) note() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = s.machine.State()
	s.message = s.machine.Reason()
	s.restarts = max(0, s.machine.Attempt()-1)
	s.pid = 0
	if !s.state.Serving() {
		s.serving = nil
	}
	switch s.state {
	case supervise.Stopped, supervise.Verifying, supervise.Backoff:
	default:
		if s.current != nil {
			s.pid = s.current.proc.Pid()
		}
	}
}

// act carries out one action. Whatever takes time runs beside the loop and comes back as an event of its attempt.
func (s *supervisor) act(ctx context.Context, ops *sync.WaitGroup, action supervise.Action) {
	attempt, current := s.machine.Attempt(), s.current
	step := func(fn func(ctx context.Context) error) {
		ops.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, action.Timeout)
			defer cancel()
			s.answer(attempt, current, fn(ctx))
		})
	}
	switch action.Kind {
	case supervise.Verify:
		current = nil
		command := s.wanted().command
		step(func(context.Context) error { return command.Check() })
	case supervise.Spawn:
		s.spawn(ops, attempt)
	case supervise.Describe:
		step(func(ctx context.Context) error { return current.describe(ctx, s.opts.HostVersion) })
	case supervise.Configure:
		step(func(ctx context.Context) error { return s.configure(ctx, current) })
	case supervise.Drain:
		step(func(ctx context.Context) error { return current.drain(ctx, action.Timeout) })
	case supervise.Probe:
		s.probe(ctx, ops, attempt, action.Timeout)
	case supervise.Publish:
		s.publish()
	case supervise.Retract: // callers notice by the end of the process, or by the answer of a draining plugin
	case supervise.Terminate:
		current.proc.Terminate()
	case supervise.Kill:
		ops.Go(func() { _ = current.proc.Kill(ctx) }) // the machine has a deadline of its own
	case supervise.Abandon:
		s.log.Error("process does not end after SIGKILL; it is left behind", "pid", current.proc.Pid())
		close(current.abandoned)
	case supervise.CrashLoop:
		s.report(report{from: s, loop: true, down: s.machine.Reason()})
	}
}

// send reports an event to the loop; nobody listens any more once that has ended.
func (s *supervisor) send(event supervise.Event) {
	select {
	case s.events <- event:
	case <-s.quit:
	}
}

// answer reports the outcome of an action. A failure whose cause is the end of the process is left to Exited, which has
// more to say.
func (s *supervisor) answer(attempt int, current *session, err error) {
	switch {
	case err == nil:
		s.send(supervise.Event{Kind: supervise.Done, Attempt: attempt})
	case current != nil && transport(err) && current.ends():
	default:
		event := supervise.Event{Kind: supervise.Failed, Attempt: attempt, Reason: err.Error()}
		var start *StartError
		if errors.As(err, &start) {
			event.Output = start.output()
		}
		s.send(event)
	}
}

// spawn starts a process and stays with it to its end.
func (s *supervisor) spawn(ops *sync.WaitGroup, attempt int) {
	dir, err := s.dirs.Make()
	if err != nil {
		ops.Go(func() { s.answer(attempt, nil, err) })
		return
	}
	lines := newLineLog(s.log, s.opts.Now)
	current := newSession(s.wanted(), dir, runner.NewOutput(lines.line))
	s.current = current
	ops.Go(func() {
		if err := current.open(s.opts.Log.GetLevel()); err != nil {
			s.answer(attempt, nil, err)
			return
		}
		s.answer(attempt, nil, nil)
		if current.await() {
			current.close()
		}
		end := current.obituary()
		s.send(supervise.Event{Kind: supervise.Exited, Attempt: attempt, Reason: end.Error(), Output: end.output()})
	})
}

// configure gives a new process its first configuration.
func (s *supervisor) configure(ctx context.Context, current *session) error {
	restart, remarks, err := current.configure(ctx, s.wanted(), s.dataDir, s.generation.Add(1))
	s.warn(remarks)
	if err == nil && restart {
		return errors.New("the plugin asks for a new process although it is one")
	}
	return err
}

func (s *supervisor) warn(remarks diagnostics) {
	for _, remark := range remarks.warnings() {
		s.log.Warn("plugin remarks on its configuration", "remark", remark)
	}
}

func (s *supervisor) probe(ctx context.Context, ops *sync.WaitGroup, attempt int, timeout time.Duration) {
	current := s.current
	ops.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		remark, err := current.health(ctx)
		switch {
		case err == nil:
			s.send(supervise.Event{Kind: supervise.Healthy, Attempt: attempt, Reason: remark})
		case ctx.Err() != nil:
			s.send(supervise.Event{Kind: supervise.Sick, Attempt: attempt, Reason: fmt.Sprintf("no answer within %v", timeout)})
		case transport(err) && current.ends():
		default:
			s.send(supervise.Event{Kind: supervise.Sick, Attempt: attempt, Reason: err.Error()})
		}
	})
}

func (s *supervisor) publish() {
	s.mu.Lock()
	s.serving = s.current
	s.desc = s.current.desc
	s.mu.Unlock()
	s.log.Info("plugin is ready", "pid", s.current.proc.Pid(), "plugin", s.desc.name, "version", s.desc.version)
	s.report(report{from: s, live: &live{conn: s.current.conn, gone: s.current.proc.Exited(), desc: s.current.desc}})
}
