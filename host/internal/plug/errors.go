package plug

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Every error of a facade wraps one of these where a caller can do something about it.
var (
	// ErrUnknown means that no instance of this name and kind is configured.
	ErrUnknown = errors.New("no such plugin instance")
	// ErrDown means that the process is gone or not ready. The call may or may not have been carried out.
	ErrDown = errors.New("plugin is down")
	// ErrNotFound means that the store has no such object.
	ErrNotFound = errors.New("not found")
	// ErrFull means that disk or quota are exhausted.
	ErrFull = errors.New("store is full")
	// ErrCorrupt means that the store knows the object to be damaged.
	ErrCorrupt = errors.New("object is corrupt")
	// ErrTransient means that the same call may succeed later.
	ErrTransient = errors.New("temporary failure")
	// ErrRange means that a range lies outside its object.
	ErrRange = errors.New("range lies outside the object")
	// ErrInvalid means that the plugin refuses the arguments of the call. No repetition helps.
	ErrInvalid = errors.New("invalid argument")
	// ErrDenied means that what stands behind the plugin refused its credentials.
	ErrDenied = errors.New("access denied")
	// ErrProtocol means that the plugin broke its protocol. No repetition helps.
	ErrProtocol = errors.New("plugin broke the protocol")
)

// errStalled is the cause of a stream that made no progress.
var errStalled = fmt.Errorf("%w: no progress for %v", ErrTransient, progressLimit)

var sentinels = map[codes.Code]error{
	codes.NotFound:           ErrNotFound,
	codes.ResourceExhausted:  ErrFull,
	codes.DataLoss:           ErrCorrupt,
	codes.Aborted:            ErrTransient,
	codes.Unavailable:        ErrTransient,
	codes.FailedPrecondition: ErrTransient,
	codes.OutOfRange:         ErrRange,
	codes.InvalidArgument:    ErrInvalid,
	codes.PermissionDenied:   ErrDenied,
	codes.Unauthenticated:    ErrDenied,
	codes.Unimplemented:      errors.ErrUnsupported,
	codes.DeadlineExceeded:   context.DeadlineExceeded,
	codes.Canceled:           context.Canceled,
}

// fromCode maps what a plugin answered, for a call or for one item of it.
func fromCode(code codes.Code, message string) error {
	message = bounded(message, maxMessage)
	if sentinel, ok := sentinels[code]; ok {
		return fmt.Errorf("%w: %s", sentinel, message)
	}
	return fmt.Errorf("%v: %s", code, message)
}

// fromCall maps the error of a call.
func fromCall(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	st, ok := status.FromError(err)
	if !ok {
		return err
	}
	return fromCode(st.Code(), st.Message())
}

// fromFault maps the failure of one item; nil for none.
func fromFault(f interface {
	GetCode() int32
	GetMessage() string
}) error {
	if f.GetCode() == int32(codes.OK) {
		return nil
	}
	return fromCode(codes.Code(uint32(f.GetCode())), f.GetMessage())
}

// transport reports whether an error may be the trace of a dead process: what is left of a call whose connection broke.
func transport(err error) bool {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	st, ok := status.FromError(err)
	if !ok {
		return false
	}
	switch st.Code() {
	case codes.Unavailable, codes.Canceled, codes.Internal, codes.Unknown:
		return true
	}
	return false
}
