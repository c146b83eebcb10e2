package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
	"github.com/syncbase/syncbase/sdk/client"

	"github.com/syncbase/syncbase/host/internal/id"
)

func TestRows(t *testing.T) {
	w := newWorld(t)
	c := w.collection("db", "c")
	ctx := t.Context()
	first, err := c.Put(ctx, "k", map[string]int{"n": 1})
	if err != nil {
		t.Fatal(err)
	}
	row, err := c.Get(ctx, "k")
	if err != nil || row.Version != first || string(row.Value.Bytes) != `{"n":1}` || row.Updated.IsZero() {
		t.Fatalf("got %+v, %v", row, err)
	}
	var n struct{ N int }
	if err := row.Decode(&n); err != nil || n.N != 1 {
		t.Errorf("decoded %+v, %v", n, err)
	}
	if _, err := c.Put(ctx, "bytes", client.Value{Bytes: []byte{0, 1}, Raw: true, Type: "pair"}); err != nil {
		t.Fatal(err)
	}
	if row, err = c.Get(ctx, "bytes"); err != nil || !row.Value.Raw || row.Value.Type != "pair" {
		t.Errorf("got %+v, %v", row, err)
	}
	second, err := c.Delete(ctx, "k")
	if err != nil || second == "" {
		t.Fatalf("delete: %q, %v", second, err)
	}
	if again, err := c.Delete(ctx, "k"); err != nil || again != "" {
		t.Errorf("delete of an absent row: %q, %v", again, err)
	}
	head, versions, err := c.History(ctx, "k")
	if err != nil || head != second || len(versions) != 2 || !versions[0].Deleted || versions[1].Version != first {
		t.Errorf("history %s %+v, %v", head, versions, err)
	}
	if diff := cmp.Diff([]string{first}, versions[0].Parents); diff != "" {
		t.Errorf("-wanted +parents:\n%s", diff)
	}
}

func TestErrorsCanBeToldApart(t *testing.T) {
	w := newWorld(t)
	c := w.collection("db", "c")
	ctx := t.Context()
	db := w.client().Database("db")
	version, err := c.Put(ctx, "k", 1)
	if err != nil {
		t.Fatal(err)
	}
	put, err := c.PutOp("k", 2)
	if err != nil {
		t.Fatal(err)
	}
	other, err := c.CheckValueOp("k", 3)
	if err != nil {
		t.Fatal(err)
	}
	for what, x := range map[string]struct {
		err    error
		want   error
		reason string
	}{
		"missing row":            {must(c.Get(ctx, "none")), client.ErrNotFound, "NO_ROW"},
		"missing collection":     {must(db.Collection("none").Get(ctx, "k")), client.ErrNotFound, "NO_COLLECTION"},
		"missing database":       {must(w.client().Database("none").Collection("c").Get(ctx, "k")), client.ErrNotFound, "NO_DATABASE"},
		"put without collection": {must(db.Collection("none").Put(ctx, "k", 1)), client.ErrNotFound, "NO_COLLECTION"},
		"existing database":      {must(db.Create(ctx, nil)), client.ErrExists, "EXISTS"},
		"existing collection":    {must(c.Create(ctx, nil)), client.ErrExists, "EXISTS"},
		"not JSON":               {must(c.Put(ctx, "k", client.Value{Bytes: []byte("{")})), client.ErrInvalid, "INVALID"},
		"bad key":                {must(c.Get(ctx, "a\nb")), client.ErrInvalid, "INVALID_NAME"},
		"long key":               {must(c.Put(ctx, strings.Repeat("k", 5000), 1)), client.ErrInvalid, "INVALID_NAME"},
		"bad database name":      {must(w.client().Database("a b:c").Create(ctx, nil)), client.ErrInvalid, "INVALID_NAME"},
		"large value":            {must(c.Put(ctx, "k", strings.Repeat("v", 5<<20))), client.ErrInvalid, "INVALID"},
		"empty batch":            {must(db.Commit(ctx)), client.ErrInvalid, "INVALID"},
		"check of absence":       {must(db.Commit(ctx, c.CheckAbsentOp("k"), put)), client.ErrConflict, "CONFLICT"},
		"check of value":         {must(db.Commit(ctx, other, put)), client.ErrConflict, "CONFLICT"},
		"check of old version":   {must(db.Commit(ctx, c.CheckVersionOp("k", strings.TrimRight(version, "0123456789")+"999"), put)), client.ErrConflict, "CONFLICT"},
		"check of no version":    {must(db.Commit(ctx, c.CheckVersionOp("k", ""), put)), client.ErrInvalid, "INVALID"},
		"check of a bad version": {must(db.Commit(ctx, c.CheckVersionOp("k", "x"), put)), client.ErrInvalid, "INVALID_NAME"},
		"bad access list":        {must(db.SetPermissions(ctx, client.Permissions{"Nonsense": {}}, "")), client.ErrInvalid, "INVALID_PERMISSIONS"},
		"list that moved on":     {must(db.SetPermissions(ctx, client.Permissions{"Admin": {In: []string{"..."}}}, "77")), client.ErrConflict, "CONFLICT"},
		"unknown syncgroup":      {must(db.Syncgroup("none").Wait(ctx)), client.ErrNotFound, "NOT_FOUND"},
		"bad member type":        {must(db.Syncgroup("sg").Create(ctx, client.SyncgroupOptions{MemberType: "queen", Scopes: []client.Scope{{Collection: "c"}}})), client.ErrInvalid, "INVALID"},
		"syncgroup over nothing": {must(db.Syncgroup("sg").Create(ctx, client.SyncgroupOptions{})), client.ErrInvalid, "INVALID"},
		"unknown blob":           {must(db.StatBlob(ctx, "blob1-none")), client.ErrNotFound, "NOT_FOUND"},
		"no reference":           {must(db.StatBlob(ctx, "")), client.ErrInvalid, "INVALID"},
	} {
		var said *client.Error
		if !errors.Is(x.err, x.want) || !errors.As(x.err, &said) || said.Reason != x.reason {
			t.Errorf("%s: %v (%+v), want %v with the reason %s", what, x.err, said, x.want, x.reason)
		}
	}
	if row, err := c.Get(ctx, "k"); err != nil || string(row.Value.Bytes) != "1" {
		t.Errorf("a failed batch left %s, %v", row.Value.Bytes, err)
	}
}

// TestScanAgreesWithModel scans ranges of random rows, large and small, and compares with a map.
func TestScanAgreesWithModel(t *testing.T) {
	w := newWorld(t)
	c := w.collection("db", "c")
	ctx := t.Context()
	rng := rand.New(rand.NewPCG(3, 4))
	type kv struct{ key, value string }
	var want []kv
	var ops []client.Op
	for i := range 500 {
		value := fmt.Sprintf("%d%s", i, strings.Repeat("0", rng.IntN(2)*rng.IntN(40_000)))
		row := kv{fmt.Sprintf("%c/%03d", 'a'+rune(i/100), i), value}
		op, err := c.PutOp(row.key, client.Value{Bytes: []byte(value)})
		if err != nil {
			t.Fatal(err)
		}
		want, ops = append(want, row), append(ops, op)
	}
	if _, err := w.client().Database("db").Commit(ctx, ops...); err != nil {
		t.Fatal(err)
	}
	for _, r := range []client.Range{
		{}, {Prefix: "b/"}, {Start: "b/150"}, {Limit: "c/"}, {Start: "a/050", Limit: "d/301"}, {Max: 7}, {Prefix: "c", Max: 3, KeysOnly: true},
		{Prefix: "zzz"}, {Start: "c", Limit: "b"}, {Reverse: true}, {Prefix: "b/", Max: 5, Reverse: true}, {Start: "a/050", Limit: "b/150", Reverse: true},
	} {
		var expect []kv
		order := slices.Values(want)
		if r.Reverse {
			order = func(yield func(kv) bool) {
				for _, row := range slices.Backward(want) {
					if !yield(row) {
						return
					}
				}
			}
		}
		for row := range order {
			in := row.key >= r.Start && (r.Limit == "" || row.key < r.Limit)
			if !in || !strings.HasPrefix(row.key, r.Prefix) || r.Max > 0 && uint64(len(expect)) == r.Max {
				continue
			}
			if r.KeysOnly {
				row.value = ""
			}
			expect = append(expect, row)
		}
		var got []kv
		for row, err := range c.Scan(ctx, r) {
			if err != nil {
				t.Fatalf("%+v: %v", r, err)
			}
			got = append(got, kv{row.Key, string(row.Value.Bytes)})
		}
		if diff := cmp.Diff(expect, got, cmp.AllowUnexported(kv{})); diff != "" {
			t.Errorf("%+v: -wanted +scanned:\n%s", r, diff)
		}
	}
	for range c.Scan(ctx, client.Range{}) {
		break // leaving early ends the call; goleak tells if not
	}
}

func TestListsAndLife(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.client()
	for _, name := range []string{"b", "a"} {
		w.collection(name, "c")
	}
	var names []string
	for name, err := range c.Databases(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if diff := cmp.Diff([]string{"home.local/owner:a", "home.local/owner:b"}, names); diff != "" {
		t.Errorf("-wanted +databases:\n%s", diff)
	}
	status, err := c.Status(ctx)
	if err != nil || status.Device != "0700000000000000.1" || len(status.Plugins) != 1 || len(status.Peers) != 1 {
		t.Errorf("status %+v, %v", status, err)
	}
	identity, err := c.Identity(ctx)
	if err != nil || identity.TrustDomain != "home.local" || identity.Owner != string(owner) || !identity.Authority {
		t.Errorf("identity %+v, %v", identity, err)
	}
	list, version, err := c.Database("a").Permissions(ctx)
	if err != nil {
		t.Fatal(err)
	}
	list["Read"] = client.Access{In: []string{string(friend)}}
	if _, err := c.Database("a").SetPermissions(ctx, list, version); err != nil {
		t.Fatal(err)
	}
	stream, err := w.raw.ListDatabases(as(ctx, friend), &nodev1.ListDatabasesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	seen, err := stream.Recv()
	if err != nil || seen.GetDatabase() != "home.local/owner:a" {
		t.Errorf("the friend sees %v, %v", seen, err)
	}
	if err := drain(stream, nil); err != nil {
		t.Error(err)
	}
}

func TestSyncgroupsAndBlobs(t *testing.T) {
	w := newWorld(t)
	w.collection("db", "c")
	ctx := t.Context()
	db := w.client().Database("db")
	sg := db.Syncgroup("sg")
	opts := client.SyncgroupOptions{Scopes: []client.Scope{{Collection: "c", Prefix: "p/"}}, MemberType: "server"}
	if name, err := sg.Create(ctx, opts); err != nil || name != "home.local/owner:sg" {
		t.Fatalf("create: %s, %v", name, err)
	}
	made := w.fakes.specs[id.Name{Owner: owner, Local: "sg"}]
	if len(made.Scopes) != 1 || made.Scopes[0].Prefix != "p/" || made.MemberType != "server" {
		t.Errorf("the syncgroup is %+v", made)
	}
	if peers, err := sg.Wait(ctx); err != nil || peers != 2 {
		t.Errorf("wait: %d, %v", peers, err)
	}
	data := bytes.Repeat([]byte("0123456789"), 300_000)
	ref, size, err := db.PutBlob(ctx, bytes.NewReader(data))
	if err != nil || size != uint64(len(data)) {
		t.Fatalf("put: %s %d, %v", ref, size, err)
	}
	var out bytes.Buffer
	var told uint64
	err = db.GetBlob(ctx, ref, &out, client.GetBlobOptions{Offset: 5, Length: 1_000_000, Started: func(n uint64) { told = n }})
	if err != nil || !bytes.Equal(out.Bytes(), data[5:1_000_005]) || told != size {
		t.Errorf("got %d bytes of %d, %v", out.Len(), told, err)
	}
	var states []string
	for p, err := range db.FetchBlob(ctx, ref, 0) {
		if err != nil {
			t.Fatal(err)
		}
		states = append(states, fmt.Sprintf("%s %d/%d", p.State, p.Received, p.Total))
	}
	if diff := cmp.Diff([]string{"fetching 0/3000000", "done 3000000/3000000"}, states); diff != "" {
		t.Errorf("-wanted +progress:\n%s", diff)
	}
	if _, size, err = db.PutBlob(ctx, strings.NewReader("")); err != nil || size != 0 {
		t.Errorf("put of nothing: %d, %v", size, err)
	}
}

// TestJoinOfADatabaseThatIsNotHere wants the join to be tried, and to leave nothing behind when it fails.
func TestJoinOfADatabaseThatIsNotHere(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	db := w.client().Database("new")
	if _, _, err := db.Syncgroup("sg").Join(ctx, client.JoinOptions{Peer: "nobody"}); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("join through nobody: %v", err)
	}
	if _, _, err := db.Permissions(ctx); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("after a join that failed: %v, want no database", err)
	}
	if _, by, err := db.Syncgroup("sg").Join(ctx, client.JoinOptions{}); err != nil || by != "server" {
		t.Errorf("join: %s, %v", by, err)
	}
}

// TestDrain wants the calls that could last forever to end when the daemon stops, and the client to say why.
func TestDrain(t *testing.T) {
	w := newWorld(t)
	w.collection("db", "c")
	ctx := t.Context()
	db := w.client().Database("db")
	if _, err := db.Syncgroup("sg").Create(ctx, client.SyncgroupOptions{Scopes: []client.Scope{{Collection: "c"}}}); err != nil {
		t.Fatal(err)
	}
	waits := make(chan struct{})
	w.fakes.waits = waits
	waited := make(chan error, 1)
	go func() {
		_, err := db.Syncgroup("sg").Wait(context.WithoutCancel(ctx))
		waited <- err
	}()
	<-waits
	stream, err := w.raw.Watch(ctx, &nodev1.WatchRequest{Database: "db"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	w.server.Drain()
	if _, err := stream.Recv(); reasonOf(err) != "Unavailable UNAVAILABLE" {
		t.Errorf("the watch ended with %v", err)
	}
	if err := <-waited; !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("the wait ended with %v", err)
	}
}

// TestBounds sends what no client of ours would.
func TestBounds(t *testing.T) {
	w := newWorld(t)
	w.collection("db", "c")
	ctx := t.Context()
	long := strings.Repeat("x", 10_000)
	many := make([]*nodev1.Op, 100_001)
	for i := range many {
		many[i] = put("k", "1")
	}
	upload, err := w.raw.PutBlob(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := upload.Send(&nodev1.PutBlobRequest{Database: "db", Data: make([]byte, 2<<20)}); err != nil {
		t.Fatal(err)
	}
	_, tooMuch := upload.CloseAndRecv()
	nothing, err := w.raw.PutBlob(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_, noFirst := nothing.CloseAndRecv()
	for what, got := range map[string]error{
		"long prefix":             drain(w.raw.Scan(ctx, &nodev1.ScanRequest{Database: "db", Collection: "c", Prefix: long})),
		"prefix and start":        drain(w.raw.Scan(ctx, &nodev1.ScanRequest{Database: "db", Collection: "c", Prefix: "a", Start: "a"})),
		"long watch prefix":       drain(w.raw.Watch(ctx, &nodev1.WatchRequest{Database: "db", Prefix: long})),
		"long name":               must(w.raw.CreateDatabase(ctx, &nodev1.CreateDatabaseRequest{Database: long})),
		"long peer":               must(w.raw.JoinSyncgroup(ctx, &nodev1.JoinSyncgroupRequest{Database: "db", Syncgroup: "sg", Peer: long})),
		"long reference":          must(w.raw.StatBlob(ctx, &nodev1.StatBlobRequest{Database: "db", Ref: long})),
		"too many operations":     must(w.raw.Commit(ctx, &nodev1.CommitRequest{Database: "db", Ops: many})),
		"operation of no kind":    must(w.raw.Commit(ctx, &nodev1.CommitRequest{Database: "db", Ops: []*nodev1.Op{{}}})),
		"nil operation":           must(w.raw.Commit(ctx, &nodev1.CommitRequest{Database: "db", Ops: []*nodev1.Op{nil}})),
		"check of nothing":        must(w.raw.Commit(ctx, &nodev1.CommitRequest{Database: "db", Ops: []*nodev1.Op{{Op: &nodev1.Op_Check{}}}})),
		"too much in one message": tooMuch,
		"upload without a word":   noFirst,
	} {
		if code := strings.Fields(reasonOf(got))[0]; code != "InvalidArgument" && code != "NotFound" {
			t.Errorf("%s: %v, want it refused as invalid", what, got)
		}
	}
}
