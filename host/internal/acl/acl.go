// Package acl decides who may do what: at the level of the daemon, of a database, of a collection and of a syncgroup.
//
// Every decision is a pure function of the caller and of the access lists at hand; nothing is stored or looked up here.
// Two rules hold throughout. Who has no tag at all on a database is told that it does not exist, so that nobody learns the
// names of what is not theirs. And names belong to their owner: only a principal that extends the owner of a name may
// create something of that name, on whatever device; the one exception are databases, which stay on the device, for who
// administers it.
//
// It knows nothing of calls, certificates or storage. Read Database and Collection first.
package acl

import (
	"errors"
	"fmt"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
)

// Sentinels that callers branch on.
var (
	// ErrNoAccess means that the caller may know that the object exists, but may not do this to it.
	ErrNoAccess = errors.New("no access")
	// ErrHidden means that the caller is to hear the same as if the object did not exist.
	ErrHidden = errors.New("not visible to the caller")
)

// Service decides what concerns the daemon as a whole. The owner in person may do everything, whatever the list says: it
// holds the disk, and could otherwise lock itself out of its own device. For everybody else, its other devices among them,
// the list counts.
func Service(owner id.Principal, list perm.List, caller id.Principal, tag perm.Tag) error {
	if caller != "" && caller == owner || list.Allows(caller, tag) {
		return nil
	}
	return refuse(caller, fmt.Sprintf("do this; it takes the tag %s on the service", tag))
}

// Knows decides whether the caller may know which children exist of something with this list: of the service, which
// databases; of a database, which collections and syncgroups. Who may list, create or destroy them may.
func Knows(parent perm.List, caller id.Principal) bool {
	return parent.Allows(caller, perm.Read) || parent.Allows(caller, perm.Write) || parent.Allows(caller, perm.Admin)
}

// Create decides whether the caller may create something that bears the name.
func Create(caller id.Principal, name id.Name) error {
	if caller != "" && caller.Extends(name.Owner) {
		return nil
	}
	return refuse(caller, "create "+name.String()+": the name belongs to another principal")
}

// Destroy decides about the end of a collection: it takes Admin on it or on the database.
func Destroy(database, collection perm.List, caller id.Principal) error {
	if database.Allows(caller, perm.Admin) {
		return nil
	}
	return Collection(database, collection, caller, perm.Admin)
}

// See decides whether the caller may know of a database: any tag will do.
func See(list perm.List, caller id.Principal) error {
	if list.AllowsAny(caller) {
		return nil
	}
	return ErrHidden
}

// Database decides about a database as a whole.
func Database(list perm.List, caller id.Principal, tag perm.Tag) error {
	if err := See(list, caller); err != nil {
		return err
	}
	if list.Allows(caller, tag) {
		return nil
	}
	return refuse(caller, fmt.Sprintf("do this; it takes the tag %s on the database", tag))
}

// Collection decides about a collection and its rows. A tag on the database is needed to get that far, the tag itself has
// to be on the collection. Who may neither know the collections of the database nor do anything to this one is not told
// of it.
func Collection(database, collection perm.List, caller id.Principal, tag perm.Tag) error {
	if err := See(database, caller); err != nil {
		return err
	}
	if collection.Allows(caller, tag) {
		return nil
	}
	if !Knows(database, caller) && !collection.AllowsAny(caller) {
		return ErrHidden
	}
	return refuse(caller, fmt.Sprintf("do this; it takes the tag %s on the collection", tag))
}

// Syncgroup decides about a syncgroup, by the same rule as Collection.
func Syncgroup(database, syncgroup perm.List, caller id.Principal, tag perm.Tag) error {
	if err := See(database, caller); err != nil {
		return err
	}
	if syncgroup.Allows(caller, tag) {
		return nil
	}
	if !Knows(database, caller) && !syncgroup.AllowsAny(caller) {
		return ErrHidden
	}
	return refuse(caller, fmt.Sprintf("do this; it takes the tag %s on the syncgroup", tag))
}

func refuse(caller id.Principal, what string) error {
	if caller == "" {
		caller = "an unknown caller"
	}
	return fmt.Errorf("%w: %s may not %s", ErrNoAccess, caller, what)
}
