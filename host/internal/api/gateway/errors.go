package gateway

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
)

// failure is how every error looks in HTTP: one JSON object.
type failure struct {
	// Code is the name of a code of gRPC, such as NOT_FOUND.
	Code string `json:"code"`
	// Reason is for programs that branch, such as NO_ROW.
	Reason string `json:"reason"`
	// Message is for people.
	Message string `json:"message"`
	// Details are what the daemon says beyond that, each with its "@type".
	Details []json.RawMessage `json:"details,omitempty"`
	// Resume is the marker after which a watch that failed can go on.
	Resume string `json:"resume,omitempty"`

	// status is what HTTP is told where the code says too little.
	status int
}

func (f *failure) Error() string { return f.Message }

// failureOf says in HTTP what a call returned.
func failureOf(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	st := status.Convert(err)
	f = &failure{Code: code.Code(st.Code()).String(), Message: st.Message()}
	for _, packed := range st.Proto().GetDetails() {
		f.add(packed)
	}
	if f.Reason == "" && st.Code() == codes.InvalidArgument {
		f.Reason = "INVALID"
	}
	if f.Reason == "" {
		f.Reason = f.Code // gRPC itself says no more
	}
	return f
}

func (f *failure) add(packed *anypb.Any) {
	var info errdetails.ErrorInfo
	if packed.UnmarshalTo(&info) == nil && f.Reason == "" {
		f.Reason = info.GetReason()
		if len(info.GetMetadata()) == 0 {
			return
		}
	}
	if text, err := protojson.Marshal(packed); err == nil {
		f.Details = append(f.Details, text)
	}
}

func invalid(message string) *failure {
	return &failure{Code: "INVALID_ARGUMENT", Reason: "INVALID", Message: message}
}

// statuses are what HTTP is told of a code. That something is not possible now is no fault of the request, so
// FAILED_PRECONDITION is a conflict.
var statuses = map[codes.Code]int{
	codes.OK: http.StatusOK, codes.InvalidArgument: http.StatusBadRequest, codes.OutOfRange: http.StatusBadRequest,
	codes.Unauthenticated: http.StatusUnauthorized, codes.PermissionDenied: http.StatusForbidden,
	codes.NotFound: http.StatusNotFound, codes.AlreadyExists: http.StatusConflict, codes.Aborted: http.StatusConflict,
	codes.FailedPrecondition: http.StatusConflict, codes.ResourceExhausted: http.StatusTooManyRequests,
	codes.Canceled: 499, codes.DeadlineExceeded: http.StatusGatewayTimeout, codes.Unavailable: http.StatusServiceUnavailable,
	codes.Unimplemented: http.StatusNotImplemented,
}

// reasonStatuses are for reasons of which HTTP can say more than their code does.
var reasonStatuses = map[string]int{
	"QUOTA": http.StatusInsufficientStorage, "DISK_FULL": http.StatusInsufficientStorage,
	"RANGE": http.StatusRequestedRangeNotSatisfiable,
}

func (f *failure) httpStatus() int {
	if f.status != 0 {
		return f.status
	}
	if s, found := reasonStatuses[f.Reason]; found {
		return s
	}
	if s, found := statuses[codes.Code(code.Code_value[f.Code])]; found {
		return s
	}
	return http.StatusInternalServerError
}

// refuse answers with an error, in place of anything else.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	f := failureOf(err)
	header := w.Header()
	for _, name := range []string{"Content-Length", "Content-Range", "ETag", "Last-Modified", "Transfer-Encoding", typeHeader} {
		header.Del(name)
	}
	s := f.httpStatus()
	if s == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", "Bearer")
	}
	body, _ := json.Marshal(f) // texts and JSON that was checked
	header.Set("Content-Type", jsonType)
	header.Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(s)
	if r.Method != http.MethodHead {
		_, _ = w.Write(append(body, '\n'))
	}
}

// appendFailure appends the last line of a stream of lines that failed.
func appendFailure(b []byte, f *failure) []byte {
	text, _ := json.Marshal(lastLine{f}) // texts and JSON that was checked
	return append(append(b, text...), '\n')
}

// answer writes a small JSON object.
func answer(w http.ResponseWriter, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", jsonType)
	_, _ = w.Write(append(body, '\n'))
	return nil
}
