package rows

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// Atlas tells people what lies, or lay, at a key of the store. The zero value knows no names.
type Atlas struct {
	dbs   map[uint32]id.Name
	colls map[uint32]map[uint32]id.Collection
}

// NewAtlas reads the names of databases and collections.
func NewAtlas(from kv.Reader) (*Atlas, error) {
	a := &Atlas{}
	it, err := from.Iter([]byte{spaceDatabase}, []byte{spaceCollection + 1})
	if err != nil {
		return a, err
	}
	for ok := it.First(); ok; ok = it.Next() {
		a.Learn(it.Key(), it.Value())
	}
	return a, it.Close()
}

// Learn takes note of a name, if the key has one.
func (a *Atlas) Learn(key, value []byte) {
	switch {
	case len(key) > 1 && key[0] == spaceDatabase:
		if name, valid := parseName(key[1:]); valid && len(value) >= 5 {
			if a.dbs == nil {
				a.dbs = map[uint32]id.Name{}
			}
			a.dbs[binary.BigEndian.Uint32(value[1:])] = name
		}
	case len(key) == collKeyLen && key[0] == spaceCollection:
		c := cursor{data: slices.Clone(value)}
		c.version()
		coll := id.Collection{Kind: id.CollectionKind(c.byte()), Name: id.Name{Owner: id.Principal(c.string()), Local: c.string()}}
		if c.bad {
			return
		}
		db := binary.BigEndian.Uint32(key[1:])
		if a.colls == nil {
			a.colls = map[uint32]map[uint32]id.Collection{}
		}
		if a.colls[db] == nil {
			a.colls[db] = map[uint32]id.Collection{}
		}
		a.colls[db][binary.BigEndian.Uint32(key[5:])] = coll
	}
}

// Owners are the owners of databases, in order.
func (a *Atlas) Owners() []id.Principal {
	owners := map[id.Principal]bool{}
	for _, name := range a.dbs {
		owners[name.Owner] = true
	}
	return slices.Sorted(maps.Keys(owners))
}

// kinds of keys, in words.
var kinds = map[byte]string{
	0x00: "the format", spaceNode: "the name of the device and of the store's access list", 0x02: "where peers were met", 0x03: "the place", 0x04: "the clock",
	spaceDatabase: "databases' names and access lists", spaceCollection: "collections' names", spaceRow: "rows", spaceTomb: "tombstones",
	spaceLog: "the log", spaceSeq: "the list of commits", spaceKnowledge: "what is known of scopes", spaceSchema: "schemas",
	spaceSyncgroup: "syncgroups' states", spaceOpen: "conflicts", spaceReclaim: "what was reclaimed", spaceBurial: "destroyed collections",
	0x1c: "invitations", spaceDigest: "sums",
}

func kind(space byte) string {
	if what, known := kinds[space]; known {
		return what
	}
	if space >= 0x40 && space < 0x60 {
		return "blobs"
	}
	return fmt.Sprintf("space %02x", space)
}

// Range says what lies between two keys.
func (a *Atlas) Range(after, upTo []byte) string {
	if len(upTo) == 0 {
		return "something unknown"
	}
	if len(after) > 0 && after[0] != upTo[0] {
		after = nil // tables end with their space
	}
	from, to := a.point(after, upTo[0]), a.point(upTo, upTo[0])
	text := kind(upTo[0])
	if to.where != "" {
		text += " of "
		if from.where != "" && from.where != to.where {
			text += from.where + " to "
		}
		text += to.where
	}
	switch {
	case to.key == "":
	case from.key == "" || from.where != to.where:
		text += fmt.Sprintf(" up to %q", to.key)
	default:
		text += fmt.Sprintf(" after %q up to %q", from.key, to.key)
	}
	return text
}

// point is a key in words.
type point struct{ where, key string }

func (a *Atlas) point(key []byte, space byte) (p point) {
	if len(key) < 5 || !slices.Contains(spacesOfDatabase, space) {
		return p
	}
	num := binary.BigEndian.Uint32(key[1:])
	p.where = fmt.Sprintf("database number %d", num)
	if name, known := a.dbs[num]; known {
		p.where = name.String()
	}
	if len(key) < collKeyLen || space == spaceSeq || space == spaceSchema || space == spaceSyncgroup || space == spaceReclaim {
		return p
	}
	coll := binary.BigEndian.Uint32(key[5:])
	if c, known := a.colls[num][coll]; known {
		p.where += " " + c.String()
	} else {
		p.where += fmt.Sprintf(" collection number %d", coll)
	}
	if space == spaceRow || space == spaceTomb {
		p.key = string(key[collKeyLen:])
	}
	return p
}
