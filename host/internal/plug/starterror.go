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
func (s *session) obituary() *StartError {
	return &StartError{Cause: fmt.Errorf("process %d ended: %s", s.proc.Pid(), s.proc.Status()), Tail: s.out.Tail()}
}

// StartError is why a plugin's process could not be started, or ended.
type StartError struct {
	Cause error
	// Tail is the last output of the process.
	Tail []string
}

func (e *StartError) Error() string { return e.Cause.Error() + e.output() }

// maxOutput bounds how much of the output an error shows, so that a status has room for it.
const maxOutput = 3 << 10

// output shows as many of the last lines as there is room for; empty if there was none.
func (e *StartError) output() string {
	const separator = "\n  "
	first, size := len(e.Tail), 0
	for first > 0 && size+len(separator)+len(e.Tail[first-1]) <= maxOutput {
		first--
		size += len(separator) + len(e.Tail[first])
	}
	if first == len(e.Tail) {
		return ""
	}
	return "; its last output:" + separator + strings.Join(e.Tail[first:], separator)
}

func (e *StartError) Unwrap() error { return e.Cause }
