package api

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
)

// drain reads a stream to its end.
func drain[M any](stream grpc.ServerStreamingClient[M], err error) error {
	for err == nil {
		_, err = stream.Recv()
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// first reads one message of a stream that has no end.
func first[M any](ctx context.Context, open func(context.Context) (grpc.ServerStreamingClient[M], error)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := open(ctx)
	if err == nil {
		_, err = stream.Recv()
	}
	return err
}

// must makes of a unary call what the table wants.
func must[M any](_ M, err error) error { return err }

// access is what callers get of a method: each of them in code and reason.
type access struct {
	method string
	call   func(ctx context.Context, c nodev1.NodeServiceClient) error
	// owner of everything; a guest with one tag (Resolve) on the database; a reader with Read on database and collection;
	// a writer with Write there; a stranger without a tag.
	owner, guest, reader, writer, stranger string
}

const (
	ok      = "OK"
	refused = "PermissionDenied NO_ACCESS"
	hidden  = "NotFound NO_DATABASE"
	noColl  = "NotFound NO_COLLECTION"
	noSG    = "NotFound NOT_FOUND"
)

// The rows are in an order that leaves what later ones need; what destroys comes last.
var accesses = []access{
	{"Status", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.Status(ctx, &nodev1.StatusRequest{}))
	}, ok, refused, refused, refused, refused},
	{"CreateDatabase", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.CreateDatabase(ctx, &nodev1.CreateDatabaseRequest{Database: "fresh"}))
	}, ok, refused, refused, refused, refused},
	{"ListDatabases", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return drain(c.ListDatabases(ctx, &nodev1.ListDatabasesRequest{}))
	}, ok, ok, ok, ok, ok},
	{"GetPermissions", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.GetPermissions(ctx, &nodev1.GetPermissionsRequest{Database: "home.local/owner:db"}))
	}, ok, refused, refused, refused, hidden},
	{"SetPermissions", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.SetPermissions(ctx, &nodev1.SetPermissionsRequest{Database: "home.local/owner:db", Permissions: shared(perm.DatabaseTags).Marshal()}))
	}, ok, refused, refused, refused, hidden},
	{"GetDatabase", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.GetDatabase(ctx, &nodev1.GetDatabaseRequest{Database: "home.local/owner:db"}))
	}, ok, ok, ok, ok, hidden},
	{"UpdateDatabase", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.UpdateDatabase(ctx, &nodev1.UpdateDatabaseRequest{Database: "home.local/owner:db"}))
	}, ok, refused, refused, refused, hidden},
	{"SetSchema", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.SetSchema(ctx, &nodev1.SetSchemaRequest{
			Database: "home.local/owner:db", Schema: &nodev1.Schema{Version: nextVersion(), Policy: []byte(`{"rules":[]}`)},
		}))
	}, ok, refused, refused, refused, hidden},
	{"GetSchema", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		err := must(c.GetSchema(ctx, &nodev1.GetSchemaRequest{Database: "home.local/owner:db"}))
		if reasonOf(err) == "NotFound NO_SCHEMA" {
			return nil // the owner, who sets it, comes last
		}
		return err
	}, ok, refused, ok, refused, hidden},
	{"CreateCollection", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.CreateCollection(ctx, &nodev1.CreateCollectionRequest{Database: "home.local/owner:db", Collection: "mine"}))
	}, ok, refused, refused, ok, hidden},
	{"ListCollections", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return drain(c.ListCollections(ctx, &nodev1.ListCollectionsRequest{Database: "home.local/owner:db"}))
	}, ok, refused, ok, refused, hidden},
	{"Commit", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.Commit(ctx, &nodev1.CommitRequest{Database: "home.local/owner:db", Ops: []*nodev1.Op{put("k", "1")}}))
	}, ok, noColl, refused, ok, hidden},
	{"CommitEach", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		outcomes, err := commitEach(ctx, c, "home.local/owner:db", []*nodev1.Op{put("k", "1")})
		if err != nil {
			return err
		}
		return outcomeErr(outcomes[0])
	}, ok, noColl, refused, ok, hidden},
	{"Get", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.Get(ctx, &nodev1.GetRequest{Database: "home.local/owner:db", Collection: "home.local/owner:c", Key: "k"}))
	}, ok, noColl, ok, refused, hidden},
	{"Scan", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return drain(c.Scan(ctx, &nodev1.ScanRequest{Database: "home.local/owner:db", Collection: "home.local/owner:c"}))
	}, ok, noColl, ok, refused, hidden},
	{"DeleteRange", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.DeleteRange(ctx, &nodev1.DeleteRangeRequest{Database: "home.local/owner:db", Collection: "home.local/owner:c", Prefix: "range/"}))
	}, ok, noColl, refused, ok, hidden},
	{"BeginBatch", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		_, err := begin(ctx, c)
		return err
	}, ok, ok, ok, ok, hidden},
	{"WriteBatch", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		batch, err := begin(ctx, c)
		if err != nil {
			return err
		}
		return must(c.WriteBatch(ctx, &nodev1.WriteBatchRequest{Batch: batch, Ops: []*nodev1.Op{put("k", "1")}}))
	}, ok, noColl, refused, ok, hidden},
	{"CommitBatch", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		batch, err := begin(ctx, c)
		if err != nil {
			return err
		}
		return must(c.CommitBatch(ctx, &nodev1.CommitBatchRequest{Batch: batch}))
	}, ok, ok, ok, ok, hidden},
	{"AbortBatch", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		batch, err := begin(ctx, c)
		if err != nil {
			return err
		}
		return must(c.AbortBatch(ctx, &nodev1.AbortBatchRequest{Batch: batch}))
	}, ok, ok, ok, ok, hidden},
	{"Watch", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return first(ctx, func(ctx context.Context) (grpc.ServerStreamingClient[nodev1.WatchResponse], error) {
			return c.Watch(ctx, &nodev1.WatchRequest{Database: "home.local/owner:db", Collection: "home.local/owner:c"})
		})
	}, ok, noColl, ok, refused, hidden},
	{"History", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.History(ctx, &nodev1.HistoryRequest{Database: "home.local/owner:db", Collection: "home.local/owner:c", Key: "k"}))
	}, ok, noColl, ok, refused, hidden},
	{"ListConflicts", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return drain(c.ListConflicts(ctx, &nodev1.ListConflictsRequest{Database: "home.local/owner:db"}))
	}, ok, refused, ok, refused, hidden},
	{"ResolveConflicts", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.ResolveConflicts(ctx, &nodev1.ResolveConflictsRequest{Database: "home.local/owner:db", Resolutions: []*nodev1.Resolution{
			{Collection: "home.local/owner:c", Key: "k", Result: &nodev1.Resolution_Delete{Delete: true}},
		}}))
	}, "NotFound NO_CONFLICT", noColl, refused, "NotFound NO_CONFLICT", hidden},
	{"ServeConflicts", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := c.ServeConflicts(ctx)
		if err != nil {
			return err
		}
		first := &nodev1.ServeConflictsRequest{Message: &nodev1.ServeConflictsRequest_Database{Database: "home.local/owner:db"}}
		if err := stream.Send(first); err != nil {
			return err
		}
		if header, err := stream.Header(); err == nil && header != nil {
			return nil // it has a seat
		}
		if err := stream.CloseSend(); err != nil {
			return err
		}
		if _, err = stream.Recv(); errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}, ok, refused, refused, refused, hidden},
	{"CreateSyncgroup", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.CreateSyncgroup(ctx, &nodev1.CreateSyncgroupRequest{
			Database: "home.local/owner:db", Syncgroup: "sg",
			Collections: []*nodev1.SyncgroupCollection{{Collection: "home.local/owner:c"}},
		}))
	}, ok, refused, refused, refused, hidden},
	{"JoinSyncgroup", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.JoinSyncgroup(ctx, &nodev1.JoinSyncgroupRequest{Database: "home.local/owner:db", Syncgroup: "other"}))
	}, ok, refused, refused, ok, hidden},
	{"ListSyncgroups", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return drain(c.ListSyncgroups(ctx, &nodev1.ListSyncgroupsRequest{Database: "home.local/owner:db"}))
	}, ok, refused, ok, refused, hidden},
	{"ListMembers", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return drain(c.ListMembers(ctx, &nodev1.ListMembersRequest{Database: "home.local/owner:db", Syncgroup: "home.local/owner:sg"}))
	}, ok, noSG, refused, refused, hidden},
	{"GetSyncgroupSpec", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.GetSyncgroupSpec(ctx, &nodev1.GetSyncgroupSpecRequest{Database: "home.local/owner:db", Syncgroup: "home.local/owner:sg"}))
	}, ok, noSG, refused, refused, hidden},
	{"SetSyncgroupSpec", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.SetSyncgroupSpec(ctx, &nodev1.SetSyncgroupSpecRequest{Database: "home.local/owner:db", Syncgroup: "home.local/owner:sg", Spec: []byte("{}")}))
	}, ok, noSG, refused, refused, hidden},
	{"LeaveSyncgroup", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.LeaveSyncgroup(ctx, &nodev1.LeaveSyncgroupRequest{Database: "home.local/owner:db", Syncgroup: "home.local/owner:sg"}))
	}, ok, refused, refused, ok, hidden},
	{"DestroySyncgroup", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.DestroySyncgroup(ctx, &nodev1.DestroySyncgroupRequest{Database: "home.local/owner:db", Syncgroup: "home.local/owner:sg"}))
	}, ok, refused, refused, refused, hidden},
	{"EjectMember", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.EjectMember(ctx, &nodev1.EjectMemberRequest{Database: "home.local/owner:db", Syncgroup: "home.local/owner:sg", Member: "laptop"}))
	}, ok, noSG, refused, refused, hidden},
	{"AllowMember", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.AllowMember(ctx, &nodev1.AllowMemberRequest{Database: "home.local/owner:db", Syncgroup: "home.local/owner:sg", Member: "laptop"}))
	}, ok, noSG, refused, refused, hidden},
	{"ListInvitations", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return drain(c.ListInvitations(ctx, &nodev1.ListInvitationsRequest{Database: "home.local/owner:db"}))
	}, ok, refused, ok, refused, hidden},
	{"DeclineInvitation", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.DeclineInvitation(ctx, &nodev1.DeclineInvitationRequest{Database: "home.local/owner:db", Syncgroup: "other"}))
	}, ok, refused, refused, ok, hidden},
	{"WaitSyncgroup", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.WaitSyncgroup(ctx, &nodev1.WaitSyncgroupRequest{Database: "home.local/owner:db", Syncgroup: "home.local/owner:sg"}))
	}, ok, noSG, refused, refused, hidden},
	{"ListPeers", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return drain(c.ListPeers(ctx, &nodev1.ListPeersRequest{}))
	}, ok, refused, refused, refused, refused},
	{"ListRefused", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return drain(c.ListRefused(ctx, &nodev1.ListRefusedRequest{Database: "home.local/owner:db"}))
	}, ok, refused, refused, refused, hidden},
	{"RetryRefused", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.RetryRefused(ctx, &nodev1.RetryRefusedRequest{Database: "home.local/owner:db"}))
	}, ok, refused, refused, refused, hidden},
	{"DiscardRefused", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		err := must(c.DiscardRefused(ctx, &nodev1.DiscardRefusedRequest{Database: "home.local/owner:db", Id: 1}))
		if reasonOf(err) == "NotFound NOT_FOUND" {
			return nil // nothing is refused
		}
		return err
	}, ok, refused, refused, refused, hidden},
	{"PutBlob", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		stream, err := c.PutBlob(ctx)
		if err == nil {
			err = stream.Send(&nodev1.PutBlobRequest{Database: "home.local/owner:db", Data: []byte("data")})
		}
		if err == nil {
			_, err = stream.CloseAndRecv()
		}
		return err
	}, ok, refused, refused, ok, hidden},
	{"GetBlob", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return drain(c.GetBlob(ctx, &nodev1.GetBlobRequest{Database: "home.local/owner:db", Ref: fakeRef}))
	}, ok, refused, ok, refused, hidden},
	{"FetchBlob", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return drain(c.FetchBlob(ctx, &nodev1.FetchBlobRequest{Database: "home.local/owner:db", Ref: fakeRef}))
	}, ok, refused, ok, refused, hidden},
	{"StatBlob", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.StatBlob(ctx, &nodev1.StatBlobRequest{Database: "home.local/owner:db", Ref: fakeRef}))
	}, ok, refused, ok, refused, hidden},
	{"ListBlobs", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return drain(c.ListBlobs(ctx, &nodev1.ListBlobsRequest{Database: "home.local/owner:db"}))
	}, ok, refused, ok, refused, hidden},
	{"ListPlugins", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return drain(c.ListPlugins(ctx, &nodev1.ListPluginsRequest{}))
	}, ok, refused, refused, refused, refused},
	{"ShowIdentity", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.ShowIdentity(ctx, &nodev1.ShowIdentityRequest{}))
	}, ok, refused, refused, refused, refused},
	{"Doctor", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return drain(c.Doctor(ctx, &nodev1.DoctorRequest{}))
	}, ok, refused, refused, refused, refused},
	{"AdjustClock", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.AdjustClock(ctx, &nodev1.AdjustClockRequest{}))
	}, ok, refused, refused, refused, refused},
	{"Backup", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.Backup(ctx, &nodev1.BackupRequest{Directory: "/backup"}))
	}, ok, refused, refused, refused, refused},
	{"DestroyCollection", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.DestroyCollection(ctx, &nodev1.DestroyCollectionRequest{Database: "home.local/owner:db", Collection: "home.local/owner:c"}))
	}, ok, noColl, refused, refused, hidden},
	{"DestroyDatabase", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.DestroyDatabase(ctx, &nodev1.DestroyDatabaseRequest{Database: "home.local/owner:db"}))
	}, ok, refused, refused, refused, hidden},
}

func put(key, value string) *nodev1.Op {
	return &nodev1.Op{Op: &nodev1.Op_Put{Put: &nodev1.Put{Collection: "home.local/owner:c", Key: key, Value: []byte(value)}}}
}

// begin opens a batch on the database of the table.
func begin(ctx context.Context, c nodev1.NodeServiceClient) (string, error) {
	resp, err := c.BeginBatch(ctx, &nodev1.BeginBatchRequest{Database: "home.local/owner:db"})
	return resp.GetBatch(), err
}

// schemaVersion grows with every call of nextVersion.
var schemaVersion atomic.Uint32

func nextVersion() uint32 { return schemaVersion.Add(1) }

// shared is the list of the table: the owner has all tags, the others one each.
func shared(tags []perm.Tag) perm.List {
	l := perm.For(owner, tags)
	grant := func(tag perm.Tag, to perm.Pattern) {
		if a, found := l[tag]; found {
			a.In = append(a.In, to)
			l[tag] = a
		}
	}
	grant(perm.Resolve, "friends.local/guest")
	grant(perm.Read, "friends.local/reader")
	grant(perm.Write, "friends.local/writer")
	return l
}

func TestAccess(t *testing.T) {
	w := newWorld(t)
	checkAccess(t, w, w.raw)
}

// checkAccess makes the calls of the table over a client.
func checkAccess(t *testing.T, w *world, asked nodev1.NodeServiceClient) {
	t.Helper()
	ctx := t.Context()
	c := w.collection("db", "c")
	if _, err := c.Put(ctx, "k", 1); err != nil {
		t.Fatal(err)
	}
	_, err := w.raw.SetPermissions(ctx, &nodev1.SetPermissionsRequest{Database: "db", Collection: "c", Permissions: shared(perm.CollectionTags).Marshal()})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.raw.SetPermissions(ctx, &nodev1.SetPermissionsRequest{Database: "db", Permissions: shared(perm.DatabaseTags).Marshal()})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range accesses {
		// The owner comes last: what it destroys is there for the others to be refused.
		for _, who := range []struct {
			principal id.Principal
			want      string
		}{
			{"", "Unauthenticated ANONYMOUS"},
			{"friends.local/guest", a.guest}, {"friends.local/reader", a.reader}, {"friends.local/writer", a.writer},
			{"elsewhere.local/x", a.stranger}, {owner, a.owner},
		} {
			if got := trimmed(a.call(as(ctx, who.principal), asked)); got != who.want {
				t.Errorf("%s by %q: %s, want %s", a.method, who.principal, got, who.want)
			}
		}
	}
}

func trimmed(err error) string {
	if err == nil {
		return ok
	}
	return reasonOf(err)
}

// TestAccessIsComplete fails when a method is added without a row in the table.
func TestAccessIsComplete(t *testing.T) {
	var inTable, inService []string
	for _, a := range accesses {
		inTable = append(inTable, a.method)
	}
	for _, m := range nodev1.NodeService_ServiceDesc.Methods {
		inService = append(inService, m.MethodName)
	}
	for _, s := range nodev1.NodeService_ServiceDesc.Streams {
		inService = append(inService, s.StreamName)
	}
	for _, name := range inService {
		if !slices.Contains(inTable, name) {
			t.Errorf("%s has no row in the table of accesses", name)
		}
	}
	if len(inTable) != len(inService) {
		t.Errorf("%d rows for %d methods", len(inTable), len(inService))
	}
}

// TestHiddenLooksAbsent compares what a stranger hears of a database that exists with one that does not.
func TestHiddenLooksAbsent(t *testing.T) {
	w := newWorld(t)
	w.collection("db", "c")
	ctx := as(t.Context(), friend)
	ask := func(db string) string {
		_, err := w.raw.Get(ctx, &nodev1.GetRequest{Database: "home.local/owner:" + db, Collection: "c", Key: "k"})
		return err.Error()
	}
	there, absent := ask("db"), ask("xx")
	if want := `rpc error: code = NotFound desc = no such database: home.local/owner:db, or no access to it`; there != want {
		t.Errorf("hidden: %s, want %s", there, want)
	}
	if want := `rpc error: code = NotFound desc = no such database: home.local/owner:xx, or no access to it`; absent != want {
		t.Errorf("absent: %s, want %s", absent, want)
	}
}

// TestNamesBelongToOwners refuses to make something under the name of another principal.
func TestNamesBelongToOwners(t *testing.T) {
	w := newWorld(t)
	w.collection("db", "c")
	ctx := t.Context()
	for what, err := range map[string]error{
		"collection": must(w.raw.CreateCollection(ctx, &nodev1.CreateCollectionRequest{Database: "db", Collection: "friends.local/anna:c"})),
		"syncgroup": must(w.raw.CreateSyncgroup(ctx, &nodev1.CreateSyncgroupRequest{
			Database: "db", Syncgroup: "friends.local/anna:sg", Collections: []*nodev1.SyncgroupCollection{{Collection: "c"}},
		})),
	} {
		if got := reasonOf(err); got != refused {
			t.Errorf("%s of another: %s, want %s", what, got, refused)
		}
	}
}
