package api

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/syncbase/syncbase/host/internal/acl"
	"github.com/syncbase/syncbase/host/internal/blobs"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/merge"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/resolve"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// Sentinels for those who implement the interfaces of Options: what they wrap decides what a client is told.
var (
	ErrNotFound     = errors.New("not found")
	ErrExists       = errors.New("already exists")
	ErrDenied       = errors.New("permission denied")
	ErrInvalid      = errors.New("invalid argument")
	ErrConflict     = errors.New("changed in the meantime")
	ErrPrecondition = errors.New("not possible now")
	ErrExhausted    = errors.New("limit reached")
	ErrUnavailable  = errors.New("not available at the moment")
)

// Kind makes an error one of those without a word of its own, for errors that say enough.
func Kind(sentinel, err error) error { return &kindError{sentinel, err} }

type kindError struct{ kind, err error }

func (e *kindError) Error() string   { return e.err.Error() }
func (e *kindError) Unwrap() []error { return []error{e.kind, e.err} }

var (
	errAnonymous = errors.New("the caller has not proven who it is")
	errDraining  = fmt.Errorf("%w: the daemon is shutting down", ErrUnavailable)
	// errMarker refuses a resume marker that cannot be read.
	errMarker = errors.New("malformed resume marker")
	// errForeignMarker refuses a marker of another database.
	errForeignMarker = errors.New("resume marker of another database")
	// errMarkerAhead refuses a marker of a future.
	errMarkerAhead = errors.New("resume marker that lies beyond the end of the log")
	errNoSchema    = errors.New("no schema")
)

// domain is the domain of every ErrorInfo.
const domain = "syncbase"

// outcomes says how errors look to a client; the first row that matches counts.
var outcomes = []struct {
	err    error
	code   codes.Code
	reason string
}{
	{errAnonymous, codes.Unauthenticated, "ANONYMOUS"},
	{errMarker, codes.InvalidArgument, "MALFORMED_MARKER"},
	{errForeignMarker, codes.FailedPrecondition, "FOREIGN_MARKER"},
	{errMarkerAhead, codes.FailedPrecondition, "MARKER_AHEAD"},
	{rows.ErrMarkerTooOld, codes.FailedPrecondition, "MARKER_TOO_OLD"},
	{errUnknownBatch, codes.NotFound, "UNKNOWN_BATCH"},
	{rows.ErrDone, codes.NotFound, "UNKNOWN_BATCH"},
	{errTooManyBatches, codes.ResourceExhausted, "TOO_MANY_BATCHES"},
	{rows.ErrReadOnly, codes.FailedPrecondition, "READ_ONLY_BATCH"},
	{errNoSchema, codes.NotFound, "NO_SCHEMA"},
	{rows.ErrMarker, codes.FailedPrecondition, "MARKER_AHEAD"},
	{rows.ErrDestroyed, codes.FailedPrecondition, "DATABASE_DESTROYED"},
	{rows.ErrNoDatabase, codes.NotFound, "NO_DATABASE"},
	{rows.ErrNoCollection, codes.NotFound, "NO_COLLECTION"},
	{rows.ErrNoRow, codes.NotFound, "NO_ROW"},
	{rows.ErrExists, codes.AlreadyExists, "EXISTS"},
	{resolve.ErrPassed, codes.Aborted, "OFFER_PASSED"},
	{rows.ErrNoConflict, codes.NotFound, "NO_CONFLICT"},
	{rows.ErrConflict, codes.Aborted, "CONFLICT"},
	{acl.ErrNoAccess, codes.PermissionDenied, "NO_ACCESS"},
	{acl.ErrHidden, codes.NotFound, "NOT_FOUND"},
	{perm.ErrInvalid, codes.InvalidArgument, "INVALID_PERMISSIONS"},
	{id.ErrInvalid, codes.InvalidArgument, "INVALID_NAME"},
	{rows.ErrInvalid, codes.InvalidArgument, "INVALID"},
	{merge.ErrPolicy, codes.InvalidArgument, "INVALID_POLICY"},
	{rows.ErrNoLetter, codes.NotFound, "NOT_FOUND"},
	{rows.ErrNotWhole, codes.FailedPrecondition, "PRECONDITION"},
	{rows.ErrFrozen, codes.FailedPrecondition, "FROZEN"},
	{rows.ErrQuota, codes.ResourceExhausted, "QUOTA"},
	{kv.ErrFull, codes.ResourceExhausted, "DISK_FULL"},
	{rows.ErrCorrupt, codes.DataLoss, "CORRUPT"},
	{blobs.ErrRange, codes.InvalidArgument, "RANGE"},
	{blobs.ErrCorrupt, codes.DataLoss, "CORRUPT"},
	{blobs.ErrNotFound, codes.NotFound, "NO_BLOB"},
	{ErrNotFound, codes.NotFound, "NOT_FOUND"},
	{ErrExists, codes.AlreadyExists, "EXISTS"},
	{ErrDenied, codes.PermissionDenied, "NO_ACCESS"},
	{ErrInvalid, codes.InvalidArgument, "INVALID"},
	{ErrConflict, codes.Aborted, "CONFLICT"},
	{ErrPrecondition, codes.FailedPrecondition, "PRECONDITION"},
	{ErrExhausted, codes.ResourceExhausted, "EXHAUSTED"},
	{context.Canceled, codes.Canceled, "CANCELED"},
	{context.DeadlineExceeded, codes.DeadlineExceeded, "DEADLINE"},
	{ErrUnavailable, codes.Unavailable, "UNAVAILABLE"},
}

// statusOf turns what a method returned into what the client gets. Nothing else in the daemon makes a status for a
// client; those that gRPC made (of a broken stream, of a message that cannot be decoded) pass as they are.
func statusOf(err error) error {
	if err == nil {
		return nil
	}
	if made, ok := err.(interface{ GRPCStatus() *status.Status }); ok {
		return made.GRPCStatus().Err()
	}
	code, reason := classify(err)
	info := &errdetails.ErrorInfo{Reason: reason, Domain: domain}
	if op := (*rows.OpError)(nil); errors.As(err, &op) {
		info.Metadata = map[string]string{"operation": strconv.Itoa(op.Op + 1)}
	}
	st, detailErr := status.New(code, err.Error()).WithDetails(info)
	if detailErr != nil {
		return status.Error(code, err.Error())
	}
	return st.Err()
}

// classify returns how an error looks to a client.
func classify(err error) (code codes.Code, reason string) {
	for _, o := range outcomes {
		if errors.Is(err, o.err) {
			return o.code, o.reason
		}
	}
	return codes.Internal, "INTERNAL"
}

// missing is told about a thing that does not exist and about one that the caller may not know of, in the same words.
func missing(sentinel error, name fmt.Stringer) error {
	return fmt.Errorf("%w: %s, or no access to it", sentinel, name)
}
