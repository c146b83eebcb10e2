package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
)

// need is a set of tags: on the service, the database, the collection and the syncgroup, with slashes between. X on the
// database is any tag there.
type need string

// levelTags are the letters of the tags of each level.
var levelTags = []string{"ARW", "ARWX", "ARW", "AR"}

const everyTag need = "ARW/ARWX/ARW/AR"

// deed is what a caller may do whose tags are one of the needs.
type deed struct {
	what  string
	call  func(ctx context.Context, c nodev1.NodeServiceClient) error
	needs []need
}

// sufficient are, for the methods that a list decides about, the smallest sets of tags that suffice for the call that the
// table of accesses makes.
var sufficient = map[string][]need{
	"Status": {"A///"}, "ListPeers": {"A///"}, "ListPlugins": {"A///"}, "ShowIdentity": {"A///"}, "Doctor": {"A///"},
	"CreateDatabase": {"W///"}, "DestroyDatabase": {"A///", "/A//"},
	"GetDatabase": {"/X//"}, "UpdateDatabase": {"/A//"}, "GetSchema": {"/R//"}, "SetSchema": {"/A//"},
	"GetPermissions": {"/A//"}, "SetPermissions": {"/A//"},
	"ListCollections": {"/R//"}, "CreateCollection": {"/W//"}, "DestroyCollection": {"/X/A/", "/A//"},
	"BeginBatch": {"/X//"}, "CommitBatch": {"/X//"}, "AbortBatch": {"/X//"}, "WriteBatch": {"/X/W/"},
	"Get": {"/X/R/"}, "Scan": {"/X/R/"}, "History": {"/X/R/"}, "Watch": {"/X/R/"},
	"Commit": {"/X/W/"}, "CommitEach": {"/X/W/"}, "DeleteRange": {"/X/W/"},
	"ListConflicts": {"/R//"}, "ServeConflicts": {"/A//"},
	"PutBlob": {"/W//"}, "GetBlob": {"/R//"}, "FetchBlob": {"/R//"}, "StatBlob": {"/R//"}, "ListBlobs": {"/R//"},
	"ListRefused": {"/A//"}, "RetryRefused": {"/A//"}, "DiscardRefused": {"/A//"},
	"CreateSyncgroup": {"/W/R/"}, "JoinSyncgroup": {"/W//"}, "ListSyncgroups": {"/R//"}, "LeaveSyncgroup": {"/W//"},
	"DestroySyncgroup": {"/W//A"}, "EjectMember": {"/X//A"}, "AllowMember": {"/X//A"}, "SetSyncgroupSpec": {"/X//A"},
	"GetSyncgroupSpec": {"/X//R"}, "ListMembers": {"/X//R"}, "WaitSyncgroup": {"/X//R"},
	"ListInvitations": {"/R//"}, "DeclineInvitation": {"/W//"},
}

// otherwise are the methods that no set of tags decides about: one shows to each what it may know of, two are for the owner
// in person, and of one only the answer to who may is an error too.
var otherwise = []string{"ListDatabases", "Backup", "AdjustClock", "ResolveConflicts"}

const (
	ownersDB = "home.local/owner:db"
	ownersC  = "home.local/owner:c"
)

// deeds are further calls of these methods: on another level, in a batch, or of another kind.
var deeds = []deed{
	{"list of the service", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.GetPermissions(ctx, &nodev1.GetPermissionsRequest{}))
	}, []need{"A///"}},
	{"set the list of the service", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.SetPermissions(ctx, &nodev1.SetPermissionsRequest{Permissions: shared(perm.ServiceTags).Marshal()}))
	}, []need{"A///"}},
	{"list of a collection", inAndOut(func(ctx context.Context, c nodev1.NodeServiceClient, batch string) error {
		return must(c.GetPermissions(ctx, &nodev1.GetPermissionsRequest{Database: ownersDB, Collection: ownersC, Batch: batch}))
	}), []need{"/X/A/"}},
	{"set the list of a collection", inAndOut(func(ctx context.Context, c nodev1.NodeServiceClient, batch string) error {
		return must(c.SetPermissions(ctx, &nodev1.SetPermissionsRequest{
			Database: ownersDB, Collection: ownersC, Batch: batch, Permissions: perm.For(friend, perm.CollectionTags).Marshal(),
		}))
	}), []need{"/X/A/"}},
	{"database of another", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.CreateDatabase(ctx, &nodev1.CreateDatabaseRequest{Database: "friends.local/bob:db"}))
	}, []need{"AW///"}},
	{"quota", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.UpdateDatabase(ctx, &nodev1.UpdateDatabaseRequest{Database: ownersDB, Settings: &nodev1.DatabaseSettings{QuotaBytes: new(uint64)}}))
	}, []need{"A/A//"}},
	{"collections in a batch", within(func(ctx context.Context, c nodev1.NodeServiceClient, batch string) error {
		return drain(c.ListCollections(ctx, &nodev1.ListCollectionsRequest{Database: ownersDB, Batch: batch}))
	}), []need{"/R//"}},
	{"new collection in a batch", within(func(ctx context.Context, c nodev1.NodeServiceClient, batch string) error {
		return must(c.CreateCollection(ctx, &nodev1.CreateCollectionRequest{Database: ownersDB, Collection: "mine", Batch: batch}))
	}), []need{"/W//"}},
	{"end of a collection in a batch", within(func(ctx context.Context, c nodev1.NodeServiceClient, batch string) error {
		return must(c.DestroyCollection(ctx, &nodev1.DestroyCollectionRequest{Database: ownersDB, Collection: ownersC, Batch: batch}))
	}), []need{"/X/A/", "/A//"}},
	{"get in a batch", within(func(ctx context.Context, c nodev1.NodeServiceClient, batch string) error {
		return must(c.Get(ctx, &nodev1.GetRequest{Database: ownersDB, Collection: ownersC, Key: "k", Batch: batch}))
	}), []need{"/X/R/"}},
	{"scan in a batch", within(func(ctx context.Context, c nodev1.NodeServiceClient, batch string) error {
		return drain(c.Scan(ctx, &nodev1.ScanRequest{Database: ownersDB, Collection: ownersC, Batch: batch}))
	}), []need{"/X/R/"}},
	{"delete", inAndOut(writes(&nodev1.Op{Op: &nodev1.Op_Delete{Delete: &nodev1.Delete{Collection: ownersC, Key: "k"}}})), []need{"/X/W/"}},
	{"put with a check", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return writes(put("k", "2"), &nodev1.Op{Op: &nodev1.Op_Check{Check: &nodev1.Check{
			Collection: ownersC, Key: "none", Expected: &nodev1.Check_Absent{Absent: true},
		}}})(ctx, c, "")
	}, []need{"/X/RW/"}},
	{"watch of the database", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return first(ctx, func(ctx context.Context) (grpc.ServerStreamingClient[nodev1.WatchResponse], error) {
			return c.Watch(ctx, &nodev1.WatchRequest{Database: ownersDB})
		})
	}, []need{"/X//"}},
	{"conflicts of a collection", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return drain(c.ListConflicts(ctx, &nodev1.ListConflictsRequest{Database: ownersDB, Collection: ownersC}))
	}, []need{"/X/R/"}},
	{"resolve a conflict", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		err := accessOf("ResolveConflicts")(ctx, c)
		if reasonOf(err) == "NotFound NO_CONFLICT" {
			return nil // there is none
		}
		return err
	}, []need{"/X/W/"}},
	{"join what is here", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return must(c.JoinSyncgroup(ctx, &nodev1.JoinSyncgroupRequest{Database: ownersDB, Syncgroup: "home.local/owner:sg"}))
	}, []need{"/W//R"}},
	{"invitations to anything", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return drain(c.ListInvitations(ctx, &nodev1.ListInvitationsRequest{}))
	}, []need{"R///"}},
	{"what is refused anywhere", func(ctx context.Context, c nodev1.NodeServiceClient) error {
		return drain(c.ListRefused(ctx, &nodev1.ListRefusedRequest{}))
	}, []need{"A///"}},
}

type callInBatch func(ctx context.Context, c nodev1.NodeServiceClient, batch string) error

// within makes a call in a batch of the caller's.
func within(call callInBatch) func(context.Context, nodev1.NodeServiceClient) error {
	return func(ctx context.Context, c nodev1.NodeServiceClient) error {
		batch, err := begin(ctx, c)
		if err != nil {
			return err
		}
		err = call(ctx, c, batch)
		if aborted := must(c.AbortBatch(ctx, &nodev1.AbortBatchRequest{Batch: batch})); err == nil {
			err = aborted
		}
		return err
	}
}

// inAndOut makes a call in a batch and then without one, and wants both to end in the same way.
func inAndOut(call callInBatch) func(context.Context, nodev1.NodeServiceClient) error {
	return func(ctx context.Context, c nodev1.NodeServiceClient) error {
		inside, outside := within(call)(ctx, c), call(ctx, c, "")
		if reasonOf(inside) != reasonOf(outside) {
			return fmt.Errorf("in a batch: %w; outside: %w", inside, outside)
		}
		return outside
	}
}

func writes(ops ...*nodev1.Op) callInBatch {
	return func(ctx context.Context, c nodev1.NodeServiceClient, batch string) error {
		if batch == "" {
			return must(c.Commit(ctx, &nodev1.CommitRequest{Database: ownersDB, Ops: ops}))
		}
		return must(c.WriteBatch(ctx, &nodev1.WriteBatchRequest{Batch: batch, Ops: ops}))
	}
}

func accessOf(method string) func(context.Context, nodev1.NodeServiceClient) error {
	i := slices.IndexFunc(accesses, func(a access) bool { return a.method == method })
	return accesses[i].call
}

// reference: store-033
// For every method, on each level that it has and in a batch if it goes there, each smallest set of tags suffices. With
// one of them taken away or another in its place, on that level alone or beside every other tag there is, the call is
// refused or what it is about is hidden.
func TestSmallestAccess(t *testing.T) {
	all := slices.Clone(deeds)
	for _, a := range accesses {
		if needs, found := sufficient[a.method]; found {
			all = append(all, deed{a.method, a.call, needs})
		} else if !slices.Contains(otherwise, a.method) {
			t.Errorf("%s: nothing is said of what suffices for it", a.method)
		}
	}
	for _, d := range all {
		for _, n := range d.needs {
			t.Run(fmt.Sprintf("%s %s", d.what, n), func(t *testing.T) {
				w := smallestWorld(t)
				for _, less := range d.without(n) {
					if got := w.callWith(d, less); got != refused && got != hidden && got != noColl && got != noSG {
						t.Errorf("with %q: %s", less, got)
					}
				}
				if got := w.callWith(d, n); got != ok {
					t.Errorf("with %q: %s", n, got)
				}
			})
		}
	}
}

// without are the sets that lack one tag of a need, or have another in its place, and do not suffice in another way.
func (d deed) without(n need) (list []need) {
	levels := strings.Split(string(n), "/")
	for i, tags := range levels {
		for _, tag := range tags {
			others := strings.Split(levelTags[i], "")
			if i == 1 && tag == 'X' {
				others = nil
			}
			for _, other := range append(others, "") {
				if strings.Contains(tags, other) && other != "" {
					continue
				}
				changed := slices.Clone(levels)
				changed[i] = strings.Replace(tags, string(tag), other, 1)
				if less := need(strings.Join(changed, "/")); !slices.Contains(d.needs, less) {
					list = append(list, less)
				}
			}
			if len(d.needs) == 1 {
				rest := strings.Split(string(everyTag), "/")
				if rest[i] = strings.ReplaceAll(rest[i], string(tag), ""); others == nil {
					rest[i] = ""
				}
				list = append(list, need(strings.Join(rest, "/")))
			}
		}
	}
	return list
}

func smallestWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	c := w.collection("db", "c")
	_, err := c.Put(t.Context(), "k", 1)
	if err == nil {
		_, _, err = w.client().Database("db").PutBlob(t.Context(), strings.NewReader("data"))
	}
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// callWith says what comes of a call by the friend, who has just these tags.
func (w *world) callWith(d deed, n need) string {
	w.t.Helper()
	levels := strings.Split(string(n), "/")
	w.grantTags(tagsIn(levels[0]), tagsIn(levels[1]), tagsIn(levels[2]))
	list := perm.For(owner, perm.SyncgroupTags)
	for _, tag := range tagsIn(levels[3]) {
		list[tag] = perm.Access{In: append(list[tag].In, perm.Pattern(friend))}
	}
	w.fakes.mu.Lock()
	w.fakes.specs = map[id.Name]NewSyncgroup{{Owner: owner, Local: "sg"}: {Permissions: list}}
	w.fakes.mu.Unlock()
	return trimmed(d.call(as(w.t.Context(), friend), w.raw))
}
