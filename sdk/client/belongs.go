package client

import (
	"fmt"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// What the daemon is sent of an operation names a collection, not its database. So it is here that one which was made for
// another database is refused, before it is applied to a collection of the same name.

// own returns operations in the form on the wire, unless one is of another database.
func (d *Database) own(ops []Op) ([]*nodev1.Op, error) {
	list := make([]*nodev1.Op, len(ops))
	for i, op := range ops {
		if op.db != nil && !d.same(op.db) {
			return nil, &Error{Message: fmt.Sprintf("operation %d is %s", i+1, d.stranger(op.db)), Operation: i + 1, kind: ErrInvalid}
		}
		list[i] = op.op
	}
	return list, nil
}

// owns refuses a collection of another database.
func (d *Database) owns(c *Collection) error {
	if d.same(c.db) {
		return nil
	}
	return invalid("the collection %s is %s", c.name, d.stranger(c.db))
}

func (d *Database) same(other *Database) bool {
	return d == other || d.name == other.name && d.c.like(other.c)
}

// like tells whether two clients are of the same daemon and speak for the same caller, so that names mean the same to both.
func (c *Client) like(other *Client) bool {
	return c == other || c.address != "" && c.address == other.address && c.cert == other.cert
}

// stranger says where something belongs that is not of this database.
func (d *Database) stranger(other *Database) string {
	if !d.c.like(other.c) {
		return fmt.Sprintf("of another client, of the daemon at %s, and the batch is of one at %s", other.c.address, d.c.address)
	}
	return fmt.Sprintf("of the database %s, and the batch is of %s", other.name, d.name)
}
