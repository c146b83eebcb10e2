package plug

import (
	"context"
	"errors"

	"github.com/syncbase/syncbase/host/internal/plug/supervise"
)

// What a supervisor tells and takes while its loop runs. These methods are safe for concurrent use.

// wanted returns the spec that the next process is to have.
func (s *supervisor) wanted() spec {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spec
}

// reconfigure gives another configuration to the running process. It reports whether only a new process can take it; an
// error means that the plugin refused it and goes on with the old one.
func (s *supervisor) reconfigure(ctx context.Context, sp spec) (restart bool, err error) {
	s.mu.Lock()
	current := s.serving
	s.mu.Unlock()
	if current == nil {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, supervise.ConfigureTimeout)
	defer cancel()
	remarks, err := current.validate(ctx, sp.json)
	if err != nil {
		return true, nil // a broken process is replaced
	}
	if err := remarks.refusal(); err != nil {
		return false, err
	}
	restart, remarks, err = current.configure(ctx, sp, s.dataDir, s.generation.Add(1))
	s.warn(remarks)
	var refused *ConfigError
	switch {
	case errors.As(err, &refused):
		return false, err
	case err != nil || restart:
		return true, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spec = sp
	// A process that ended meanwhile may have been followed by one with the old configuration.
	return s.serving != current, nil
}

func (s *supervisor) exclusive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.desc.exclusive
}

func (s *supervisor) ready() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.serving != nil
}

func (s *supervisor) restartCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.restarts
}

// maxStatusMessage bounds what a status says; the log has the rest.
const maxStatusMessage = 4 << 10

// describe adds what is known to a status.
func (s *supervisor) describe(st *Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st.State = publicState(s.state, s.message != "")
	st.PID = s.pid
	st.Restarts += s.restarts
	st.Plugin, st.Version = s.desc.name, s.desc.version
	if s.message != "" {
		st.Message = bounded(s.message, maxStatusMessage)
	}
}
