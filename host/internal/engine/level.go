package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/syncgroup"
)

// Source is a peer to ask, and how.
type Source struct {
	Peer Peer
	Open Opener
}

// Level returns when this device holds everything of the syncgroup that the peers held when they were asked. It needs
// somebody to be following them.
func (e *Engine) Level(ctx context.Context, db *rows.DB, g syncgroup.Group, peers []Source) error {
	want, err := e.probeAll(ctx, db, g, peers)
	if err != nil {
		return err
	}
	for {
		state, more := db.More()
		if err := db.Err(); err != nil {
			return err
		}
		if state.Paused {
			return fmt.Errorf("%w: %s", ErrPaused, db.Name())
		}
		if level(state.Know, want) {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// probeAll asks all peers at once what they hold of the syncgroup: one that hangs does not keep the others from being asked.
func (e *Engine) probeAll(ctx context.Context, db *rows.DB, g syncgroup.Group, peers []Source) (want []delta.ScopeVector, err error) {
	var all sync.WaitGroup
	// mu guards want and err.
	var mu sync.Mutex
	for _, p := range peers {
		all.Go(func() {
			held, probeErr := probe(ctx, db, []id.Name{g.Name}, withInside(db, g.Spec.Scopes(g.Name)), p.Open)
			e.noteAnswer(p.Peer, db, held)
			mu.Lock()
			defer mu.Unlock()
			want, err = append(want, held...), cmp.Or(err, probeErr)
		})
	}
	all.Wait()
	return want, err
}

func level(know *delta.Knowledge, want []delta.ScopeVector) bool {
	for _, w := range want {
		if !know.At(w.Scope).Dominates(w.Vector) {
			return false
		}
	}
	return true
}

// probe asks a peer what it holds of the scopes of the syncgroups.
func probe(ctx context.Context, db *rows.DB, names []id.Name, scopes []id.Scope, open Opener) ([]delta.ScopeVector, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var known []delta.ScopeVector
	for _, s := range scopes {
		known = append(known, delta.ScopeVector{Scope: s})
	}
	stream, err := open(ctx, delta.Open{
		Database: db.Name(), Syncgroups: names, Known: known,
		Window: window, Self: db.Writer(), Probe: true,
	})
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	for {
		m, err := stream.Recv()
		if err != nil {
			return nil, fmt.Errorf("ask what the peer holds: %w", err)
		}
		switch {
		case m.Progress != nil:
			return m.Progress, nil
		case m.Commits != nil:
			return nil, errors.New("ask what the peer holds: it sent commits instead")
		}
	}
}
