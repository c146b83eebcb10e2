package client

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Sentinels for errors.Is. The error itself is an *Error and says more.
var (
	// ErrNotFound: it does not exist, or the caller may not know of it.
	ErrNotFound = errors.New("not found")
	ErrExists   = errors.New("already exists")
	ErrNoAccess = errors.New("no access")
	// ErrConflict: a check of a batch failed, or a version that was given is no longer current.
	ErrConflict = errors.New("conflict")
	ErrInvalid  = errors.New("invalid argument")
	// ErrPrecondition: the daemon is not in a state to do it, and trying again alone will not help.
	ErrPrecondition = errors.New("not possible now")
	ErrExhausted    = errors.New("limit reached")
	// ErrUnknownBatch: the batch has ended, was not used for too long, or the connection has ended, as when the daemon was
	// restarted. It is not ErrNotFound, which would be about a row.
	ErrUnknownBatch = errors.New("unknown batch")
	// ErrMarkerMalformed: what was given as a resume marker is none. It is also ErrInvalid.
	ErrMarkerMalformed = fmt.Errorf("malformed resume marker: %w", ErrInvalid)
	// ErrMarkerForeign: the resume marker is of another database, perhaps of an earlier one of the same name, or of another
	// device. Like the two below it is also ErrPrecondition; the way on from all three is Initial without a marker.
	ErrMarkerForeign = fmt.Errorf("resume marker of another database: %w", ErrPrecondition)
	// ErrMarkerAhead: the resume marker lies beyond the end of the log; the database was set back, from a backup.
	ErrMarkerAhead = fmt.Errorf("resume marker beyond the end of the log: %w", ErrPrecondition)
	// ErrMarkerTooOld: the log after the resume marker has been reclaimed.
	ErrMarkerTooOld = fmt.Errorf("resume marker too old: %w", ErrPrecondition)
	// ErrUnavailable: the daemon, or a part of it, is not there at the moment; trying again later may help.
	ErrUnavailable = errors.New("unavailable")
	// ErrSilent: something takes connections at the address of the daemon, and does not answer: it is stopped, or has too much to
	// do. It is also ErrUnavailable.
	ErrSilent = fmt.Errorf("no answer: %w", ErrUnavailable)
	// ErrClosed: Close of the client was called. It is neither ErrUnavailable, as trying again does not help, nor
	// context.Canceled, which is said of the caller's context alone.
	ErrClosed = errors.New("the client is closed")
)

// Error is what the daemon said, or why it could not be asked.
type Error struct {
	// Message says what was wrong, with which value, and often what to do.
	Message string
	// Reason names the case in capitals, such as "NO_ROW"; empty when the daemon was not reached.
	Reason string
	// Operation is the position, from 1, of the operation of a batch that was refused; 0 where it was not one of them.
	Operation int

	kind error
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns one of the sentinels, or what a context says, or nil.
func (e *Error) Unwrap() error { return e.kind }

var kinds = map[codes.Code]error{
	codes.NotFound:           ErrNotFound,
	codes.AlreadyExists:      ErrExists,
	codes.PermissionDenied:   ErrNoAccess,
	codes.Unauthenticated:    ErrNoAccess,
	codes.Aborted:            ErrConflict,
	codes.InvalidArgument:    ErrInvalid,
	codes.OutOfRange:         ErrInvalid,
	codes.FailedPrecondition: ErrPrecondition,
	codes.ResourceExhausted:  ErrExhausted,
	codes.Unavailable:        ErrUnavailable,
	codes.Canceled:           context.Canceled,
	codes.DeadlineExceeded:   context.DeadlineExceeded,
}

// reasons are the cases for which the code says too little.
var reasons = map[string]error{
	"UNKNOWN_BATCH":    ErrUnknownBatch,
	"MALFORMED_MARKER": ErrMarkerMalformed,
	"FOREIGN_MARKER":   ErrMarkerForeign,
	"MARKER_AHEAD":     ErrMarkerAhead,
	"MARKER_TOO_OLD":   ErrMarkerTooOld,
}

// failure turns the error of a call into an *Error.
func (c *Client) failure(err error) error {
	if err == nil {
		return nil
	}
	var made *Error
	if errors.As(err, &made) {
		return err
	}
	st, ok := status.FromError(err)
	if !ok {
		return err
	}
	e := &Error{Message: st.Message(), kind: kinds[st.Code()]}
	for _, detail := range st.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == "syncbase" {
			e.Reason = info.GetReason()
			e.Operation, _ = strconv.Atoi(info.GetMetadata()["operation"])
			if kind := reasons[e.Reason]; kind != nil {
				e.kind = kind
			}
		}
	}
	if e.Reason != "" {
		return e
	}
	// What follows did not come from the daemon.
	if text, is := largeRequest(st); is {
		e.Message, e.kind = text, ErrInvalid
		return e
	}
	switch why := plainly(st.Message()); {
	case st.Code() == codes.Unavailable && strings.HasSuffix(why, "permission denied"):
		e.Message, e.kind = fmt.Sprintf("no permission to speak to the daemon at %s; call as the user who runs it", c.address), ErrNoAccess
	case st.Code() == codes.Unavailable && silent(why):
		e.Message, e.kind = c.silence(), ErrSilent
	case st.Code() == codes.Unavailable:
		e.Message = fmt.Sprintf("no Syncbase daemon answers at %s: %s", c.address, why)
	case st.Code() == codes.Canceled:
		e.Message = "the call was canceled"
	case st.Code() == codes.DeadlineExceeded:
		e.Message = "the time for the call was up before the daemon answered"
	}
	return e
}
