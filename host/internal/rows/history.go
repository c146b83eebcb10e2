package rows

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// MaxHistory bounds how many versions History returns.
const MaxHistory = 10_000

// Node is one version in the graph of a row.
type Node struct {
	Version id.Version
	// Parents are the versions it was made from and, when it won conflicts, those that lost against it.
	Parents []id.Version
	Time    hlc.Time
	Deleted bool
	Value   []byte
	Raw     bool
	// Batch is the version of the first record of its commit.
	Batch id.Version
	// Head: no other version follows from it. There are several only while the row is in conflict.
	Head bool
}

// History returns the current version of a row and its version graph as far as it is retained, newest first. A deleted
// row has a history; a row never heard of is ErrNoRow.
func (db *DB) History(c id.Collection, key string) (id.Version, []Node, error) {
	if err := id.ValidateKey(key); err != nil {
		return id.Version{}, nil, refusal{err}
	}
	v, err := db.readable(c)
	if err != nil {
		return id.Version{}, nil, err
	}
	num, buried := v.num, db.Buried(c)
	data, err := db.s.kv.Get(rowKey(spaceRow, db.num, num, key))
	if errors.Is(err, kv.ErrNotFound) {
		data, err = db.s.kv.Get(rowKey(spaceTomb, db.num, num, key))
	}
	if errors.Is(err, kv.ErrNotFound) {
		return id.Version{}, nil, fmt.Errorf("%w: %s", ErrNoRow, describe(c, key))
	}
	if err != nil {
		return id.Version{}, nil, err
	}
	head, err := decodeHead(data)
	if err != nil {
		return id.Version{}, nil, err
	}
	if buried.Covers(head.Version) {
		return id.Version{}, nil, fmt.Errorf("%w: %s", ErrNoRow, describe(c, key))
	}
	heads, todo := []id.Version{head.Version}, slices.Concat(head.Aside, head.Tips, []id.Version{head.Version})
	if contested(data) {
		err := openHeads(db.s.kv, db.num, num, key, func(h history.Head, _ []byte) {
			heads, todo = append(heads, h.Version), slices.Concat(todo, h.Aside, h.Tips, []id.Version{h.Version})
		})
		if err != nil {
			return id.Version{}, nil, err
		}
	}
	g := graph{db: db, coll: num, buried: buried, nodes: map[id.Version]*Node{}, links: map[id.Version]wire.Record{}}
	if err := g.walk(todo); err != nil {
		return id.Version{}, nil, err
	}
	for _, v := range heads {
		if n := g.nodes[v]; n != nil {
			n.Head = true
		}
	}
	return head.Version, g.list(), nil
}

// graph collects the ancestry of a row from the log. Links are not versions: they become parents of their winners.
type graph struct {
	db   *DB
	coll uint32
	// buried versions were destroyed with the collection, and are not shown.
	buried id.Vector
	nodes  map[id.Version]*Node
	links  map[id.Version]wire.Record
}

func (g *graph) walk(todo []id.Version) error {
	for len(todo) > 0 && len(g.nodes)+len(g.links) < MaxHistory {
		v := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if _, isLink := g.links[v]; isLink || g.nodes[v] != nil || g.buried.Covers(v) {
			continue
		}
		rec, h, err := g.db.logRecord(g.coll, v)
		if errors.Is(err, kv.ErrNotFound) {
			continue // reclaimed
		}
		if err != nil {
			return err
		}
		if rec.Kind == wire.Link {
			g.links[v] = rec
		} else {
			g.nodes[v] = &Node{
				Version: v, Parents: rec.Parents, Time: h.time, Deleted: rec.Kind == wire.Delete, Value: rec.Value,
				Raw: rec.Raw, Batch: id.Version{Writer: v.Writer, Gen: v.Gen - h.index},
			}
		}
		todo = append(todo, rec.Parents...)
	}
	return nil
}

// list replaces links by what they mean and orders the versions.
func (g *graph) list() []Node {
	for _, n := range g.nodes {
		n.Parents = g.resolve(n.Parents, n.Version)
	}
	for _, l := range g.links {
		if winner := g.nodes[l.Parents[0]]; winner != nil {
			losers := g.resolve(l.Parents[1:], winner.Version)
			winner.Parents = append(winner.Parents, losers...)
		}
	}
	list := make([]Node, 0, len(g.nodes))
	for _, n := range g.nodes {
		slices.SortFunc(n.Parents, id.Version.Compare)
		n.Parents = slices.Compact(n.Parents)
		list = append(list, *n)
	}
	slices.SortFunc(list, func(a, b Node) int {
		if c := cmp.Compare(b.Time, a.Time); c != 0 {
			return c
		}
		return b.Version.Compare(a.Version)
	})
	return list
}

// resolve replaces each link by the version that won through it, and leaves out self.
func (g *graph) resolve(parents []id.Version, self id.Version) []id.Version {
	var list []id.Version
	for _, p := range parents {
		for {
			link, isLink := g.links[p]
			if !isLink {
				break
			}
			p = link.Parents[0]
		}
		if p != self {
			list = append(list, p)
		}
	}
	return list
}
