package api

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
	"github.com/syncbase/syncbase/sdk/client"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
)

// tagNames are the tags by their letters.
var tagNames = map[byte]perm.Tag{'A': perm.Admin, 'R': perm.Read, 'W': perm.Write, 'X': perm.Resolve}

func tagsIn(letters string) []perm.Tag {
	var tags []perm.Tag
	for i := range len(letters) {
		tags = append(tags, tagNames[letters[i]])
	}
	return tags
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
// reference: store-029
// To change a list of the service, a database or a collection one is needed, with Admin for somebody and with the tags of
// its level: Resolve is one of databases alone, and there is no Debug.
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
