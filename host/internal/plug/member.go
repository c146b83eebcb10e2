package plug

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// member is an instance of the catalog while the host runs. One goroutine owns its supervisors: the one that serves, the
// one that is to take its place, and those on their way out.
type member struct {
	host   *Host
	name   string
	kind   Kind
	handle *handle
	after  <-chan struct{} // closed at the end of an earlier member of the same name; nil if there was none
	done   chan struct{}   // closed when nothing of the member is left

	wake       chan struct{} // holds a token when wanted has changed
	reports    chan report
	verdicts   chan verdict
	generation atomic.Uint64
	ops        sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	wanted  spec
	front   *supervisor // where calls go
	next    *supervisor // takes the place of front once it is ready; nil if there is none
	pending bool        // the process is being asked whether it takes the wanted configuration
	remark  string      // why the wanted configuration is not in force
	carried int         // restarts of supervisors that were replaced
}

// verdict is what a process thinks of a new configuration.
type verdict struct {
	spec    spec
	restart bool
	err     error
}

func newMember(h *Host, sp spec, after <-chan struct{}) *member {
	return &member{
		host: h, name: sp.Name, kind: sp.Kind, handle: newHandle(), after: after, done: make(chan struct{}),
		wake: make(chan struct{}, 1), reports: make(chan report), verdicts: make(chan verdict),
		wanted: sp,
	}
}

// want makes the member follow another spec.
func (m *member) want(sp spec) {
	m.mu.Lock()
	m.wanted = sp
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// run serves until the context ends, and then until all processes are gone.
func (m *member) run(ctx context.Context) {
	defer close(m.done)
	if m.after != nil {
		<-m.after // it has been asked to end, and its end has a deadline
	}
	m.mu.Lock()
	m.front = m.launch(m.wanted)
	m.mu.Unlock()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-m.wake:
			m.follow(ctx)
		case r := <-m.reports:
			m.hear(r)
		case v := <-m.verdicts:
			m.judge(ctx, v)
		}
	}
	m.shutdown()
}

// launch starts a supervisor that this member waits for.
func (m *member) launch(sp spec) *supervisor {
	s := newSupervisor(m.host, sp, &m.generation, func(r report) { m.reports <- r })
	m.ops.Go(s.run)
	return s
}

// shutdown stops everything and waits for it.
func (m *member) shutdown() {
	m.handle.close()
	m.mu.Lock()
	front, next := m.front, m.next
	m.next = nil
	m.mu.Unlock()
	front.stop()
	if next != nil {
		next.stop()
	}
	ended := make(chan struct{})
	go func() {
		m.ops.Wait()
		close(ended)
	}()
	for {
		select {
		case <-m.reports:
		case <-m.verdicts:
		case <-ended:
			return
		}
	}
}

// follow compares what is wanted with what runs.
func (m *member) follow(ctx context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pending {
		return // judge looks again
	}
	sp, front := m.wanted, m.front
	switch running := front.wanted(); {
	case running.same(sp):
		m.remark = ""
		m.dropNext()
	case m.next != nil && m.next.wanted().same(sp):
	case m.next != nil || running.process != sp.process:
		m.replace(sp)
	default:
		m.pending = true
		m.ops.Go(func() {
			restart, err := front.reconfigure(ctx, sp)
			m.verdicts <- verdict{spec: sp, restart: restart, err: err}
		})
	}
}

// dropNext gives up a replacement. The caller holds mu.
func (m *member) dropNext() {
	if m.next != nil {
		m.next.stop()
		m.next = nil
	}
}

// judge handles the answer to a new configuration.
func (m *member) judge(ctx context.Context, v verdict) {
	m.mu.Lock()
	m.pending = false
	again := !m.wanted.same(v.spec)
	switch {
	case again:
	case v.err != nil:
		m.remark = fmt.Sprintf("%v; the previous configuration stays in force", v.err)
		m.host.pluginLog(m.name).Error("new configuration is not in force", "error", v.err)
	case v.restart:
		m.replace(v.spec)
	default:
		m.remark = ""
	}
	m.mu.Unlock()
	if again {
		m.follow(ctx)
	}
}

// replace starts a new process: beside the old one, which goes on serving until the new one is ready, or after the end of
// the old one where two must not meet. The caller holds mu.
func (m *member) replace(sp spec) {
	m.remark = ""
	m.dropNext()
	if old := m.front; old.exclusive() || !old.ready() {
		m.handle.publish(nil)
		m.retire(old)
		m.front = newSupervisor(m.host, sp, &m.generation, func(r report) { m.reports <- r })
		fresh := m.front
		m.ops.Go(func() {
			<-old.done
			fresh.run()
		})
		return
	}
	m.next = m.launch(sp)
}

// retire stops a supervisor whose end is awaited by shutdown at the latest. The caller holds mu.
func (m *member) retire(s *supervisor) {
	m.carried += s.restartCount()
	s.stop()
}

// hear takes note of what happens to a supervisor.
func (m *member) hear(r report) {
	if !m.heed(r) {
		return
	}
	events := m.host.opts.Events
	switch {
	case r.live != nil:
		events.Ready(m.name)
	case r.loop:
		m.host.pluginLog(m.name).Error("plugin is in a crash loop", "reason", r.down)
		events.CrashLoop(m.name, r.down)
	default:
		events.Down(m.name, r.down)
	}
}

// heed reports whether the supervisor still matters, and draws the consequences for callers.
func (m *member) heed(r report) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case r.from != m.front && r.from != m.next:
		return false
	case r.live != nil:
		if r.from == m.next {
			m.retireFront()
		}
		m.handle.publish(r.live)
	case r.from == m.front:
		m.handle.explain(r.down)
	}
	return true
}

// retireFront puts next into the place of front. The caller holds mu.
func (m *member) retireFront() {
	old := m.front
	m.front, m.next = m.next, nil
	m.retire(old)
}

func (m *member) status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	st := Status{Name: m.name, Kind: m.kind, Required: m.wanted.Required, State: StateStarting, Restarts: m.carried, Message: m.remark}
	if m.front == nil {
		return st
	}
	m.front.describe(&st)
	if m.next != nil {
		var coming Status
		m.next.describe(&coming)
		st.Message = fmt.Sprintf("a replacement is %s", coming.State)
		if coming.Message != "" {
			st.Message += ": " + coming.Message
		}
	}
	if st.Message == "" {
		st.Message = m.remark
	}
	return st
}
