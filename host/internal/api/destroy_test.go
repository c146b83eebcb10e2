package api

import (
	"errors"
	"sync"
	"testing"

	"github.com/syncbase/syncbase/sdk/client"
)

// Of several that destroy the same at a time one has done it; the others hear that there is nothing.
func TestOneDestroys(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := w.collection("db", "c")
	db := w.client().Database("db")
	for what, destroy := range map[string]func() error{
		"collection": func() error { return c.DestroyExisting(ctx) },
		"database":   func() error { return db.DestroyExisting(ctx) },
	} {
		if _, err := db.Create(ctx, nil); err != nil && !errors.Is(err, client.ErrExists) {
			t.Fatal(err)
		}
		if _, err := c.Create(ctx, nil); err != nil && !errors.Is(err, client.ErrExists) {
			t.Fatal(err)
		}
		const callers = 8
		errs := make([]error, callers)
		var all sync.WaitGroup
		for i := range callers {
			all.Go(func() { errs[i] = destroy() })
		}
		all.Wait()
		done := 0
		for _, err := range errs {
			if err == nil {
				done++
			} else if !errors.Is(err, client.ErrNotFound) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if done != 1 {
			t.Errorf("%s: %d say that they destroyed it", what, done)
		}
	}
	for what, err := range map[string]error{"collection": c.Destroy(ctx), "database": db.Destroy(ctx)} {
		if err != nil && (what == "database" || !errors.Is(err, client.ErrNotFound)) {
			t.Errorf("%s once more: %v", what, err)
		}
	}
}
