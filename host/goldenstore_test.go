package host_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/syncbase/syncbase/host"
	"github.com/syncbase/syncbase/host/internal/blobs"
	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/syncgroup"
	"github.com/syncbase/syncbase/host/internal/wire"
)

const (
	goldenOwner = id.Principal("home.local/ann")
	goldenPeer  = id.Principal("home.local/ann/device/phone")
)

var (
	goldenDB    = id.Name{Owner: goldenOwner, Local: "notes"}
	goldenOther = id.Name{Owner: "work.local/bob", Local: "notes"}
	goldenTodo  = id.Collection{Name: id.Name{Owner: goldenOwner, Local: "todo"}}
	goldenThing = id.Collection{Name: id.Name{Owner: "work.local/bob", Local: "things"}}
	goldenGroup = id.Name{Owner: goldenOwner, Local: "family"}
)

// goldenStore is a store with all that stands beside it, but plugins and keys.
type goldenStore struct {
	t     testing.TB
	dir   string
	kv    *kv.Store
	rows  *rows.Store
	blobs *blobs.Store
	now   time.Time
}

// openGolden opens DIR/store as the daemon does, with packs in DIR/packs.
func openGolden(t testing.TB, dir string) *goldenStore {
	t.Helper()
	return openGoldenAs(t, dir, id.Device{0xd0, 1})
}

func openGoldenAs(t testing.TB, dir string, device id.Device) *goldenStore {
	t.Helper()
	g := &goldenStore{t: t, dir: dir, now: time.Unix(1_790_000_000, 0)}
	var err error
	g.kv, err = host.OpenStoreForTest(dir)
	g.ok(err)
	g.blobs = blobs.New(g.kv, packFiles(filepath.Join(dir, "packs")))
	g.rows, err = rows.Open(g.kv, rows.Options{
		Now:        func() time.Time { g.now = g.now.Add(time.Second); return g.now },
		NewDevice:  func() id.Device { return device },
		References: g.blobs, Owner: goldenOwner,
	})
	g.ok(err)
	return g
}

func (g *goldenStore) ok(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

func (g *goldenStore) close() { g.ok(g.kv.Close()) }

func (g *goldenStore) db(name id.Name) *rows.DB {
	g.t.Helper()
	db, err := g.rows.Database(name)
	g.ok(err)
	return db
}

func (g *goldenStore) commit(ops ...rows.Op) {
	g.t.Helper()
	_, err := g.db(goldenDB).Commit(ops, nil)
	g.ok(err)
}

// write adds one row, after everything has been looked at.
func (g *goldenStore) write() {
	g.t.Helper()
	g.commit(rows.Op{Collection: goldenTodo, Key: "after", Value: []byte(`true`)})
	row, err := g.db(goldenDB).Get(goldenTodo, "after")
	if err != nil || string(row.Value) != "true" {
		g.t.Errorf("written row: %+v, %v", row, err)
	}
}

// makeGolden fills a directory with something of each kind that a store can hold, some of it in tables and some in the log,
// and returns what is in it.
func makeGolden(t testing.TB, dir string) string {
	g := openGolden(t, filepath.Join(t.TempDir(), "a"))
	_, err := g.rows.Create(goldenDB, perm.For(goldenOwner, perm.DatabaseTags))
	g.ok(err)
	g.start(g.db(goldenDB))
	g.close()
	g = openGolden(t, g.dir) // what came before lies in tables now
	phone := openGoldenAs(t, filepath.Join(t.TempDir(), "b"), id.Device{0xd0, 2})
	_, err = phone.rows.Create(goldenDB, perm.For(goldenOwner, perm.DatabaseTags))
	g.ok(err)
	phone.pull(g)
	// A conflict that the other device wins, one that this one wins, a deletion that loses, and a batch that arrives.
	phone.now = phone.now.Add(time.Minute)
	phone.commit(rows.Op{Collection: goldenTodo, Key: "theirs", Value: []byte(`"phone"`)})
	phone.now = phone.now.Add(-2 * time.Minute)
	g.commit(rows.Op{Collection: goldenTodo, Key: "theirs", Value: []byte(`"desk"`)})
	g.now = g.now.Add(time.Hour)
	phone.commit(rows.Op{Collection: goldenTodo, Key: "ours", Value: []byte(`"phone"`)},
		rows.Op{Kind: rows.OpDelete, Collection: goldenTodo, Key: "edited"})
	g.commit(rows.Op{Collection: goldenTodo, Key: "ours", Value: []byte(`"desk"`)}, rows.Op{Collection: goldenTodo, Key: "edited", Value: []byte(`2`)})
	g.pull(phone)
	phone.close()
	g.beside()
	g.ok(errors.Join(copyDir(filepath.Join(g.dir, "store"), filepath.Join(dir, "store")), copyDir(filepath.Join(g.dir, "packs"), filepath.Join(dir, "packs"))))
	text := g.text()
	g.close()
	return text
}

// start makes what this device makes by itself.
func (g *goldenStore) start(db *rows.DB) {
	list := perm.For(goldenOwner, perm.CollectionTags)
	list[perm.Read] = perm.Access{In: []perm.Pattern{"home.local/ann", "work.local/bob"}, NotIn: []perm.Pattern{"work.local/bob/device/old"}}
	g.ok(errors.Join(db.CreateCollection(goldenTodo, list), db.CreateCollection(goldenThing, perm.For("work.local/bob", perm.CollectionTags))))
	g.ok(syncgroup.Create(db, goldenGroup, syncgroup.Spec{
		Collections: []syncgroup.SpecCollection{{Owner: goldenOwner, Name: "todo"}}, Permissions: perm.For(goldenOwner, []perm.Tag{perm.Admin, perm.Read}), Creator: goldenOwner,
	}, syncgroup.Member{Principal: goldenOwner + "/device/desk", Type: syncgroup.Normal, Joined: g.now}))
	for _, key := range []string{"theirs", "ours", "edited", "deleted", "ä/ö\U0001f600"} {
		g.commit(rows.Op{Collection: goldenTodo, Key: key, Value: []byte(`{"n": 1, "key":"` + key + `"}`)})
	}
	blob, _, err := g.blobs.PutBlob(context.Background(), strings.NewReader(strings.Repeat("a blob of its own ", 5000)))
	g.ok(err)
	g.ok(g.blobs.Keep(blob, db.Num()))
	absent := chunk.Ref{1, 2, 3}
	g.commit(
		rows.Op{Kind: rows.OpDelete, Collection: goldenTodo, Key: "deleted"},
		rows.Op{Collection: goldenTodo, Key: "raw", Value: []byte{0, 1, 0xff}, Raw: true, Type: "bytes"},
		rows.Op{Collection: goldenTodo, Key: "empty", Value: []byte{}, Raw: true},
		rows.Op{Collection: goldenThing, Key: "here", Value: []byte(`{"$blob":"` + blob.String() + `"}`)},
		rows.Op{Collection: goldenThing, Key: "elsewhere", Value: []byte(`[{"$blob":"` + absent.String() + `"}]`)},
	)
	g.ok(g.blobs.MarkLocationNow(absent, blobs.Location{Device: id.Device{0xd0, 2}, Seen: g.now, Server: true}))
}

// beside makes what is not synced.
func (g *goldenStore) beside() {
	db := g.db(goldenDB)
	_, err := db.SetSettings(func(s *rows.Settings) { s.Durability, s.QuotaBytes = rows.Async, 1<<30 })
	g.ok(err)
	g.ok(db.SetSchema(rows.Schema{Version: 3, Policy: []byte(`{"rules":[]}`)}))
	_, err = g.rows.Create(goldenOther, perm.For("work.local/bob", perm.DatabaseTags))
	g.ok(err)
	_, version := g.rows.Permissions()
	_, err = g.rows.SetPermissions(perm.For(goldenOwner, perm.ServiceTags), version)
	g.ok(err)
	b := g.kv.NewBatch()
	b.Set([]byte("\x02"+goldenPeer), []byte(`{"address":"192.0.2.1:4001","seen":"2026-11-22T00:00:00Z"}`))
	g.ok(b.Commit(kv.Sync))
}

// pull brings everything that the other has.
func (g *goldenStore) pull(from *goldenStore) {
	g.t.Helper()
	db, other := g.db(goldenDB), from.db(goldenDB)
	scopes := []id.Scope{{Collection: goldenTodo}, {Collection: goldenThing}, {Collection: syncgroup.Metadata(goldenGroup)}}
	g.ok(db.Track(scopes))
	step := rows.Step{Scopes: scopes}
	plan := delta.NewPlan(db.Writer(), delta.Request(db.Published().Know, scopes))
	progress, err := other.Send(context.Background(), plan, func(o rows.Outgoing) error {
		c, err := wire.DecodeCommit(bytes.Clone(o.Commit))
		step.Commits = append(step.Commits, c)
		return err
	})
	g.ok(err)
	step.Progress = progress
	_, err = db.Receive(step)
	g.ok(err)
}

// text says all that can be read of the store.
func (g *goldenStore) text() string {
	g.t.Helper()
	var out strings.Builder
	list, version := g.rows.Permissions()
	fmt.Fprintf(&out, "writer %s, access %s %v\n", g.rows.Writer(), version, list)
	dbs, _ := g.rows.Databases()
	for _, db := range dbs {
		list, version := db.Permissions()
		set := db.Settings()
		schema, err := db.Schema()
		g.ok(err)
		fmt.Fprintf(&out, "database %s, number %d, writer %s, access %s %v, %s, quota %d, paused %t, schema %d %s\n",
			db.Name(), db.Num(), db.Writer(), version, list, set.Durability, set.QuotaBytes, set.SyncPaused, schema.Version, schema.Policy)
		g.collections(&out, db)
		_, err = db.ReadLog(0, nil, func(b rows.Batch) (bool, error) {
			fmt.Fprintf(&out, "  batch %d %s, from sync %t, %d changes\n", b.Seq, b.Name, b.FromSync, len(b.Changes))
			return true, nil
		})
		g.ok(err)
		g.ok(db.Locals(func(name id.Name, value []byte) error {
			fmt.Fprintf(&out, "  local %s %s\n", name, value)
			return nil
		}))
	}
	g.blobText(&out)
	_, err := g.kv.Get([]byte("\x02" + goldenPeer))
	fmt.Fprintf(&out, "address book: %v\n", err)
	return out.String()
}

func (g *goldenStore) collections(out io.Writer, db *rows.DB) {
	know := db.Published().Know
	fmt.Fprintf(out, "  own %s\n", know.Own())
	colls := db.Collections()
	colls = append(colls, syncgroup.Metadata(goldenGroup))
	for _, c := range colls {
		list, version, err := db.CollectionPermissions(c)
		if errors.Is(err, rows.ErrNoCollection) {
			list, version, err = nil, id.Version{}, nil
		}
		g.ok(err)
		fmt.Fprintf(out, "  collection %s, access %s %v, knowledge %v\n", c, version, list, know.Stored(id.Scope{Collection: c}))
		_, known := db.CollectionNum(c)
		if !known {
			continue
		}
		g.ok(db.Scan(c, rows.ScanRange{}, func(r *rows.RowView) (bool, error) {
			fmt.Fprintf(out, "    %q = %q, raw %t, type %q, %s at %d\n", r.Key, r.Value, r.Raw, r.Type, r.Version, r.Time)
			return true, nil
		}))
		for _, key := range []string{"theirs", "ours", "edited", "deleted"} {
			head, nodes, err := db.History(c, key)
			if err != nil {
				continue
			}
			fmt.Fprintf(out, "    history of %s: head %s\n", key, head)
			for _, n := range nodes {
				fmt.Fprintf(out, "      %s of %v, deleted %t, %q in %s\n", n.Version, n.Parents, n.Deleted, n.Value, n.Batch)
			}
		}
	}
}

func (g *goldenStore) blobText(out io.Writer) {
	var refs []chunk.Ref
	g.ok(g.blobs.List(func(s blobs.Stat) error {
		refs = append(refs, s.Ref)
		_, err := fmt.Fprintf(out, "blob %s, %d bytes, %s\n", s.Ref, s.Size, s.State)
		return err
	}))
	g.ok(g.blobs.EachMissing(func(ref chunk.Ref) error {
		refs = append(refs, ref)
		_, err := fmt.Fprintf(out, "missing %s\n", ref)
		return err
	}))
	for _, ref := range refs {
		g.ok(g.blobs.ReferencedBy(ref, func(db, collection uint32, key string) error {
			_, err := fmt.Fprintf(out, "  %s in %d %d %q\n", ref, db, collection, key)
			return err
		}))
		at, err := g.blobs.Locations(ref)
		g.ok(err)
		for _, l := range at {
			fmt.Fprintf(out, "  %s at %s, seen %d, server %t\n", ref, hex.EncodeToString(l.Device[:]), l.Seen.UnixMilli(), l.Server)
		}
		r, err := g.blobs.Open(ref)
		if err != nil {
			continue
		}
		var data bytes.Buffer
		_, err = r.WriteTo(context.Background(), &data, 0, r.Size())
		g.ok(err)
		fmt.Fprintf(out, "  %s reads as %d bytes %s\n", ref, data.Len(), chunk.Sum(data.Bytes()))
	}
}

// packFiles keeps packs as files of a directory.
type packFiles string

func (p packFiles) name(key []byte) string { return filepath.Join(string(p), hex.EncodeToString(key)) }

func (p packFiles) Put(_ context.Context, key, data []byte) error {
	return errors.Join(os.MkdirAll(string(p), 0o755), os.WriteFile(p.name(key), data, 0o644))
}

func (p packFiles) Get(_ context.Context, key []byte, offset, length uint64) ([]byte, error) {
	data, err := os.ReadFile(p.name(key))
	if err != nil || offset+length > uint64(len(data)) {
		return nil, errors.Join(err, io.ErrUnexpectedEOF)
	}
	return slices.Clone(data[offset : offset+length]), nil
}

func (p packFiles) Delete(_ context.Context, keys ...[]byte) (err error) {
	for _, key := range keys {
		err = errors.Join(err, os.Remove(p.name(key)))
	}
	return err
}
