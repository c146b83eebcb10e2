package client

import (
	"context"
	"iter"
	"time"

	"google.golang.org/grpc"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// Conflict is a row with versions none of which follows from another. Readers see the one that was written last.
type Conflict struct {
	// Collection is a full name.
	Collection, Key string
	// Local is what the daemon's device wrote itself or, if it wrote none of the versions, what it knew first.
	Local ConflictVersion
	// Remote is the last written of the others; nil for a row that is not in conflict but belongs to the group of one.
	Remote *ConflictVersion
	// Ancestor is the nearest version that all follow from; nil when there is none or it is no longer kept.
	Ancestor *ConflictVersion
	// Others are versions beyond the two, the last written first.
	Others []ConflictVersion
	// Shown is the version that readers see.
	Shown string
	// Resolver is who is to resolve it, with all that has to be decided along with it: "app", "defer" or "plugin:NAME". Of a
	// row that an application is offered only because it was written along with others, it is what the rules say of that row.
	Resolver string
}

// ConflictVersion is one version of a row in conflict.
type ConflictVersion struct {
	Version string
	Updated time.Time
	// Deleted: the version deleted the row, and has no value.
	Deleted bool
	Value   Value
	// Batch names the batch that it was written in; empty when that is no longer known.
	Batch string
}

// Open reports whether the row is in conflict.
func (c *Conflict) Open() bool { return c.Remote != nil }

func conflictOf(p *nodev1.Conflict) Conflict {
	c := Conflict{
		Collection: p.GetCollection(), Key: p.GetKey(), Local: conflictVersionOf(p.GetLocal()),
		Shown: p.GetShown(), Resolver: p.GetResolver(),
	}
	for to, from := range map[**ConflictVersion]*nodev1.ConflictVersion{&c.Remote: p.GetRemote(), &c.Ancestor: p.GetAncestor()} {
		if from != nil {
			v := conflictVersionOf(from)
			*to = &v
		}
	}
	for _, o := range p.GetOthers() {
		c.Others = append(c.Others, conflictVersionOf(o))
	}
	return c
}

func conflictVersionOf(p *nodev1.ConflictVersion) ConflictVersion {
	return ConflictVersion{
		Version: p.GetVersion(), Updated: timeOf(p.GetUpdated()), Deleted: p.GetDeleted(), Batch: p.GetBatch(),
		Value: Value{Bytes: p.GetValue(), Raw: p.GetRaw(), Type: p.GetType()},
	}
}

// Conflicts iterates over the rows in conflict that the caller may read, in order of collections and keys. An error is the
// last thing yielded.
func (d *Database) Conflicts(ctx context.Context) iter.Seq2[Conflict, error] {
	return list(ctx, d.c, func(ctx context.Context) (grpc.ServerStreamingClient[nodev1.ListConflictsResponse], error) {
		return d.c.api.ListConflicts(ctx, &nodev1.ListConflictsRequest{Database: d.name})
	}, func(m *nodev1.ListConflictsResponse) Conflict { return conflictOf(m.GetConflict()) })
}

// Resolution says what a row in conflict is to be. The methods of Conflict make one; the zero value is none.
type Resolution struct {
	p   *nodev1.Resolution
	err error
}

// of names the row, and the versions between which was decided if they are known.
func (c *Conflict) of() *nodev1.Resolution {
	r := &nodev1.Resolution{Collection: c.Collection, Key: c.Key}
	if c.Local.Version == "" || c.Remote == nil {
		return r
	}
	r.Versions = []string{c.Local.Version, c.Remote.Version}
	for _, o := range c.Others {
		r.Versions = append(r.Versions, o.Version)
	}
	return r
}

// TakeLocal gives the row the content of the local version. Of a Conflict only the names need be known for it, as for all
// that follow: then it is decided between whatever versions there are.
func (c *Conflict) TakeLocal() Resolution { return c.side(nodev1.Side_SIDE_LOCAL) }

// TakeRemote gives the row the content of the remote version.
func (c *Conflict) TakeRemote() Resolution { return c.side(nodev1.Side_SIDE_REMOTE) }

func (c *Conflict) side(side nodev1.Side) Resolution {
	r := c.of()
	r.Result = &nodev1.Resolution_Side{Side: side}
	return Resolution{p: r}
}

// Take gives the row the content of one of the versions.
func (c *Conflict) Take(version string) Resolution {
	r := c.of()
	r.Result = &nodev1.Resolution_Pick{Pick: version}
	return Resolution{p: r}
}

// Delete removes the row.
func (c *Conflict) Delete() Resolution {
	r := c.of()
	r.Result = &nodev1.Resolution_Delete{Delete: true}
	return Resolution{p: r}
}

// Merge gives the row a new value, which is encoded as for Collection.Put.
func (c *Conflict) Merge(value any) Resolution {
	v, err := valueOf(value)
	r := c.of()
	r.Result = &nodev1.Resolution_Merge{Merge: &nodev1.Merge{Value: v.Bytes, Raw: v.Raw, Type: v.Type}}
	return Resolution{p: r, err: err}
}

// protos returns resolutions in the form on the wire.
func protos(list []Resolution) ([]*nodev1.Resolution, error) {
	out := make([]*nodev1.Resolution, len(list))
	for i, r := range list {
		if r.err != nil {
			return nil, r.err
		}
		if r.p == nil {
			return nil, invalid("resolution %d says nothing", i+1)
		}
		out[i] = r.p
	}
	return out, nil
}

// Resolve ends conflicts, whoever was to resolve them, as one batch: all that are named, or none. It returns the version that
// each row has then. It fails with ErrConflict when a row is in conflict between other versions than those of the Conflict,
// and with ErrNotFound when it is not in conflict.
func (d *Database) Resolve(ctx context.Context, resolutions ...Resolution) (versions []string, err error) {
	req := &nodev1.ResolveConflictsRequest{Database: d.name}
	if req.Resolutions, err = protos(resolutions); err != nil {
		return nil, err
	}
	resp, err := d.c.api.ResolveConflicts(ctx, req)
	return resp.GetVersions(), d.c.failure(err)
}
