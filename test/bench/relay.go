package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/syncbase/syncbase/sdk/client"
)

// measureRelay takes how long a change is on the way from a to b through r: a and b listen nowhere, so neither reaches the other.
// The way from a to r alone, in the same run, stands beside it.
func measureRelay(ctx context.Context, opts options, dir string, t *table) error {
	r, err := start(ctx, opts.binary, filepath.Join(dir, "r"), "r")
	if err != nil {
		return err
	}
	defer r.stop()
	if err := r.found(ctx); err != nil {
		return err
	}
	a, err := r.member(ctx, filepath.Join(dir, "a"), "a", deaf)
	if err != nil {
		return err
	}
	defer a.stop()
	b, err := r.member(ctx, filepath.Join(dir, "b"), "b", deaf)
	if err != nil {
		return err
	}
	defer b.stop()
	if err := apartFrom(ctx, a, "b"); err != nil {
		return err
	}
	direct, relayed := &table{}, &table{}
	if err := measureLatency(ctx, database, "direct/", opts.puts, a, r, direct); err != nil {
		return err
	}
	if err := measureLatency(ctx, database, "relayed/", opts.puts, a, b, relayed); err != nil {
		return err
	}
	for _, p := range []string{": p50", ": p99"} {
		const measured = "put returned on A until watch event on B"
		near, far := "directly, "+measured+p, "through a relay, "+measured+p
		t.add(near, "ms", direct.find(measured+p, "ms").median())
		t.add(far, "ms", relayed.find(measured+p, "ms").median())
		t.compare(far, "ms", near, "")
	}
	t.target("directly, put returned on A until watch event on B: p50", "ms", "< 1.5 ms")
	t.target("directly, put returned on A until watch event on B: p99", "ms", "< 8 ms")
	t.target("through a relay, put returned on A until watch event on B: p50", "ms", "< 4 ms")
	return apartFrom(ctx, a, "b")
}

// found makes the database with its collection, and the syncgroup that shares it.
func (d *daemon) found(ctx context.Context) error { return d.foundIn(ctx, database) }

func (d *daemon) foundIn(ctx context.Context, name string) error {
	db := d.Database(name)
	if _, err := db.Create(ctx, nil); err != nil {
		return err
	}
	if _, err := db.Collection(collection).Create(ctx, nil); err != nil {
		return err
	}
	_, err := db.Syncgroup(syncgroup).Create(ctx, client.SyncgroupOptions{Scopes: []client.Scope{{Collection: collection}}})
	return err
}

// member starts another daemon of the same owner, which joins here and gets what there is.
func (d *daemon) member(ctx context.Context, dir, name, listen string) (*daemon, error) {
	if err := d.issue(ctx, name, filepath.Join(dir, "identity")); err != nil {
		return nil, err
	}
	m, err := startAt(ctx, d.binary, dir, name, listen)
	if err != nil {
		return nil, err
	}
	status, err := d.Status(ctx)
	if err == nil {
		err = m.join(ctx, status.PeerAddress)
	}
	if err != nil {
		m.stop()
		return nil, fmt.Errorf("%s joins at %s: %w", name, d.name, err)
	}
	return m, nil
}

// join joins the syncgroup at an address, and returns when the daemon has what there is.
func (d *daemon) join(ctx context.Context, address string) error {
	group := d.Database(database).Syncgroup(syncgroup)
	if _, _, err := group.Join(ctx, client.JoinOptions{Peer: address}); err != nil {
		return err
	}
	_, err := group.Wait(ctx)
	return err
}

// apartFrom fails if the daemon is connected with that peer.
func apartFrom(ctx context.Context, d *daemon, name string) error {
	for p, err := range d.Peers(ctx) {
		if err != nil {
			return err
		}
		if p.Name == name && p.Connected {
			return fmt.Errorf("%s and %s are connected, and were not to be", d.name, name)
		}
	}
	return nil
}
