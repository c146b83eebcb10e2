package plug

import (
	"errors"
	"fmt"
	"strings"
)

// explain says why the process did not start, in place of go-plugin's guesses.
func (s *session) explain(err error) error {
	pid, ended := s.proc.Pid(), s.proc.Status()
	seen, noise := s.proc.Handshake()
	var cause error
	switch {
	case pid == 0:
		return err // not even started: the error is the runner's own
	case seen:
		cause = errors.New(firstLine(err.Error()))
	case noise != "":
		cause = fmt.Errorf("no handshake on standard output, but %q (%s)", noise, ended)
	default:
		cause = fmt.Errorf("no handshake on standard output (%s)", ended)
	}
	return &StartError{Cause: cause, Tail: s.out.Tail()}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// obituary says how a process that had started came to its end.
func (s *session) obituary() string {
	err := &StartError{Cause: fmt.Errorf("process %d ended: %s", s.proc.Pid(), s.proc.Status()), Tail: s.out.Tail()}
	return err.Error()
}

// StartError is why a plugin's process could not be started, or ended.
type StartError struct {
	Cause error
	// Tail is the last output of the process.
	Tail []string
}

func (e *StartError) Error() string {
	if len(e.Tail) == 0 {
		return e.Cause.Error()
	}
	return e.Cause.Error() + "; its last output:\n  " + strings.Join(e.Tail, "\n  ")
}

func (e *StartError) Unwrap() error { return e.Cause }
