package host

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/syncbase/syncbase/host/internal/api"
	"github.com/syncbase/syncbase/host/internal/blobs"
	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/syncgroup"
)

// Whoever learns a reference and writes it into a row of a syncgroup of its own gets the blob only if nothing private
// refers to it.
func TestPrivateBlobsAreForMembers(t *testing.T) {
	const owner, friend = id.Principal("test.local/owner"), id.Principal("friend.local/owner/device/x")
	self := owner + "/device/a"
	store, err := kv.OpenMem()
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	h := &Host{blobs: blobs.New(store, noObjects{})}
	h.rows, err = rows.Open(store, rows.Options{Now: time.Now, NewDevice: newDevice, References: h.blobs, Random: randomNumber})
	if err != nil {
		t.Fatal(err)
	}
	db, err := h.rows.Create(id.Name{Owner: owner, Local: "db"}, perm.For(owner, perm.DatabaseTags))
	if err != nil {
		t.Fatal(err)
	}
	ref := chunk.Ref(chunk.Sum([]byte("recipe")))
	// share makes a collection with a row that refers to the blob, and a syncgroup over it.
	share := func(name string, private bool, members ...id.Principal) {
		t.Helper()
		list := perm.List{perm.Admin: {In: []perm.Pattern{"test.local"}}, perm.Read: {In: []perm.Pattern{"test.local", "friend.local"}}}
		c := id.Name{Owner: owner, Local: name}
		spec := syncgroup.Spec{
			Collections: []syncgroup.SpecCollection{{Owner: owner, Name: name}}, Permissions: list, Creator: owner, Private: private,
		}
		member := func(p id.Principal) syncgroup.Member {
			return syncgroup.Member{Principal: p, Type: syncgroup.Normal, Device: "0000000000000001"}
		}
		err := errors.Join(db.CreateCollection(id.Collection{Name: c}, perm.For(owner, perm.CollectionTags)), syncgroup.Create(db, c, spec, member(self)))
		if err == nil {
			_, err = db.Commit([]rows.Op{{Collection: id.Collection{Name: c}, Key: "k", Value: fmt.Appendf(nil, `{"$blob":%q}`, ref)}}, nil)
		}
		for _, p := range members {
			if err == nil {
				_, err = syncgroup.Admit(db, c, self, member(p))
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	want := func(when string, want bool) {
		t.Helper()
		if got, err := h.mayHave(ref, friend); err != nil || got != want {
			t.Errorf("%s: %t, %v; want %t", when, got, err, want)
		}
	}
	want("nothing refers to it", false)
	share("secret", true)
	want("a private syncgroup of others refers to it", false)
	share("open", false, friend)
	want("a syncgroup of its own refers to it, too", false)
	for readable, want := range map[string]bool{"open": false, "secret": true} {
		has, err := blobService{h}.has(api.BlobScope{DB: db.Num(), MayRead: func(c id.Collection) bool { return c.Name.Local == readable }}, ref)
		if err != nil || has != want {
			t.Errorf("a client that may read %s has it: %t, %v; want %t", readable, has, err, want)
		}
	}
	share("club", true, friend)
	want("a private syncgroup of its own refers to it, too", true)
}
