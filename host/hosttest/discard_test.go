package hosttest_test

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// refusedOn returns what a host lists first.
func refusedOn(t *testing.T, h *hosttest.Host) *nodev1.RefusedCommit {
	t.Helper()
	stream, err := h.API().ListRefused(t.Context(), &nodev1.ListRefusedRequest{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		t.Fatalf("%s lists nothing", h.Name())
	}
	if err != nil {
		t.Fatal(err)
	}
	return m.GetCommit()
}

func versionOf(c *nodev1.RefusedCommit) string {
	return c.GetWriter() + "-" + strconv.FormatUint(c.GetGeneration(), 10)
}

// A commit that one member refuses is discarded there, or given up where it was taken: either way all members come to the rows
// without it, nobody lists it any more, and no comparison finds a difference.
func TestRefusedCommitIsDiscardedOnEitherSide(t *testing.T) {
	for _, at := range []string{"small", "writer", "third"} {
		t.Run(at, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := hosttest.New(t, hosttest.Options{Seed: 1, Hosts: []string{"small", "writer", "third"}})
				c.Share()
				small, writer := c.Host("small"), c.Host("writer")
				writer.Commit(hosttest.Put("old", `1`))
				time.Sleep(10 * time.Second)
				setQuota(t, small, used(t, small)+1000)
				writer.Commit(hosttest.Put("big", strconv.Quote(strings.Repeat("x", 5000))), hosttest.Put("old", `2`))
				time.Sleep(10 * time.Second)
				h := c.Host(at)
				refused := refusedOn(t, h)
				req := &nodev1.DiscardRefusedRequest{Database: hosttest.Database, Id: refused.GetId()}
				if at != "small" {
					req.Version = versionOf(refused)
				}
				if resp, err := h.API().DiscardRefused(t.Context(), req); err != nil || resp.GetRecords() != 2 || resp.GetWritten() != 2 {
					t.Fatalf("discard: %v, %v", resp, err)
				}
				time.Sleep(2 * time.Minute)
				for _, h := range c.Hosts() {
					if diff := cmp.Diff(map[string]string{"old": `1`}, h.Rows()); diff != "" {
						t.Errorf("%s (-want +got):\n%s", h.Name(), diff)
					}
					if list := refusedBy(t, h); len(list) != 0 {
						t.Errorf("%s still lists %v", h.Name(), list)
					}
					h.Wait()
				}
				time.Sleep(15 * time.Minute)
				for _, h := range c.Hosts() {
					if _, divergences := verified(t, h); divergences != 0 {
						t.Errorf("%s finds %d divergences", h.Name(), divergences)
					}
				}
				if _, err := h.API().DiscardRefused(t.Context(), &nodev1.DiscardRefusedRequest{Database: hosttest.Database, Version: versionOf(refused)}); status.Code(err) != codes.NotFound {
					t.Errorf("a second time: %v, want NOT_FOUND", err)
				}
				for _, wrong := range []*nodev1.DiscardRefusedRequest{{}, {Id: 1, Version: versionOf(refused)}, {Version: "nonsense"}} {
					wrong.Database = hosttest.Database
					if _, err := h.API().DiscardRefused(t.Context(), wrong); status.Code(err) != codes.InvalidArgument {
						t.Errorf("%v: %v, want INVALID_ARGUMENT", wrong, err)
					}
				}
			})
		})
	}
}
