package acl

import (
	"errors"
	"testing"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
)

const (
	owner    id.Principal = "home.local/owner"
	laptop   id.Principal = "home.local/owner/device/laptop"
	friend   id.Principal = "friends.local/anna"
	stranger id.Principal = "elsewhere.local/x"
)

// list gives each tag to the principals named for it.
func list(access map[perm.Tag][]perm.Pattern) perm.List {
	l := perm.List{}
	for tag, in := range access {
		l[tag] = perm.Access{In: in}
	}
	return l
}

func TestServiceAndNames(t *testing.T) {
	ours := id.Name{Owner: owner, Local: "notes"}
	devices := id.Name{Owner: laptop, Local: "notes"}
	service := list(map[perm.Tag][]perm.Pattern{perm.Admin: {"home.local/owner/device/laptop"}, perm.Read: {"friends.local"}})
	for _, c := range []struct {
		what string
		got  error
		want error
	}{
		{"owner whom the list leaves out", Service(owner, service, owner, perm.Admin), nil},
		{"device that the list names", Service(owner, service, laptop, perm.Admin), nil},
		{"device without the tag", Service(owner, service, laptop, perm.Write), ErrNoAccess},
		{"device that the list leaves out", Service(owner, service, owner+"/device/phone", perm.Admin), ErrNoAccess},
		{"friend with the tag", Service(owner, service, friend, perm.Read), nil},
		{"friend without the tag", Service(owner, service, friend, perm.Admin), ErrNoAccess},
		{"stranger at the daemon", Service(owner, service, stranger, perm.Read), ErrNoAccess},
		{"nobody at the daemon", Service(owner, service, "", perm.Read), ErrNoAccess},
		{"nobody at a daemon of nobody", Service("", nil, "", perm.Read), ErrNoAccess},
		{"owner creates own name", Create(owner, ours), nil},
		{"device creates its owner's name", Create(laptop, ours), nil},
		{"owner creates the name of a device", Create(owner, devices), ErrNoAccess},
		{"friend creates our name", Create(friend, ours), ErrNoAccess},
		{"nobody creates", Create("", ours), ErrNoAccess},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
}

func TestLists(t *testing.T) {
	database := list(map[perm.Tag][]perm.Pattern{
		perm.Admin: {"home.local/owner"}, perm.Read: {"home.local/owner", "friends.local/reader"},
		perm.Write: {"home.local/owner", "friends.local/writer"}, perm.Resolve: {"friends.local"},
	})
	collection := list(map[perm.Tag][]perm.Pattern{
		perm.Admin: {"home.local/owner"}, perm.Read: {"home.local/owner", "friends.local/anna"},
	})
	collection[perm.Write] = perm.Access{In: []perm.Pattern{perm.Everyone}, NotIn: []perm.Pattern{"friends.local"}}
	syncgroup := list(map[perm.Tag][]perm.Pattern{perm.Admin: {"home.local/owner/$"}, perm.Read: {"home.local/owner"}})

	for _, c := range []struct {
		caller id.Principal
		what   string
		got    error
		want   error
	}{
		{owner, "see", See(database, owner), nil},
		{friend, "see by Resolve", See(database, friend), nil},
		{stranger, "see", See(database, stranger), ErrHidden},
		{"", "see", See(database, ""), ErrHidden},
		{laptop, "write database", Database(database, laptop, perm.Write), nil},
		{friend, "read database", Database(database, friend, perm.Read), ErrNoAccess},
		{stranger, "read database", Database(database, stranger, perm.Read), ErrHidden},
		{laptop, "read rows", Collection(database, collection, laptop, perm.Read), nil},
		{friend, "read rows", Collection(database, collection, friend, perm.Read), nil},
		{friend, "write rows", Collection(database, collection, friend, perm.Write), ErrNoAccess},
		{"friends.local/bob", "read rows", Collection(database, collection, "friends.local/bob", perm.Read), ErrHidden},
		{"friends.local/reader", "read rows", Collection(database, collection, "friends.local/reader", perm.Read), ErrNoAccess},
		{stranger, "write rows that everyone may write, in a hidden database", Collection(database, collection, stranger, perm.Write), ErrHidden},
		{owner, "collection that does not exist", Collection(database, nil, owner, perm.Read), ErrNoAccess},
		{"friends.local/writer", "read rows", Collection(database, collection, "friends.local/writer", perm.Read), ErrNoAccess},
		{laptop, "destroy by the database's Admin", Destroy(database, nil, laptop), nil},
		{friend, "destroy", Destroy(database, collection, friend), ErrNoAccess},
		{"friends.local/bob", "destroy", Destroy(database, collection, "friends.local/bob"), ErrHidden},
		{owner, "administer syncgroup", Syncgroup(database, syncgroup, owner, perm.Admin), nil},
		{laptop, "administer syncgroup", Syncgroup(database, syncgroup, laptop, perm.Admin), ErrNoAccess},
		{laptop, "read syncgroup", Syncgroup(database, syncgroup, laptop, perm.Read), nil},
		{friend, "read syncgroup", Syncgroup(database, syncgroup, friend, perm.Read), ErrHidden},
		{stranger, "read syncgroup", Syncgroup(database, syncgroup, stranger, perm.Read), ErrHidden},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s, %s: %v, want %v", c.caller, c.what, c.got, c.want)
		}
	}
}
