package resolver

import (
	"testing"

	"google.golang.org/protobuf/proto"

	resolverv1 "github.com/syncbase/syncbase/sdk/api/resolver/v1"
)

// FuzzConflict wants that what is accepted off the wire is within the bounds, and that no answer off the wire is taken
// that does not fit.
func FuzzConflict(f *testing.F) {
	good := Conflict{Collection: "c", Key: "k", Siblings: []Version{{ID: []byte("a")}, {ID: []byte("b"), Deleted: true}}}
	request, err := proto.Marshal(conflictToProto(good))
	if err != nil {
		f.Fatal(err)
	}
	for _, d := range []Decision{Pick(good.Siblings[1]), Merge("t", []byte("v")), Delete(), Keep()} {
		answer, err := proto.Marshal(decisionToProto(1, d))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(request, answer)
	}
	f.Fuzz(func(t *testing.T, request, answer []byte) {
		var req resolverv1.ResolveRequest
		var resp resolverv1.ResolveResponse
		if proto.Unmarshal(request, &req) != nil || proto.Unmarshal(answer, &resp) != nil {
			return
		}
		c := conflictFromProto(&req)
		if c.Validate() == nil && (len(c.Siblings) < 2 || len(c.Siblings) > MaxSiblings) {
			t.Errorf("accepted %d siblings", len(c.Siblings))
		}
		d, failure := decisionFromProto(&resp)
		if failure == "" && c.Check(d) == nil && d.Choice == 0 {
			t.Error("accepted an answer that decides nothing")
		}
	})
}
