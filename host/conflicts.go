package host

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/plug"
	"github.com/syncbase/syncbase/host/internal/resolve"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/wire"
)

func (h *Host) newDesks() error {
	h.desks = resolve.New(h.rows, resolve.Options{
		Plugin: func(name string) resolve.Plugin { return resolverPlugin{h, name} },
		Events: resolve.Events{
			PluginFailed: func(db id.Name, plugin string, err error) {
				h.log.Warn("conflict is not resolved", "database", db, "plugin", plugin, "error", err)
			},
			Failed: func(db id.Name, err error) { h.log.Error("conflicts cannot be read", "database", db, "error", err) },
		},
	})
	return nil
}

// resolverPlugin lets a plugin decide conflicts.
type resolverPlugin struct {
	h    *Host
	name string
}

// pluginPatience is how long a resolver plugin may take to become ready, beside the time for each conflict.
const pluginPatience = 20 * time.Second

func (p resolverPlugin) Resolve(ctx context.Context, conflicts []rows.Conflict) ([]resolve.Decision, error) {
	if c, found := p.h.opts.Config.Plugins[p.name]; !found || plug.Kind(c.Kind) != plug.KindResolver {
		return nil, fmt.Errorf("the schema names the resolver plugin %q, which the configuration of this daemon has not", p.name)
	}
	ctx, cancel := context.WithTimeout(ctx, pluginPatience+time.Duration(len(conflicts))*plug.ItemLimit)
	defer cancel()
	requests := make([]plug.Request, len(conflicts))
	for i := range conflicts {
		requests[i] = conflictRequest(&conflicts[i])
	}
	answers, err := p.h.plugins.Resolver(p.name).Resolve(ctx, requests)
	if err != nil {
		return nil, fmt.Errorf("%w%s", err, p.h.pluginMessage(p.name, err))
	}
	decisions := make([]resolve.Decision, len(answers))
	for i := range answers {
		decisions[i] = decisionOf(&answers[i], &conflicts[i])
	}
	return decisions, nil
}

func conflictRequest(c *rows.Conflict) plug.Request {
	r := plug.Request{Collection: c.Collection.Name.String(), Key: c.Key}
	if c.Ancestor != nil {
		base := pluginVersion(c.Ancestor)
		r.Base = &base
	}
	siblings := slices.Clone(c.Siblings)
	slices.SortFunc(siblings, func(a, b rows.Sibling) int { return a.Version.Compare(b.Version) })
	for i := range siblings {
		r.Siblings = append(r.Siblings, pluginVersion(&siblings[i]))
	}
	return r
}

func pluginVersion(s *rows.Sibling) plug.Version {
	return plug.Version{
		ID: versionBytes(s.Version), Author: s.Version.Writer.Device[:], HLC: uint64(s.Time),
		Deleted: s.Deleted, Type: s.Type, Value: s.Value,
	}
}

// versionBytes names a version so that the order of the bytes is that of versions.
func versionBytes(v id.Version) []byte {
	return binary.BigEndian.AppendUint64(wire.AppendWriter(nil, v.Writer), v.Gen)
}

// decisionOf reads what a plugin says. A merged value is bytes if those that it takes the place of are, and JSON otherwise.
func decisionOf(a *plug.Decision, c *rows.Conflict) resolve.Decision {
	switch {
	case a.Err != nil:
		return resolve.Decision{Err: a.Err}
	case a.Verdict == plug.Delete:
		return resolve.Decision{Resolution: rows.Resolution{Delete: true}}
	case a.Verdict == plug.Merged:
		return resolve.Decision{Resolution: rows.Resolution{Value: a.Value, Type: a.Type, Raw: allRaw(c)}}
	case a.Verdict == plug.Pick:
		for i := range c.Siblings {
			if v := c.Siblings[i].Version; string(versionBytes(v)) == string(a.Pick) {
				return resolve.Decision{Resolution: rows.Resolution{Pick: v}}
			}
		}
	}
	return resolve.Decision{Keep: true}
}

// allRaw reports whether every value of the conflict is bytes.
func allRaw(c *rows.Conflict) bool {
	raw := false
	for i := range c.Siblings {
		if s := &c.Siblings[i]; !s.Deleted {
			if !s.Raw {
				return false
			}
			raw = true
		}
	}
	return raw
}
