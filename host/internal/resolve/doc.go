// Package resolve finds somebody to decide conflicts that the last writer does not win.
//
// It watches what is in conflict, and offers each group, conflicts that have to be decided together, to whom the policy
// names: to resolvers of applications, which take a Seat, or to a resolver plugin. It guarantees that a group is offered
// to one at a time, that it is offered again when an answer is refused or does not come, and that a conflict which waits
// holds up nothing but its own group. It decides nothing, and keeps nothing that outlives the process: what is in
// conflict, and whether an answer fits, package rows knows.
//
// It must not know how resolvers are reached. Read Desks, Seat and Plugin.
package resolve

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// ErrPassed means that an offer is not, or no longer, the seat's to answer.
var ErrPassed = errors.New("the offer has passed")

// Plugin decides conflicts row by row.
type Plugin interface {
	// Resolve returns a decision for each conflict, in order, or an error when it decided none.
	Resolve(ctx context.Context, conflicts []rows.Conflict) ([]Decision, error)
}

// Decision is a plugin's answer to one conflict.
type Decision struct {
	// Keep leaves the conflict, and its whole group, open until it changes.
	Keep bool
	// Err says why there is no answer; the group is tried again later.
	Err error
	// Resolution is the answer; which row it is about need not be said.
	Resolution rows.Resolution
}

// Options of the desks; the zero value works.
type Options struct {
	// Plugin returns the plugin of that name. Nil for none at all.
	Plugin func(name string) Plugin
	// Pause is how long a group rests after an answer that was refused, or a plugin that failed; it doubles each time, up to
	// MaxPause. Default: 1 s and 1 min.
	Pause, MaxPause time.Duration
	// Queue bounds the rows of each database that wait in memory; the others are found again in the store when there is
	// room. Default: 10,000.
	Queue int
	// Events are told what happens.
	Events Events
}

// Events are told what happens; each may be nil.
type Events struct {
	// PluginFailed: a plugin did not decide a conflict. It is tried again.
	PluginFailed func(db id.Name, plugin string, err error)
	// Failed: the conflicts of a database could not be read. They are tried again.
	Failed func(db id.Name, err error)
}

func (o Options) withDefaults() Options {
	if o.Pause == 0 {
		o.Pause = time.Second
	}
	if o.MaxPause == 0 {
		o.MaxPause = time.Minute
	}
	if o.Queue == 0 {
		o.Queue = 10_000
	}
	if o.Plugin == nil {
		o.Plugin = func(name string) Plugin { return noPlugin(name) }
	}
	if o.Events.PluginFailed == nil {
		o.Events.PluginFailed = func(id.Name, string, error) {}
	}
	if o.Events.Failed == nil {
		o.Events.Failed = func(id.Name, error) {}
	}
	return o
}

// noPlugin stands in for a plugin that there is not.
type noPlugin string

func (p noPlugin) Resolve(context.Context, []rows.Conflict) ([]Decision, error) {
	return nil, fmt.Errorf("there is no plugin %q", string(p))
}
