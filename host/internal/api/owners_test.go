package api

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
)

// newcomers is a world in which everybody may make databases, and collections and syncgroups in db; c is there for all to
// read.
func newcomers(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.collection("db", "c")
	for _, on := range []struct {
		db, coll string
		tags     []perm.Tag
	}{{"", "", perm.ServiceTags}, {"db", "", perm.DatabaseTags}, {"db", "c", perm.CollectionTags}} {
		list := perm.For(owner, on.tags)
		for _, tag := range []perm.Tag{perm.Read, perm.Write} {
			list[tag] = perm.Access{In: []perm.Pattern{perm.Everyone}}
		}
		if err := must(w.raw.SetPermissions(t.Context(), &nodev1.SetPermissionsRequest{Database: on.db, Collection: on.coll, Permissions: list.Marshal()})); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// makers make something of a name, with a list or without one, and return the name that it got.
var makers = map[string]func(ctx context.Context, w *world, name, list string) (string, error){
	"database": func(ctx context.Context, w *world, name, list string) (string, error) {
		resp, err := w.raw.CreateDatabase(ctx, &nodev1.CreateDatabaseRequest{Database: name, Permissions: []byte(list)})
		return resp.GetDatabase(), err
	},
	"collection": func(ctx context.Context, w *world, name, list string) (string, error) {
		resp, err := w.raw.CreateCollection(ctx, &nodev1.CreateCollectionRequest{Database: ownersDB, Collection: name, Permissions: []byte(list)})
		return resp.GetCollection(), err
	},
	"syncgroup": func(ctx context.Context, w *world, name, list string) (string, error) {
		resp, err := w.raw.CreateSyncgroup(ctx, &nodev1.CreateSyncgroupRequest{
			Database: ownersDB, Syncgroup: name, Permissions: []byte(list), Collections: []*nodev1.SyncgroupCollection{{Collection: ownersC}},
		})
		return resp.GetSyncgroup(), err
	},
}

// reference: store-030
// A name without an owner becomes the caller's own: of the person, whichever of its devices calls and however long the name
// of the person is. Who has not proven to be anybody can give no name.
func TestBareNames(t *testing.T) {
	for caller, want := range map[id.Principal]string{
		"friends.local/anna":                    "friends.local/anna:bare",
		"friends.local/anna/device/phone":       "friends.local/anna:bare",
		"friends.local/anna/device/phone/app":   "friends.local/anna:bare",
		"friends.local/staff/anna/device/phone": "friends.local/staff/anna:bare",
		"friends.local/devices/anna":            "friends.local/devices/anna:bare",
		"friends.local":                         "friends.local:bare",
		laptop:                                  "home.local/owner:bare",
		owner:                                   "home.local/owner:bare",
		"":                                      "Unauthenticated ANONYMOUS",
	} {
		w := newcomers(t)
		for what, create := range makers {
			got, err := create(as(t.Context(), caller), w, "bare", "")
			if err != nil {
				got = reasonOf(err)
			}
			if got != want {
				t.Errorf("%s by %q: %s, want %s", what, caller, got, want)
			}
		}
	}
}

// reference: store-031
// What is made without a list gives every tag of its level to the person whose device makes it, and to nobody else; a list
// that is given is taken as it is.
func TestFirstLists(t *testing.T) {
	levels := map[string][]perm.Tag{"database": perm.DatabaseTags, "collection": perm.CollectionTags, "syncgroup": perm.SyncgroupTags}
	given := perm.List{perm.Admin: {In: []perm.Pattern{perm.Pattern(friend), "friends.local/bob"}}, perm.Read: {In: []perm.Pattern{perm.Everyone}}}
	w := newcomers(t)
	for what, create := range makers {
		for name, x := range map[string]struct {
			list string
			want perm.List
		}{"without": {"", perm.For(friend, levels[what])}, "with": {string(given.Marshal()), given}} {
			full, err := create(as(t.Context(), friend+"/device/phone"), w, name, x.list)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(x.want, w.listOf(what, full)); diff != "" {
				t.Errorf("%s %s a list (-want +got):\n%s", what, name, diff)
			}
		}
	}
}

// listOf reads the list of what the friend has made.
func (w *world) listOf(what, name string) perm.List {
	w.t.Helper()
	if what == "syncgroup" {
		w.fakes.mu.Lock()
		defer w.fakes.mu.Unlock()
		return w.fakes.specs[mustName(w.t, name)].Permissions
	}
	req, tags := &nodev1.GetPermissionsRequest{Database: name}, perm.DatabaseTags
	if what == "collection" {
		req, tags = &nodev1.GetPermissionsRequest{Database: ownersDB, Collection: name}, perm.CollectionTags
	}
	resp, err := w.raw.GetPermissions(as(w.t.Context(), friend), req)
	if err != nil {
		w.t.Fatal(err)
	}
	list, err := perm.Parse(resp.GetPermissions(), tags)
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

func mustName(t testing.TB, text string) id.Name {
	t.Helper()
	name, err := id.ParseName(text, "")
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// reference: store-032
// Names can be given by who extends their owner, and by nobody else: not by who is their owner's beginning, sibling or
// stranger. An owner is a principal and no pattern. Only databases can also be named by who administers the service.
func TestWhoMayGiveWhichName(t *testing.T) {
	const invalid = "InvalidArgument INVALID_NAME"
	w := newcomers(t)
	list := perm.For(owner, perm.ServiceTags)
	list[perm.Write] = perm.Access{In: []perm.Pattern{perm.Everyone}}
	list[perm.Admin] = perm.Access{In: append(list[perm.Admin].In, "friends.local/admin")}
	if err := must(w.raw.SetPermissions(t.Context(), &nodev1.SetPermissionsRequest{Permissions: list.Marshal()})); err != nil {
		t.Fatal(err)
	}
	// The list of the database lets the administrator of the service do everything there, too.
	everything := perm.For(owner, perm.DatabaseTags)
	for tag, a := range everything {
		everything[tag] = perm.Access{In: append(a.In, perm.Everyone)}
	}
	if err := must(w.raw.SetPermissions(t.Context(), &nodev1.SetPermissionsRequest{Database: "db", Permissions: everything.Marshal()})); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"friends.local:x": ok, "friends.local/anna:x": ok, "friends.local/anna/device:x": ok, "friends.local/anna/device/phone:x": ok,
		"friends.local/anna/device/tablet:x": refused, "friends.local/anna/device/phone/app:x": refused, "friends.local/bob:x": refused,
		"friends.local/ann:x": refused, "friends:x": refused, "home.local/owner:x": refused,
		"...:x": invalid, "$:x": invalid, "friends.local/$:x": invalid, "friends.local/anna/$:x": invalid, "friends.local/anna/device/phone/$:x": invalid,
		"friends.local/anna/:x": invalid, "no:": invalid, ":own": ok,
	} {
		for what, create := range makers {
			if got := trimmed(must(create(as(t.Context(), "friends.local/anna/device/phone"), w, name, ""))); got != want {
				t.Errorf("%s %s: %s, want %s", what, name, got, want)
			}
		}
	}
	for who, name := range map[id.Principal]string{"friends.local/admin": "elsewhere.net/bob:one", owner: "elsewhere.net/bob:two"} {
		ctx := as(t.Context(), who)
		for what, create := range makers {
			want := refused
			if what == "database" {
				want = ok
			}
			if got := trimmed(must(create(ctx, w, name, ""))); got != want {
				t.Errorf("%s of another by %s, who administers the service: %s, want %s", what, who, got, want)
			}
		}
		if _, err := w.raw.GetPermissions(ctx, &nodev1.GetPermissionsRequest{Database: name}); err != nil {
			t.Errorf("%s made %s and cannot administer it: %v", who, name, err)
		}
	}
}

// reference: store-029
// Something new needs no list; one that is given needs Admin for somebody and the tags of its level alone, and that of a
// syncgroup Read for whoever makes it, which Admin is not.
func TestListsOfSomethingNew(t *testing.T) {
	const admin = `"Admin":{"in":["home.local/owner"]}`
	const read = `"Read":{"in":["home.local/owner"]}`
	for list, taken := range map[string][]string{
		"":   {"collection", "database", "syncgroup"},
		`{}`: nil, `null`: nil, `{` + read + `}`: nil, `{"Admin":{"not_in":["friends.local"]},` + read + `}`: nil,
		`{` + admin + `,` + read + `}`:                          {"collection", "database", "syncgroup"},
		`{` + admin + `}`:                                       {"collection", "database"},
		`{` + admin + `,"Read":{"in":["friends.local"]}}`:       {"collection", "database"},
		`{` + admin + `,` + read + `,"Write":{"in":["..."]}}`:   {"collection", "database"},
		`{` + admin + `,` + read + `,"Resolve":{"in":["..."]}}`: {"database"},
		`{` + admin + `,` + read + `,"Debug":{"in":["..."]}}`:   nil,
	} {
		w := newcomers(t)
		var got []string
		for what, create := range makers {
			switch _, err := create(t.Context(), w, "x", list); trimmed(err) {
			case ok:
				got = append(got, what)
			case "InvalidArgument INVALID_PERMISSIONS":
			case "InvalidArgument INVALID":
				if what != "syncgroup" {
					t.Errorf("%s for a %s: %v", list, what, err)
				}
			default:
				t.Errorf("%s for a %s: %v", list, what, err)
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(taken, got); diff != "" {
			t.Errorf("%s is taken (-want +got):\n%s", list, diff)
		}
	}
}
