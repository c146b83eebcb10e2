package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
	"github.com/syncbase/syncbase/sdk/client"
)

// commitEach sends each of the commits in a message of its own, all before it asks for answers.
func commitEach(ctx context.Context, c nodev1.NodeServiceClient, db string, commits ...[]*nodev1.Op) (outcomes []*nodev1.CommitOutcome, err error) {
	stream, err := c.CommitEach(ctx)
	for _, ops := range commits {
		if err == nil {
			err = stream.Send(&nodev1.CommitEachRequest{Database: db, Commits: []*nodev1.IndependentCommit{{Ops: ops}}})
			db = ""
		}
	}
	if err == nil {
		err = stream.CloseSend()
	}
	for err == nil {
		var resp *nodev1.CommitEachResponse
		resp, err = stream.Recv()
		outcomes = append(outcomes, resp.GetOutcomes()...)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return outcomes, err
}

// outcomeErr is the error that a call would have returned.
func outcomeErr(o *nodev1.CommitOutcome) error {
	if o.GetCode() == 0 {
		return nil
	}
	st, err := status.New(codes.Code(o.GetCode()), o.GetError()).WithDetails(&errdetails.ErrorInfo{Reason: o.GetReason(), Domain: domain})
	if err != nil {
		return err
	}
	return st.Err()
}

func checkAbsent(key string) *nodev1.Op {
	return &nodev1.Op{Op: &nodev1.Op_Check{Check: &nodev1.Check{
		Collection: "home.local/owner:c", Key: key, Expected: &nodev1.Check_Absent{Absent: true},
	}}}
}

// Each commit of a stream sees those before it, and stands or falls alone.
func TestCommitsOfAStreamAreIndependent(t *testing.T) {
	w := newWorld(t)
	w.collection("db", "c")
	db := "home.local/owner:db"
	outcomes, err := commitEach(as(t.Context(), owner), w.raw, db,
		[]*nodev1.Op{checkAbsent("k"), put("k", "1")},
		[]*nodev1.Op{checkAbsent("k"), put("k", "2")},
		[]*nodev1.Op{put("bad", "not JSON")},
		nil,
		[]*nodev1.Op{put("l", "3")},
	)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range outcomes {
		got = append(got, fmt.Sprint(reasonOf(outcomeErr(o)), " ", o.GetOperation(), " ", len(o.GetVersions())))
	}
	if want := "[OK 0 2 Aborted CONFLICT 1 0 InvalidArgument INVALID 1 0 InvalidArgument INVALID 0 0 OK 0 1]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
	for key, want := range map[string]string{"k": "1", "l": "3"} {
		row, err := w.raw.Get(as(t.Context(), owner), &nodev1.GetRequest{Database: db, Collection: "home.local/owner:c", Key: key})
		if err != nil || string(row.GetRow().GetValue()) != want {
			t.Errorf("%s: %s, %v; want %s", key, row.GetRow().GetValue(), err, want)
		}
	}
}

func TestDatabaseOfAStream(t *testing.T) {
	w := newWorld(t)
	w.collection("db", "c")
	for name, messages := range map[string][]*nodev1.CommitEachRequest{
		"none":      {{}},
		"two times": {{Database: "home.local/owner:db"}, {Database: "home.local/owner:db"}},
	} {
		stream, err := w.raw.CommitEach(as(t.Context(), owner))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range messages {
			if err := stream.Send(m); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := stream.Recv(); reasonOf(err) != "InvalidArgument INVALID" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A tag that is taken away counts from the next message of a stream that is open.
func TestAccessIsDecidedWithinAStream(t *testing.T) {
	w := newWorld(t)
	c := w.collection("db", "c")
	stream, err := w.raw.CommitEach(as(t.Context(), friend))
	if err != nil {
		t.Fatal(err)
	}
	want := func(database, reason string) {
		t.Helper()
		if err := stream.Send(&nodev1.CommitEachRequest{Database: database, Commits: []*nodev1.IndependentCommit{{Ops: []*nodev1.Op{put("k", "1")}}}}); err != nil {
			t.Fatal(err)
		}
		resp, err := stream.Recv()
		if err != nil || len(resp.GetOutcomes()) != 1 || reasonOf(outcomeErr(resp.GetOutcomes()[0])) != reason {
			t.Errorf("%v, %v; want %s", resp, err, reason)
		}
	}
	want("home.local/owner:db", "NotFound NO_DATABASE")
	all := client.Access{In: []string{string(owner)}}
	both := client.Access{In: []string{string(owner), string(friend)}}
	if _, err := w.client().Database("db").SetPermissions(t.Context(), client.Permissions{"Admin": all, "Read": both, "Write": all, "Resolve": all}, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := c.SetPermissions(t.Context(), client.Permissions{"Admin": all, "Read": both, "Write": both}, ""); err != nil {
		t.Fatal(err)
	}
	want("", "OK")
	if _, err := c.SetPermissions(t.Context(), client.Permissions{"Admin": all, "Read": both, "Write": all}, ""); err != nil {
		t.Fatal(err)
	}
	want("", "PermissionDenied NO_ACCESS")
}

// A daemon that stops answers what it has applied, and ends the stream in order.
func TestDrainEndsStreamsOfCommits(t *testing.T) {
	w := newWorld(t)
	w.collection("db", "c")
	stream, err := w.raw.CommitEach(as(t.Context(), owner))
	if err != nil {
		t.Fatal(err)
	}
	sent := make(chan int)
	go func() {
		for i := 0; ; i++ {
			m := &nodev1.CommitEachRequest{Commits: []*nodev1.IndependentCommit{{Ops: []*nodev1.Op{put(fmt.Sprintf("%06d", i), "1")}}}}
			if i == 0 {
				m.Database = "home.local/owner:db"
			}
			if stream.Send(m) != nil {
				sent <- i
				return
			}
		}
	}()
	answered := 0
	for {
		resp, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range resp.GetOutcomes() {
			if err := outcomeErr(o); err != nil {
				t.Fatal(err)
			}
			if answered++; answered == 100 {
				w.server.Drain()
			}
		}
	}
	<-sent
	keys, err := w.raw.Scan(as(t.Context(), owner), &nodev1.ScanRequest{Database: "home.local/owner:db", Collection: "home.local/owner:c", KeysOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for {
		resp, err := keys.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		rows += len(resp.GetRows())
	}
	if rows != answered {
		t.Errorf("%d commits were answered, and %d applied", answered, rows)
	}
}

// Many callers of one client put rows while the daemon is restarted: what was acknowledged is there, and those that were
// refused may try again.
func TestManyCallersOfOneClient(t *testing.T) {
	w := newWorld(t)
	c := w.collection("db", "c")
	const callers, each = 32, 40
	var all sync.WaitGroup
	half := make(chan struct{}, callers)
	for n := range callers {
		all.Go(func() {
			for i := range each {
				if i == each/2 {
					half <- struct{}{}
				}
				key := fmt.Sprintf("%02d/%02d", n, i)
				version, err := c.Put(t.Context(), key, key)
				for tries := 0; errors.Is(err, client.ErrUnavailable) && tries < 10_000; tries++ {
					version, err = c.Put(t.Context(), key, key)
				}
				if err != nil || version == "" {
					t.Errorf("%s: %q, %v", key, version, err)
					return
				}
			}
		})
	}
	for range callers {
		<-half
	}
	w.restart()
	all.Wait()
	rows := 0
	for row, err := range c.Scan(t.Context(), client.Range{}) {
		var value string
		if err == nil {
			err = row.Decode(&value)
		}
		if err != nil || value != row.Key {
			t.Fatalf("%s holds %q, %v", row.Key, value, err)
		}
		rows++
	}
	if rows != callers*each {
		t.Errorf("%d rows, want %d", rows, callers*each)
	}
}
