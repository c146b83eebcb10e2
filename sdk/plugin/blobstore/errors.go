package blobstore

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	blobstorev1 "github.com/syncbase/syncbase/sdk/api/blobstore/v1"
	"github.com/syncbase/syncbase/sdk/plugin"
)

// Errors that tell the host what to do. A store wraps them with %w; a Client returns errors that wrap them.
var (
	// ErrNotFound: there is no such object; the host tries another source.
	ErrNotFound = errors.New("object not found")
	// ErrFull: no space or no quota is left; the host stops writing to this instance.
	ErrFull = errors.New("store is full")
	// ErrCorrupt: the bytes are not what was stored, or not what was announced; the host fetches them elsewhere.
	ErrCorrupt = errors.New("object is corrupt")
	// ErrTransient: it may work in a moment; the host tries again with increasing pauses.
	ErrTransient = errors.New("store is unavailable for the moment")
	// ErrRange: the range reaches beyond the object.
	ErrRange = errors.New("range reaches beyond the object")
	// ErrDenied: the backend refused the credentials; the host tells the operator.
	ErrDenied = errors.New("backend refused access")
	// ErrInvalid: the request breaks the protocol; the host does not try again.
	ErrInvalid = errors.New("invalid request")
	// ErrUnsupported: the store has no such ability.
	ErrUnsupported = errors.New("not supported by this store")
)

// meanings is the one table between errors in Go and codes on the wire. The first row of a code or error wins.
var meanings = []struct {
	err  error
	code codes.Code
}{
	{ErrNotFound, codes.NotFound},
	{ErrFull, codes.ResourceExhausted},
	{ErrCorrupt, codes.DataLoss},
	{ErrTransient, codes.Unavailable},
	{ErrTransient, codes.Aborted},
	{ErrRange, codes.OutOfRange},
	{ErrDenied, codes.PermissionDenied},
	{ErrDenied, codes.Unauthenticated},
	{ErrInvalid, codes.InvalidArgument},
	{ErrUnsupported, codes.Unimplemented},
	{context.Canceled, codes.Canceled},
	{context.DeadlineExceeded, codes.DeadlineExceeded},
}

const maxFaultBytes = 1 << 10

// Code is the code on the wire for an error of a store.
func Code(err error) codes.Code {
	if err == nil {
		return codes.OK
	}
	for _, m := range meanings {
		if errors.Is(err, m.err) {
			return m.code
		}
	}
	if st, ok := status.FromError(err); ok {
		return st.Code()
	}
	return codes.Internal
}

// FromCode is the error for a code and message off the wire; it wraps a sentinel where the code has one.
func FromCode(code codes.Code, message string) error {
	if code == codes.OK {
		return nil
	}
	for _, m := range meanings {
		if m.code == code {
			return &wireError{code: code, message: message, meaning: m.err}
		}
	}
	return &wireError{code: code, message: message}
}

// FromStatus is FromCode for the error of a call.
func FromStatus(err error) error {
	if err == nil {
		return nil
	}
	st := status.Convert(err)
	return FromCode(st.Code(), st.Message())
}

// FromFault is FromCode for the fault of one item; nil when there is none.
func FromFault(fault *blobstorev1.Fault) error {
	if fault.GetCode() < 0 {
		return FromCode(codes.Unknown, fault.GetMessage())
	}
	return FromCode(codes.Code(fault.GetCode()), fault.GetMessage())
}

// wireError is an error that came over the wire.
type wireError struct {
	code    codes.Code
	message string
	meaning error // nil when the code has no sentinel
}

func (e *wireError) Error() string {
	if e.message == "" {
		return e.code.String()
	}
	return e.message
}

func (e *wireError) Unwrap() error { return e.meaning }

// GRPCStatus makes the status package understand the error.
func (e *wireError) GRPCStatus() *status.Status { return status.New(e.code, e.message) }

// faultOf is an error as the fault of one item; nil for nil.
func faultOf(err error) *blobstorev1.Fault {
	if err == nil {
		return nil
	}
	return &blobstorev1.Fault{Code: int32(Code(err)), Message: plugin.Clip(err.Error(), maxFaultBytes)}
}

// statusOf is an error as the end of a call; nil for nil.
func statusOf(err error) error {
	if err == nil {
		return nil
	}
	return status.Error(Code(err), plugin.Clip(err.Error(), maxFaultBytes))
}

func checkKey(key []byte) (Key, error) {
	if n := len(key); n == 0 || n > MaxKeyBytes {
		return "", fmt.Errorf("%w: key of %d bytes, allowed are 1 to %d", ErrInvalid, n, MaxKeyBytes)
	}
	return Key(key), nil
}
