package client

import (
	"errors"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// TestNotUTF8 wants the text named that keeps a request from being sent, wherever in it that stands.
func TestNotUTF8(t *testing.T) {
	put := &nodev1.Op{Op: &nodev1.Op_Put{Put: &nodev1.Put{Collection: "c", Key: "\xff"}}}
	for want, req := range map[string]proto.Message{
		`database "a\xff" is not UTF-8`: &nodev1.GetRequest{Database: "a\xff", Collection: "c", Key: "k"},
		`key "\xff" is not UTF-8`:       &nodev1.CommitRequest{Database: "d", Ops: []*nodev1.Op{put}},
	} {
		_, err := proto.Marshal(req)
		if err == nil {
			t.Fatalf("%v can be sent", req)
		}
		c := &Client{}
		got := c.failure(explain(status.Error(codes.Internal, err.Error()), req))
		if got.Error() != want || !errors.Is(got, ErrInvalid) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	said := status.Error(codes.Internal, "broken")
	if got := explain(said, &nodev1.GetRequest{Database: "a"}); !errors.Is(got, said) {
		t.Errorf("an error of the daemon became %v", got)
	}
}
