package hosttest_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/hosttest"
	"github.com/syncbase/syncbase/host/internal/chunk"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// reference: sync-035 whoever gets rows that refer to blobs knows where these probably are: at who wrote the row and at who sent it,
// for each row and for those of a batch; of what nothing refers to it knows nothing.
func TestWhereBlobsAreIsKnownAfterSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		knows := func(who, other string) bool { return who != "c" && other == "a" || who == "c" && other == "b" }
		c := hosttest.New(t, hosttest.Options{Hosts: []string{"a", "b", "c"}, Knows: knows})
		a, b, far := c.Host("a"), c.Host("b"), c.Host("c")
		a.Create()
		b.Join(a)
		b.Wait()
		far.Join(b)
		var ops []*nodev1.Op
		var refs []string
		for i := range 3 {
			refs = append(refs, chunk.Ref{byte(i + 1)}.String())
			ops = append(ops, hosttest.Put(fmt.Sprint("k", i), fmt.Sprintf(`{"photo":{"$blob":%q}}`, refs[i])))
		}
		a.Commit(ops[0])
		a.Commit(ops[1:]...)
		c.Settle(time.Minute)
		for who, want := range map[*hosttest.Host][]string{b: {"a"}, far: {"a", "b"}} {
			for _, ref := range refs {
				got, err := who.API().StatBlob(t.Context(), &nodev1.StatBlobRequest{Database: hosttest.Database, Ref: ref})
				if err != nil {
					t.Errorf("%s: %v", who.Name(), err)
					continue
				}
				at := slices.Sorted(slices.Values(got.GetBlob().GetLocations()))
				if diff := cmp.Diff(want, at); diff != "" {
					t.Errorf("by what %s knows %s is at (-want +got):\n%s", who.Name(), ref, diff)
				}
			}
			none, err := who.API().StatBlob(t.Context(), &nodev1.StatBlobRequest{Database: hosttest.Database, Ref: chunk.Ref{9}.String()})
			if err == nil {
				t.Errorf("%s says of a blob that nothing refers to: %v", who.Name(), none)
			}
		}
	})
}
