package client

import (
	"fmt"
	"regexp"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// What the daemon takes at most. What is beyond is refused here: it may not even fit into a message.
const (
	maxBatchOps   = 100_000
	maxBatchBytes = 32 << 20
	maxValueBytes = 4 << 20
	// maxMessageBytes admits the largest messages of a daemon.
	maxMessageBytes = 48 << 20
	// opOverhead is more than an operation takes in a message beside its texts and its value.
	opOverhead = 64
)

// tooLargeReason is what the daemon calls it, too.
const tooLargeReason = "INVALID"

func excessive(format string, args ...any) error {
	return &Error{Message: fmt.Sprintf(format, args...), Reason: tooLargeReason, kind: ErrInvalid}
}

// fits refuses operations of a batch that are more than the daemon takes, or than fits into one message. It returns the size of their
// keys and values.
func fits(req proto.Message, ops []*nodev1.Op) (size int, err error) {
	if len(ops) > maxBatchOps {
		return 0, excessive("a batch of %d operations, the limit is %d", len(ops), maxBatchOps)
	}
	message := 0
	for i, op := range ops {
		names, content := 0, 0
		switch op := op.GetOp().(type) {
		case *nodev1.Op_Put:
			names, content = len(op.Put.GetCollection())+len(op.Put.GetType()), len(op.Put.GetKey())+len(op.Put.GetValue())
			if n := len(op.Put.GetValue()); n > maxValueBytes {
				return 0, &Error{
					Message: atOperation(i, ops, fmt.Sprintf("a value of %d bytes for %q, the limit is %d; larger things belong into a blob", n, op.Put.GetKey(), maxValueBytes)),
					Reason:  tooLargeReason, Operation: i + 1, kind: ErrInvalid,
				}
			}
		case *nodev1.Op_Delete:
			names, content = len(op.Delete.GetCollection()), len(op.Delete.GetKey())
		case *nodev1.Op_Check:
			// What a check compares with is no part of what the daemon counts.
			names, content = len(op.Check.GetCollection())+len(op.Check.GetType())+len(op.Check.GetValue()), len(op.Check.GetKey())
		}
		size += content
		message += names + content + opOverhead
	}
	if size > maxBatchBytes {
		return 0, excessive("a batch of %d bytes of keys and values, the limit is %d; make several", size, maxBatchBytes)
	}
	if message > maxMessageBytes {
		message = proto.Size(req)
	}
	if message > maxMessageBytes {
		return 0, excessive("a batch that takes %d bytes with the names and what is checked, the limit is %d; make several", message, maxMessageBytes)
	}
	return size, nil
}

// atOperation names the operation that a message is about, if there are several.
func atOperation(i int, ops []*nodev1.Op, text string) string {
	if len(ops) == 1 {
		return text
	}
	return fmt.Sprintf("operation %d: %s", i+1, text)
}

// tooLarge is how gRPC says on either side that a message is too large.
var tooLarge = regexp.MustCompile(`message larger than max \((\d+) vs\. (\d+)\)$`)

// largeRequest says in plain words that a call was too large to be made.
func largeRequest(st *status.Status) (text string, is bool) {
	m := tooLarge.FindStringSubmatch(st.Message())
	if m == nil || st.Code() != codes.ResourceExhausted {
		return "", false
	}
	return fmt.Sprintf("a message of %s bytes, the limit is %s", m[1], m[2]), true
}
