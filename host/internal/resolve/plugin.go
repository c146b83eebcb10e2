package resolve

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/syncbase/syncbase/host/internal/merge"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// pluginBatch is how many rows a plugin is asked about at a time, unless one group has more.
const pluginBatch = 64

// pluginQueue are rows that wait for a plugin.
type pluginQueue struct {
	// mu guards the fields below it.
	mu     sync.Mutex
	queue  []rows.ConflictRef
	queued map[rows.ConflictRef]bool
	// filled has a token when there may be something in the queue.
	filled chan struct{}
}

func newPluginQueue() *pluginQueue {
	return &pluginQueue{queued: map[rows.ConflictRef]bool{}, filled: make(chan struct{}, 1)}
}

func (q *pluginQueue) add(ref rows.ConflictRef) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.queued[ref] {
		q.queued[ref] = true
		q.queue = append(q.queue, ref)
	}
	select {
	case q.filled <- struct{}{}:
	default:
	}
}

func (q *pluginQueue) take() (rows.ConflictRef, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.queue) == 0 {
		return rows.ConflictRef{}, false
	}
	ref := q.queue[0]
	q.queue = q.queue[1:]
	delete(q.queued, ref)
	return ref, true
}

// work asks one plugin until ctx ends.
func (d *desk) work(ctx context.Context, name string) {
	d.mu.Lock()
	q := d.plugins[name]
	d.mu.Unlock()
	for ctx.Err() == nil {
		groups, err := d.gather(q, name)
		if err != nil && d.db.Err() == nil {
			d.opts.Events.Failed(d.db.Name(), err)
		}
		if len(groups) == 0 {
			select {
			case <-q.filled:
			case <-ctx.Done():
			}
			continue
		}
		d.ask(ctx, name, groups)
	}
}

// gather reads the next groups that the plugin is to decide.
func (d *desk) gather(q *pluginQueue, name string) (groups []rows.Group, errs error) {
	seen := map[rows.ConflictRef]bool{}
	for n := 0; n < pluginBatch; {
		ref, found := q.take()
		if !found {
			break
		}
		if seen[ref] {
			continue
		}
		g, err := d.db.ConflictGroup(ref)
		switch {
		case errors.Is(err, rows.ErrNoConflict), errors.Is(err, rows.ErrNoCollection):
			continue
		case err != nil:
			errs = errors.Join(errs, err)
			d.rest(ref)
			continue
		case g.Choice != merge.Choice{Method: merge.Plugin, Plugin: name}:
			continue // the policy has changed, and run has sorted it anew
		}
		for i := range g.Conflicts {
			seen[g.Conflicts[i].ConflictRef] = true
		}
		n += len(g.Conflicts)
		groups = append(groups, g)
	}
	return groups, errs
}

// ask lets the plugin decide groups in one call, and resolves those that it has decided.
func (d *desk) ask(ctx context.Context, name string, groups []rows.Group) {
	var conflicts []rows.Conflict
	for i := range groups {
		conflicts = append(conflicts, contested(&groups[i])...)
	}
	decisions, err := d.opts.Plugin(name).Resolve(ctx, conflicts)
	if err == nil && len(decisions) != len(conflicts) {
		err = fmt.Errorf("%d decisions for %d conflicts", len(decisions), len(conflicts))
	}
	for i := range groups {
		part := contested(&groups[i])
		failure := err
		if err == nil {
			failure = d.decide(part, decisions[:len(part)])
			decisions = decisions[len(part):]
		}
		if failure != nil && ctx.Err() == nil {
			d.opts.Events.PluginFailed(d.db.Name(), name, failure)
			for j := range part {
				d.rest(part[j].ConflictRef)
			}
		}
	}
}

// contested returns the rows of a group that are in conflict.
func contested(g *rows.Group) []rows.Conflict {
	for i := range g.Conflicts {
		if !g.Conflicts[i].Open() {
			return g.Conflicts[:i]
		}
	}
	return g.Conflicts
}

// decide resolves a group as the plugin says.
func (d *desk) decide(conflicts []rows.Conflict, decisions []Decision) error {
	list := make([]rows.Resolution, len(conflicts))
	for i := range decisions {
		switch {
		case decisions[i].Err != nil:
			return fmt.Errorf("%s: %w", conflicts[i].ConflictRef, decisions[i].Err)
		case decisions[i].Keep:
			return nil
		}
		list[i] = decisions[i].Resolution
		list[i].ConflictRef = conflicts[i].ConflictRef
		list[i].Siblings = nil
		for _, s := range conflicts[i].Siblings {
			list[i].Siblings = append(list[i].Siblings, s.Version)
		}
	}
	_, err := d.db.Resolve(list, nil)
	if errors.Is(err, rows.ErrConflict) || errors.Is(err, rows.ErrNoConflict) {
		return nil // it has changed: run finds it again
	}
	return err
}
