package peer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/syncbase/syncbase/host/internal/identity"
)

// Classes of what can go wrong with a peer. Errors of requests keep their gRPC status beside the class.
var (
	// ErrRefused says that one side does not trust the other.
	ErrRefused = identity.ErrRefused
	// ErrUnreachable says that there is no connection, or that it broke.
	ErrUnreachable = errors.New("peer is unreachable")
	// ErrProtocol says that the peer broke the rules; its link is closed.
	ErrProtocol = errors.New("peer broke the protocol")
	// ErrDenied says that the peer may not have what it asked for. Services return it, and requests fail with it.
	ErrDenied = errors.New("permission denied")
	// ErrNotFound says that there is no such thing, or none that the caller may know of. Services return it, and
	// requests fail with it.
	ErrNotFound = errors.New("not found")
	// ErrPaused says why something is ErrNotFound: an administrator of the peer has paused syncing. Services return it beside that.
	ErrPaused = errors.New("syncing is paused there")
	// ErrUnknown says that no peer of that name is known.
	ErrUnknown = errors.New("no such peer")

	// ErrTwin says that the peer is a copy of this device.
	ErrTwin = errors.New("another daemon runs with the keys and the data of this device")

	// errSelf says that the address is our own.
	errSelf = errors.New("the address is this daemon's own")
)

// violation is an ErrProtocol that says what the peer sent.
func violation(format string, args ...any) error {
	return fmt.Errorf("%w: it sent %w", ErrProtocol, fmt.Errorf(format, args...))
}

// classify adds the class to the error of a request.
func classify(err error) error {
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	class := error(nil)
	switch s.Code() {
	case codes.Unavailable:
		class = ErrUnreachable
	case codes.PermissionDenied:
		class = ErrDenied
	case codes.Unauthenticated:
		class = ErrRefused
	case codes.NotFound:
		class = ErrNotFound
		if slices.ContainsFunc(s.Details(), isPause) {
			class = fmt.Errorf("%w: %w", ErrNotFound, ErrPaused)
		}
	case codes.Canceled:
		class = context.Canceled
	case codes.DeadlineExceeded:
		class = context.DeadlineExceeded
	case codes.ResourceExhausted, codes.Internal:
		// gRPC has no other way to tell these faults of the answer from what the peer says itself.
		if strings.HasPrefix(s.Message(), "grpc: received message") || strings.HasPrefix(s.Message(), "grpc: failed to unmarshal") {
			class = ErrProtocol
		}
	}
	if class == nil {
		return err
	}
	return fmt.Errorf("%w: %w", class, err)
}

// toStatus is the one place where errors of the services become gRPC statuses.
func (s *Sessions) toStatus(err error) error {
	if err == nil {
		return nil
	}
	if s.opts.Status != nil {
		err = s.opts.Status(err)
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	switch {
	case errors.Is(err, ErrDenied):
		return status.Error(codes.PermissionDenied, err.Error())
	case errors.Is(err, ErrNotFound) && errors.Is(err, ErrPaused):
		return pausedStatus(err)
	case errors.Is(err, ErrNotFound):
		return status.Error(codes.NotFound, err.Error())
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return status.FromContextError(err).Err()
	}
	s.log.Error("a request of a peer failed", "error", err)
	return status.Error(codes.Internal, "internal error; the log of the peer has the details")
}

// What says in an answer NOT_FOUND that the reason is a pause.
const (
	reasonDomain = "syncbase.peer.v1"
	reasonPaused = "PAUSED"
)

func isPause(detail any) bool {
	info, ok := detail.(*errdetails.ErrorInfo)
	return ok && info.GetDomain() == reasonDomain && info.GetReason() == reasonPaused
}

func pausedStatus(err error) error {
	plain := status.New(codes.NotFound, err.Error())
	if s, err := plain.WithDetails(&errdetails.ErrorInfo{Domain: reasonDomain, Reason: reasonPaused}); err == nil {
		plain = s
	}
	return plain.Err()
}

// Said is what the peer said in the answer that err is made of, without the words that stand for a class; otherwise the error.
func Said(err error) string {
	var answer interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &answer) {
		return err.Error()
	}
	text := answer.GRPCStatus().Message()
	for _, class := range []error{ErrDenied, ErrNotFound} {
		text = strings.TrimPrefix(text, class.Error()+": ")
	}
	return text
}

// told is an error in the words of whoever it comes from: err says what it is for programs, text what people read.
type told struct {
	text string
	err  error
}

func (t *told) Error() string { return t.text }
func (t *told) Unwrap() error { return t.err }

func invalid(err error) error { return status.Error(codes.InvalidArgument, err.Error()) }
