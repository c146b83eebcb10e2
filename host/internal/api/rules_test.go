package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
	"github.com/syncbase/syncbase/sdk/client"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
)

// need is a set of tags that suffices for a call: on the service, the database and the collection. X on the database is
// any tag there.
type need struct{ service, database, collection string }

var tagNames = map[byte]perm.Tag{'A': perm.Admin, 'R': perm.Read, 'W': perm.Write, 'X': perm.Resolve}

func tagsIn(letters string) []perm.Tag {
	var tags []perm.Tag
	for i := range len(letters) {
		tags = append(tags, tagNames[letters[i]])
	}
	return tags
}

// anyTag is every way to have a tag on the database.
var anyTag = []need{{"", "X", ""}, {"", "R", ""}, {"", "W", ""}, {"", "A", ""}}

// sufficient are, for the methods that a list decides about, the smallest sets of tags that suffice.
var sufficient = map[string][]need{
	"Status": {{"A", "", ""}}, "ListPeers": {{"A", "", ""}}, "ListPlugins": {{"A", "", ""}}, "ShowIdentity": {{"A", "", ""}}, "Doctor": {{"A", "", ""}},
	"GetDatabase": anyTag, "UpdateDatabase": {{"", "A", ""}}, "GetSchema": {{"", "R", ""}}, "SetSchema": {{"", "A", ""}},
	"GetPermissions": {{"", "A", ""}}, "ListCollections": {{"", "R", ""}}, "CreateCollection": {{"", "W", ""}},
	"BeginBatch": anyTag, "CommitBatch": anyTag, "AbortBatch": anyTag, "WriteBatch": {{"", "X", "W"}},
	"Get": {{"", "X", "R"}}, "Scan": {{"", "X", "R"}}, "History": {{"", "X", "R"}}, "Watch": {{"", "X", "R"}},
	"Commit": {{"", "X", "W"}}, "DeleteRange": {{"", "X", "W"}},
	"DestroyCollection": {{"", "X", "A"}, {"", "A", ""}}, "DestroyDatabase": {{"A", "", ""}, {"", "A", ""}},
	"PutBlob": {{"", "W", ""}}, "GetBlob": {{"", "R", ""}}, "FetchBlob": {{"", "R", ""}}, "StatBlob": {{"", "R", ""}}, "ListBlobs": {{"", "R", ""}},
	"ListRefused": {{"", "A", ""}}, "RetryRefused": {{"", "A", ""}}, "DiscardRefused": {{"", "A", ""}},
	"LeaveSyncgroup": {{"", "W", ""}}, "ListInvitations": {{"", "R", ""}}, "DeclineInvitation": {{"", "W", ""}},
	"ListSyncgroups": {{"", "R", ""}}, "JoinSyncgroup": {{"", "W", ""}}, "CreateSyncgroup": {{"", "W", "R"}},
}

// reference: store-33
// For every method each smallest set of tags suffices, and without any one of them the call is refused or hidden.
func TestSmallestAccess(t *testing.T) {
	for _, a := range accesses {
		for _, n := range sufficient[a.method] {
			t.Run(fmt.Sprintf("%s %+v", a.method, n), func(t *testing.T) {
				if got := callWith(t, a, n); got != ok {
					t.Errorf("with everything: %s", got)
				}
				for _, less := range n.without() {
					if slices.Contains(sufficient[a.method], less) {
						continue
					}
					if got := callWith(t, a, less); got != refused && got != hidden && got != noColl {
						t.Errorf("with only %+v: %s", less, got)
					}
				}
			})
		}
	}
}

// without are the sets that lack one tag, or have another in its place that does not suffice for anything.
func (n need) without() []need {
	var list []need
	for _, other := range []string{"", "R"} {
		if n.service != "" {
			list = append(list, need{other, n.database, n.collection})
		}
	}
	if n.database != "" {
		list = append(list, need{n.service, "", n.collection})
	}
	if n.collection != "" {
		list = append(list, need{n.service, n.database, ""})
		for _, other := range []string{"R", "W", "A"} {
			if other != n.collection {
				list = append(list, need{n.service, n.database, other})
			}
		}
	}
	if n.collection == "" && n.database != "" {
		list = append(list, need{n.service, "X", ""})
	}
	return list
}

func callWith(t *testing.T, a access, n need) string {
	t.Helper()
	w := newWorld(t)
	ctx := t.Context()
	w.collection("db", "c")
	prepare := must(w.client().Database("db").Collection("c").Put(ctx, "k", 1))
	_, _, blob := w.client().Database("db").PutBlob(ctx, strings.NewReader("data"))
	if err := errors.Join(prepare, blob); err != nil {
		t.Fatal(err)
	}
	w.grantTags(tagsIn(n.service), tagsIn(n.database), tagsIn(n.collection))
	return trimmed(a.call(as(ctx, friend), w.raw))
}

// reference: store-34
// Whoever may not know whether a database or a collection exists gets the same answer, word for word, for one that does
// and for one that does not, from every method.
func TestExistenceDoesNotLeak(t *testing.T) {
	for _, x := range []struct {
		what              string
		service, database string
		// hides is what the friend may not know of.
		hides string
	}{
		{"a stranger", "", "", "database"},
		{"a tag on the database that tells nothing of what is in it", "", "X", "collection"},
	} {
		t.Run(x.what, func(t *testing.T) {
			w := newWorld(t)
			ctx := t.Context()
			w.collection("db", "c")
			w.grantTags(tagsIn(x.service), tagsIn(x.database), nil)
			there := w.answers(t, as(ctx, friend), x.hides)
			switch x.hides {
			case "database":
				if err := w.client().Database("db").Destroy(ctx); err != nil {
					t.Fatal(err)
				}
			case "collection":
				if err := w.client().Database("db").Collection("c").Destroy(ctx); err != nil {
					t.Fatal(err)
				}
			}
			absent := w.answers(t, as(ctx, friend), x.hides)
			for method, was := range there {
				if is := absent[method]; is != was {
					t.Errorf("%s: %q while it exists, %q while it does not", method, was, is)
				}
			}
		})
	}
}

// answers are what the methods say that concern something hidden.
func (w *world) answers(t *testing.T, ctx context.Context, hides string) map[string]string {
	t.Helper()
	got := map[string]string{}
	for _, a := range accesses {
		about := a.stranger == hidden
		if hides == "collection" {
			about = a.guest == noColl || a.method == "DestroyCollection"
		}
		if !about || a.method == "WriteBatch" && hides == "database" {
			continue
		}
		err := a.call(ctx, w.raw)
		got[a.method] = fmt.Sprint(reasonOf(err), err)
		if !strings.HasPrefix(got[a.method], "NotFound ") {
			t.Errorf("%s: %v, want it hidden", a.method, err)
		}
	}
	// What is wrong with a request must not come before what is hidden from it.
	err := must(w.raw.Commit(ctx, &nodev1.CommitRequest{Database: "home.local/owner:db", Ops: []*nodev1.Op{put("bad\nkey", "not JSON")}}))
	got["Commit of what is wrong"] = fmt.Sprint(reasonOf(err), err)
	if len(got) < 5 {
		t.Errorf("only %d methods were asked", len(got))
	}
	return got
}

// reference: store-34
// Who may know is told the truth: of what is absent that it is, of what is there that the access is missing.
func TestExistenceForThoseWhoMayKnow(t *testing.T) {
	get := func(db, coll string) *nodev1.GetRequest {
		return &nodev1.GetRequest{Database: "home.local/owner:" + db, Collection: "home.local/owner:" + coll, Key: "k"}
	}
	for _, x := range []struct {
		what              string
		service, database string
		// there and absent are the answers about a database, collThere and collAbsent about a collection.
		there, absent, collThere, collAbsent string
	}{
		{"Read on the service", "R", "", refused, hidden, refused, refused},
		{"Write on the service", "W", "", refused, hidden, refused, refused},
		{"Read on the database", "", "R", refused, hidden, refused, noColl},
		{"Write on the database", "", "W", refused, hidden, refused, noColl},
	} {
		t.Run(x.what, func(t *testing.T) {
			w := newWorld(t)
			w.collection("db", "c")
			w.grantTags(tagsIn(x.service), tagsIn(x.database), nil)
			ctx := as(t.Context(), friend)
			for _, ask := range []struct{ db, coll, want string }{
				{"db", "c", x.there}, {"none", "c", x.absent}, {"db", "c", x.collThere}, {"db", "none", x.collAbsent},
			} {
				if got := trimmed(must(w.raw.Get(ctx, get(ask.db, ask.coll)))); got != ask.want {
					t.Errorf("%s %s: %s, want %s", ask.db, ask.coll, got, ask.want)
				}
			}
		})
	}
}

// reference: store-25
// On every level a list changes only for who names its present version or none; each change gives it a new one; who took
// itself off the list can neither read nor change it.
// reference: store-309
// Two who change the list of a collection from the same version do not overwrite each other.
func TestVersionsOfLists(t *testing.T) {
	for what, level := range map[string]struct {
		db, coll string
		tags     []perm.Tag
	}{
		"service": {"", "", perm.ServiceTags}, "database": {"home.local/owner:db", "", perm.DatabaseTags},
		"collection": {"home.local/owner:db", "home.local/owner:c", perm.CollectionTags},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			w.collection("db", "c")
			w.grant(perm.Admin, perm.Admin, perm.Admin)
			ctx := as(t.Context(), friend)
			get := func() (*nodev1.GetPermissionsResponse, error) {
				return w.raw.GetPermissions(ctx, &nodev1.GetPermissionsRequest{Database: level.db, Collection: level.coll})
			}
			set := func(list []byte, version string) (string, error) {
				resp, err := w.raw.SetPermissions(ctx, &nodev1.SetPermissionsRequest{Database: level.db, Collection: level.coll, Permissions: list, Version: version})
				return resp.GetVersion(), err
			}
			before, err := get()
			if err != nil {
				t.Fatal(err)
			}
			wrong := "20"
			if what == "collection" {
				wrong = "0100000000000000.1-20"
			}
			if _, err := set(before.GetPermissions(), wrong); reasonOf(err) != "Aborted CONFLICT" {
				t.Errorf("with a wrong version: %v", err)
			}
			second, err := set(before.GetPermissions(), before.GetVersion())
			if err != nil || second == before.GetVersion() {
				t.Errorf("the same list: %q after %q, %v", second, before.GetVersion(), err)
			}
			if _, err := set(before.GetPermissions(), before.GetVersion()); reasonOf(err) != "Aborted CONFLICT" {
				t.Errorf("with the version of the first: %v", err)
			}
			if third, err := set(perm.For(owner, level.tags).Marshal(), ""); err != nil || third == second {
				t.Errorf("without a version: %q after %q, %v", third, second, err)
			}
			for _, err := range []error{must(get()), must(set(before.GetPermissions(), ""))} {
				if got := reasonOf(err); got != refused && got != hidden && got != noColl {
					t.Errorf("who is off the list: %s", got)
				}
			}
		})
	}
}

// reference: store-26
// When the list of a collection is given to another, everything with its rows is refused.
// reference: store-27
// Who has Read but not Write there can get and not put.
func TestRowsFollowTheList(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.collection("db", "c")
	if _, err := c.Put(ctx, "k", 1); err != nil {
		t.Fatal(err)
	}
	w.grant("", perm.Resolve, perm.Read)
	theirs := as(ctx, friend)
	if _, err := w.raw.Get(theirs, &nodev1.GetRequest{Database: "home.local/owner:db", Collection: "home.local/owner:c", Key: "k"}); err != nil {
		t.Errorf("get by a reader: %v", err)
	}
	if err := must(w.raw.Commit(theirs, &nodev1.CommitRequest{Database: "home.local/owner:db", Ops: []*nodev1.Op{put("k", "2")}})); reasonOf(err) != refused {
		t.Errorf("put by a reader: %v", err)
	}
	list := everything("Admin")
	list["Admin"] = client.Access{In: []string{string(friend)}}
	if _, err := c.SetPermissions(ctx, list, ""); err != nil {
		t.Fatal(err)
	}
	var scan error
	for _, scan = range c.Scan(ctx, client.Range{}) {
	}
	for what, err := range map[string]error{
		"get": must(c.Get(ctx, "k")), "put": must(c.Put(ctx, "k", 2)), "delete": must(c.Delete(ctx, "k")),
		"delete range": must(c.DeleteRange(ctx, client.Range{})), "scan": scan,
	} {
		if !errors.Is(err, client.ErrNoAccess) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// reference: store-28
// A list is refused that is empty, has a tag that its level does not know, or gives nobody Admin; entries that exclude are
// fine beside those.
// reference: store-29
// Which tags there are depends on the level; to make a database or a collection no list is needed, to change one it is.
// reference: store-37
// A list that lets everybody in and excludes one keeps that one out.
// reference: store-38
// A list that excludes every administrator again is refused.
func TestWhichListsAreTaken(t *testing.T) {
	const admin = `"Admin":{"in":["home.local/owner"]}`
	for list, levels := range map[string]string{
		``: "", `{}`: "", `null`: "", `{"Read":{"in":["..."]}}`: "", `{"Admin":{"not_in":["friends.local"]}}`: "",
		`{` + admin + `}`: "sdc", `{` + admin + `,"Read":{"in":["..."],"not_in":["friends.local"]}}`: "sdc",
		`{` + admin + `,"Resolve":{"in":["..."]}}`: "d", `{` + admin + `,"Debug":{"in":["..."]}}`: "", `{` + admin + `,"Write":{}}`: "sdc",
		`{"Admin":{"in":["home.local/owner"],"not_in":["home.local"]}}`: "", `{"Admin":{"in":["..."],"not_in":["..."]}}`: "",
		`{"Admin":{"in":["a b"]}}`: "", `{` + admin + `,` + admin + `}`: "", `{` + admin + `} `: "sdc",
	} {
		w := newWorld(t)
		w.collection("db", "c")
		for level, req := range map[string]*nodev1.SetPermissionsRequest{
			"s": {}, "d": {Database: "db"}, "c": {Database: "db", Collection: "c"},
		} {
			req.Permissions = []byte(list)
			want := "InvalidArgument INVALID_PERMISSIONS"
			if strings.Contains(levels, level) {
				want = ok
			}
			if got := trimmed(must(w.raw.SetPermissions(t.Context(), req))); got != want {
				t.Errorf("%s on level %s: %s, want %s", list, level, got, want)
			}
		}
	}
	w := newWorld(t)
	c := w.collection("db", "c")
	open := client.Permissions{"Admin": {In: []string{string(owner)}}, "Read": {In: []string{"..."}, NotIn: []string{string(friend)}}}
	if err := errors.Join(must(w.client().Database("db").SetPermissions(t.Context(), open, "")), must(c.SetPermissions(t.Context(), open, ""))); err != nil {
		t.Fatal(err)
	}
	scan := &nodev1.ScanRequest{Database: "home.local/owner:db", Collection: "home.local/owner:c"}
	for who, want := range map[id.Principal]string{"elsewhere.local/x": ok, friend: hidden, friend + "/device/phone": hidden} {
		if got := trimmed(drain(w.raw.Scan(as(t.Context(), who), scan))); got != want {
			t.Errorf("%s: %s, want %s", who, got, want)
		}
	}
}

// reference: store-30
// A name without an owner is the caller's own, and that of the person whose device calls.
// reference: store-31
// Without a list it is that person who gets everything.
// reference: store-32
// Names can be given by who extends their owner, and by nobody else; only databases also by who administers the service.
func TestWhoMayGiveWhichName(t *testing.T) {
	w := newWorld(t)
	w.collection("db", "c")
	w.grantTags(tagsIn("W"), tagsIn("WR"), tagsIn("R"))
	open := perm.For(owner, perm.DatabaseTags)
	open[perm.Write] = perm.Access{In: []perm.Pattern{perm.Everyone}}
	open[perm.Read] = open[perm.Write]
	if _, err := w.raw.SetPermissions(t.Context(), &nodev1.SetPermissionsRequest{Database: "db", Permissions: open.Marshal()}); err != nil {
		t.Fatal(err)
	}
	caller := friend + "/device/phone"
	for name, want := range map[string]string{
		"bare": ok, "friends.local/anna:own": ok, "friends.local:domain": ok, "friends.local/anna/device/phone:device": ok,
		"friends.local/anna/device/tablet:other": refused, "friends.local/bob:other": refused, "home.local/owner:other": refused,
		"friends.local/ann:other": refused, "no:": "InvalidArgument INVALID_NAME", "$:x": "InvalidArgument INVALID_NAME",
	} {
		ctx := as(t.Context(), caller)
		for what, err := range map[string]error{
			"database":   must(w.raw.CreateDatabase(ctx, &nodev1.CreateDatabaseRequest{Database: name})),
			"collection": must(w.raw.CreateCollection(ctx, &nodev1.CreateCollectionRequest{Database: "home.local/owner:db", Collection: name})),
			"syncgroup": must(w.raw.CreateSyncgroup(ctx, &nodev1.CreateSyncgroupRequest{
				Database: "home.local/owner:db", Syncgroup: name, Collections: []*nodev1.SyncgroupCollection{{Collection: "friends.local/anna:bare"}},
			})),
		} {
			if got := trimmed(err); got != want && !(what == "syncgroup" && want == ok && got == noColl) {
				t.Errorf("%s %s: %s, want %s", what, name, got, want)
			}
		}
	}
	got, err := w.raw.GetPermissions(as(t.Context(), friend), &nodev1.GetPermissionsRequest{Database: "bare"})
	if want := perm.For(friend, perm.DatabaseTags).Marshal(); err != nil || string(got.GetPermissions()) != string(want) {
		t.Errorf("list of a database made by a device: %s, %v; want %s", got.GetPermissions(), err, want)
	}
	for name, want := range map[string]string{"friends.local/bob:lifted": ok, "home.local/owner:own": ok} {
		if got := trimmed(must(w.raw.CreateDatabase(t.Context(), &nodev1.CreateDatabaseRequest{Database: name}))); got != want {
			t.Errorf("%s by who administers the service: %s, want %s", name, got, want)
		}
	}
	if _, err := w.raw.GetPermissions(t.Context(), &nodev1.GetPermissionsRequest{Database: "friends.local/bob:lifted"}); err != nil {
		t.Errorf("who made it cannot administer it: %v", err)
	}
}
