package hosttest_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// setLists replaces the access list of the collection.
func setLists(t *testing.T, h *hosttest.Host, list string) {
	t.Helper()
	resp, err := h.API().SetPermissions(t.Context(), &nodev1.SetPermissionsRequest{
		Database: hosttest.Database, Collection: hosttest.Collection, Permissions: []byte(list),
	})
	mustDo(t, resp, err)
}

// putIn writes a row of any collection.
func putIn(t *testing.T, h *hosttest.Host, db, coll, key, value string) {
	t.Helper()
	put := &nodev1.Op{Op: &nodev1.Op_Put{Put: &nodev1.Put{Collection: coll, Key: key, Value: []byte(value)}}}
	resp, err := h.API().Commit(t.Context(), &nodev1.CommitRequest{Database: db, Ops: []*nodev1.Op{put}})
	mustDo(t, resp, err)
}

// reference: store-117 a write that follows another wins over it, though the clock of its device is behind; of two that know
// nothing of each other the later by the clocks wins.
//
// reference: sync-169 what follows wins whatever the clocks say, and only between concurrent writes they decide.
func TestWhatFollowsWinsOverTheClock(t *testing.T) {
	shared(t, hosttest.Options{}, func(t *testing.T, c *hosttest.Cluster) {
		a, b := c.Host("a"), c.Host("b")
		a.SetClock(40 * time.Second)
		a.Commit(hosttest.Put("followed", `"a"`))
		c.Settle(time.Minute)
		b.Commit(hosttest.Put("followed", `"b"`))
		c.Settle(time.Minute)

		c.Partition([]string{"a"}, []string{"b"})
		a.Commit(hosttest.Put("concurrent", `"a"`))
		time.Sleep(time.Second)
		b.Commit(hosttest.Put("concurrent", `"b"`))
		c.Heal()
		c.Settle(time.Minute)
		for _, h := range c.Hosts() {
			if diff := cmp.Diff(map[string]string{"followed": `"b"`, "concurrent": `"a"`}, h.Rows()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", h.Name(), diff)
			}
		}
	})
}

// reference: store-122 rows and specifications go both ways between two devices over restarts of both, and the rows of another
// syncgroup of the same database, which one of them has not joined, do not.
//
// reference: sync-157 the same, with rows that are new, changed and written before the join.
func TestPairOverRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, hosttest.Options{})
		a, b := c.Host("a"), c.Host("b")
		coll, err := a.API().CreateDatabase(t.Context(), &nodev1.CreateDatabaseRequest{Database: hosttest.Database})
		mustDo(t, coll, err)
		made, err := a.API().CreateCollection(t.Context(), &nodev1.CreateCollectionRequest{Database: hosttest.Database, Collection: hosttest.Collection})
		mustDo(t, made, err)
		a.CreateSyncgroup(hosttest.Syncgroup, "in/")
		a.CreateSyncgroup("decoy", "out/")
		a.Commit(hosttest.Put("in/1", `1`), hosttest.Put("out/1", `1`))
		b.Join(a)
		b.Wait()
		want := map[string]string{"in/1": `1`}
		for round, writer := range []*hosttest.Host{a, b, a} {
			text := fmt.Sprint("round ", round)
			setSpec(t, writer, fmt.Sprintf(`{"description":%q}`, text))
			key := fmt.Sprint("in/new", round)
			want["in/1"], want[key] = fmt.Sprint(round+10), `1`
			writer.Commit(hosttest.Put("in/1", want["in/1"]), hosttest.Put(key, `1`))
			a.Commit(hosttest.Put("out/1", fmt.Sprint(round)))
			for _, h := range c.Hosts() {
				h.Stop()
				h.Start()
			}
			eventually(t, "b has it", func() bool { return maps.Equal(want, b.Rows()) && spec(t, b).Description == text })
			eventually(t, "a has it", func() bool { return a.Rows()["in/1"] == want["in/1"] && spec(t, a).Description == text })
		}
		time.Sleep(time.Minute)
		if diff := cmp.Diff(want, b.Rows()); diff != "" {
			t.Errorf("b (-want +got):\n%s", diff)
		}
	})
}

// reference: store-123 puts and deletes arrive, and a watch where they arrive says that they came by sync.
//
// reference: sync-158 a watcher is shown what others did as such, and what was done here as its own.
func TestWatchSaysWhatCameBySync(t *testing.T) {
	shared(t, hosttest.Options{}, func(t *testing.T, c *hosttest.Cluster) {
		a, b := c.Host("a"), c.Host("b")
		w := b.Watch()
		a.Commit(hosttest.Put("k", `1`))
		c.Settle(time.Minute)
		a.Commit(hosttest.Delete("k"))
		c.Settle(time.Minute)
		b.Commit(hosttest.Put("own", `1`))
		synctest.Wait()
		var got []string
		for _, batch := range w.Batches() {
			for _, ch := range batch.Changes {
				if ch.GetRow() != nil {
					got = append(got, fmt.Sprintf("%s %s %v", ch.GetKind(), ch.GetRow().GetKey(), ch.GetFromSync()))
				}
			}
		}
		want := []string{"CHANGE_KIND_PUT k true", "CHANGE_KIND_DELETE k true", "CHANGE_KIND_PUT own false"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("b was shown (-want +got):\n%s", diff)
		}
	})
}

// reference: store-124 an access list that is changed on one device shuts a client of another one out, and lets it in again.
//
// reference: sync-159 a change of a collection's list takes effect wherever it arrives, as does its end.
func TestAccessChangesFromAfar(t *testing.T) {
	shared(t, hosttest.Options{}, func(t *testing.T, c *hosttest.Cluster) {
		a, b := c.Host("a"), c.Host("b")
		a.Commit(hosttest.Put("k", `1`))
		c.Settle(time.Minute)
		owner := spec(t, a).Permissions["Read"].In[0]
		get := func() error {
			_, err := b.API().Get(t.Context(), &nodev1.GetRequest{Database: hosttest.Database, Collection: hosttest.Collection, Key: "k"})
			return err
		}
		mustDo(t, 0, get())
		setLists(t, a, fmt.Sprintf(`{"Admin":{"in":[%q]}}`, owner))
		eventually(t, "b hears of it", func() bool { return get() != nil })
		wantCode(t, "get on b", get(), codes.PermissionDenied)
		_, err := b.TryCommit(t.Context(), hosttest.Put("k", `2`))
		wantCode(t, "put on b", err, codes.PermissionDenied)
		setLists(t, a, fmt.Sprintf(`{"Admin":{"in":[%[1]q]},"Read":{"in":[%[1]q]},"Write":{"in":[%[1]q]}}`, owner))
		eventually(t, "b may read again", func() bool { return get() == nil })
		b.Commit(hosttest.Put("k", `2`))
		c.Settle(time.Minute)
	})
}

// reference: store-125 a collection in two syncgroups: what a device got through the one goes on to a third through the other.
//
// reference: sync-160 rows from before and after the second syncgroup was made reach a device that the writer never meets.
func TestTwoSyncgroupsOverOneCollection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, three)
		a, b, far := c.Host("a"), c.Host("b"), c.Host("c")
		c.Partition([]string{"a"}, []string{"c"})
		a.Create()
		a.Commit(hosttest.Put("before", `1`))
		b.Join(a)
		b.Wait()
		b.CreateSyncgroup("second", "")
		far.JoinSyncgroup("second", b)
		a.Commit(hosttest.Put("after", `1`))
		eventually(t, "c may write", func() bool { _, err := far.TryCommit(t.Context(), hosttest.Put("back", `1`)); return err == nil })
		want := map[string]string{"before": `1`, "after": `1`, "back": `1`}
		for _, h := range c.Hosts() {
			eventually(t, h.Name()+" has everything", func() bool { return maps.Equal(want, h.Rows()) })
		}
		if n := c.Carried("a", "c"); n > 100_000 {
			t.Errorf("a and c, which are apart, exchanged %d bytes", n)
		}
	})
}

// reference: store-127 several databases, collections and prefixes, each in a syncgroup of its own, sync beside each other.
//
// reference: sync-162 of two databases with two collections with two prefixes everything arrives.
func TestManySyncgroupsBesideEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, hosttest.Options{})
		a, b, ctx := c.Host("a"), c.Host("b"), t.Context()
		each := func(do func(db, coll, prefix, sg string)) {
			for i := range 16 {
				db, coll, prefix := fmt.Sprint("db", i/4), fmt.Sprint("coll", i/2%2), fmt.Sprint("p", i%2, "/")
				do(db, coll, prefix, coll+" "+prefix)
			}
		}
		for i := range 8 {
			if i%2 == 0 {
				db, err := a.API().CreateDatabase(ctx, &nodev1.CreateDatabaseRequest{Database: fmt.Sprint("db", i/2)})
				mustDo(t, db, err)
			}
			coll, err := a.API().CreateCollection(ctx, &nodev1.CreateCollectionRequest{Database: fmt.Sprint("db", i/2), Collection: fmt.Sprint("coll", i%2)})
			mustDo(t, coll, err)
		}
		each(func(db, coll, prefix, sg string) {
			made, err := a.API().CreateSyncgroup(ctx, &nodev1.CreateSyncgroupRequest{
				Database: db, Syncgroup: sg, Collections: []*nodev1.SyncgroupCollection{{Collection: coll, Prefix: prefix}},
			})
			mustDo(t, made, err)
			putIn(t, a, db, coll, prefix+"k", fmt.Sprintf("%q", db+sg))
			joined, err := b.API().JoinSyncgroup(ctx, &nodev1.JoinSyncgroupRequest{Database: db, Syncgroup: sg, Peer: a.Address()})
			mustDo(t, joined, err)
		})
		each(func(db, coll, prefix, sg string) {
			eventually(t, db+" "+sg+" arrives", func() bool {
				row, err := b.API().Get(ctx, &nodev1.GetRequest{Database: db, Collection: coll, Key: prefix + "k"})
				return err == nil && string(row.GetRow().GetValue()) == fmt.Sprintf("%q", db+sg)
			})
		})
	})
}

// joinTogether lets all hosts but the first join at one at the same time, and write what all must have in the end.
func joinTogether(t *testing.T, c *hosttest.Cluster, at *hosttest.Host, newcomers []*hosttest.Host) {
	var all sync.WaitGroup
	for _, h := range newcomers {
		all.Go(func() {
			if err := h.TryJoin(t.Context(), hosttest.Syncgroup, at); err != nil {
				t.Errorf("%s: %v", h.Name(), err)
			}
		})
	}
	all.Wait()
	for _, h := range newcomers {
		h.Wait()
		h.Commit(hosttest.Put("from "+h.Name(), `1`))
	}
}

// reference: sync-163 five devices, four of which join at the same time at the creator: each writes, all have everything and
// know each other.
//
// reference: sync-164 the same at a published copy while the creator is away.
//
// reference: store-128 devices join at the creator or at a server that it published to, and end with the same rows and members.
func TestJoinTogether(t *testing.T) {
	names := []string{"a", "b", "c", "d", "e"}
	shared := func(h *hosttest.Host) bool { return len(h.Rows()) == 4 && members(h) == "a b c d e" }
	t.Run("creator", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := hosttest.New(t, hosttest.Options{Hosts: names})
			c.Host("a").Create()
			joinTogether(t, c, c.Host("a"), c.Hosts()[1:])
			c.Settle(5 * time.Minute)
			wantMembers(t, "a b c d e", c.Hosts()...)
			if n := len(c.Host("a").Rows()); n != 4 {
				t.Errorf("%d rows, want 4", n)
			}
		})
	})
	t.Run("published", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := hosttest.New(t, hosttest.Options{Hosts: names})
			a, server := c.Host("a"), c.Host("b")
			publishAt(t, a, server)
			eventually(t, "it is published", func() bool { return standing(t, a).GetPublish() == "published" })
			server.Wait()
			server.Commit(hosttest.Put("from b", `1`))
			a.Stop()
			joinTogether(t, c, server, c.Hosts()[2:])
			for _, h := range c.Hosts()[1:] {
				eventually(t, h.Name()+" has everything", func() bool { return shared(h) })
			}
			a.Start()
			c.Settle(5 * time.Minute)
		})
	})
}

// reference: sync-166 devices that start one after the other and join what is there, or else create it, end in one syncgroup.
//
// reference: store-128 who finds no syncgroup to join makes it, and the next ones find that.
func TestJoinOrCreate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, three)
		hosts := c.Hosts()
		for _, h := range hosts {
			h.Stop()
		}
		for i, h := range hosts {
			h.Start()
			joined := false
			for _, other := range hosts[:i] {
				joined = joined || h.TryJoin(t.Context(), hosttest.Syncgroup, other) == nil
			}
			if joined != (i > 0) {
				t.Fatalf("%s, the %d. to come, has joined: %v", h.Name(), i+1, joined)
			}
			if joined {
				h.Wait()
			} else {
				wantCode(t, "join of what is not there", h.TryJoin(t.Context(), hosttest.Syncgroup, hosts[1]), codes.Unavailable)
				h.Create()
			}
			h.Commit(hosttest.Put(h.Name(), `1`))
			time.Sleep(10 * time.Second)
		}
		c.Settle(time.Minute)
		wantMembers(t, "a b c", hosts...)
		if n := len(hosts[0].Rows()); n != 3 {
			t.Errorf("%d rows, want 3", n)
		}
	})
}

// reference: store-094 four databases with two collections with two rows each are the same after a stop and after a loss of
// power.
//
// reference: sync-174 data survives both, a batch that was open is unknown afterwards, and a watch goes on after its marker.
func TestEverythingSurvivesRestarts(t *testing.T) {
	for name, end := range map[string]func(*hosttest.Host){"stop": (*hosttest.Host).Stop, "power": (*hosttest.Host).Crash} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := hosttest.New(t, hosttest.Options{Hosts: []string{"a"}})
				a, ctx := c.Host("a"), t.Context()
				var want []string
				for i := range 16 {
					db, coll, key := fmt.Sprint("db", i/4), fmt.Sprint("coll", i/2%2), fmt.Sprint("k", i%2)
					if i%4 == 0 {
						made, err := a.API().CreateDatabase(ctx, &nodev1.CreateDatabaseRequest{Database: db})
						mustDo(t, made, err)
					}
					if i%2 == 0 {
						made, err := a.API().CreateCollection(ctx, &nodev1.CreateCollectionRequest{Database: db, Collection: coll})
						mustDo(t, made, err)
					}
					putIn(t, a, db, coll, key, fmt.Sprint(i))
					want = append(want, fmt.Sprintf("%s %s %s=%d", db, coll, key, i))
				}
				a.Create()
				want = append(want, "db notes before=1")
				slices.Sort(want)
				w := a.Watch()
				synctest.Wait()
				a.Commit(hosttest.Put("before", `1`))
				open, err := a.API().BeginBatch(ctx, &nodev1.BeginBatchRequest{Database: hosttest.Database})
				mustDo(t, open, err)
				synctest.Wait()
				seen := len(w.Batches())
				end(a)
				a.Start()
				if diff := cmp.Diff(want, everything(t, a)); diff != "" {
					t.Errorf("after the restart (-want +got):\n%s", diff)
				}
				_, err = a.API().CommitBatch(ctx, &nodev1.CommitBatchRequest{Batch: open.GetBatch()})
				wantCode(t, "commit of a batch of before", err, codes.NotFound)
				a.Commit(hosttest.Put("after", `1`))
				synctest.Wait()
				if n := len(w.Batches()); n != seen+1 || !maps.Equal(w.State(), map[string]string{"before": `1`, "after": `1`}) {
					t.Errorf("the watch has %v in %d batches", w.State(), n)
				}
			})
		})
	}
}

// everything lists the rows of all databases as "database collection key=value".
func everything(t *testing.T, h *hosttest.Host) (list []string) {
	t.Helper()
	dbs, err := h.API().ListDatabases(t.Context(), &nodev1.ListDatabasesRequest{})
	mustDo(t, dbs, err)
	for db, err := dbs.Recv(); err == nil; db, err = dbs.Recv() {
		colls, err := h.API().ListCollections(t.Context(), &nodev1.ListCollectionsRequest{Database: db.GetDatabase()})
		mustDo(t, colls, err)
		for coll, err := colls.Recv(); err == nil; coll, err = colls.Recv() {
			rows, err := h.API().Scan(t.Context(), &nodev1.ScanRequest{Database: db.GetDatabase(), Collection: coll.GetCollection()})
			mustDo(t, rows, err)
			for m, err := rows.Recv(); err == nil; m, err = rows.Recv() {
				for _, row := range m.GetRows() {
					list = append(list, fmt.Sprintf("%s %s %s=%s", local(db.GetDatabase()), local(coll.GetCollection()), row.GetKey(), row.GetValue()))
				}
			}
		}
	}
	return list
}

// local is a name without its owner.
func local(name string) string { return name[strings.LastIndex(name, ":")+1:] }
