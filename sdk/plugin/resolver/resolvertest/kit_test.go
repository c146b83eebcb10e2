package resolvertest_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/syncbase/syncbase/sdk/plugin"
	"github.com/syncbase/syncbase/sdk/plugin/plugintest"
	"github.com/syncbase/syncbase/sdk/plugin/resolver"
	"github.com/syncbase/syncbase/sdk/plugin/resolver/resolvertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// decide is a resolver made of a function.
type decide func(resolver.Conflict) (resolver.Decision, error)

func (f decide) Resolve(_ context.Context, c resolver.Conflict) (resolver.Decision, error) {
	return f(c)
}

func serve(t *testing.T, f decide) *plugintest.Running {
	t.Helper()
	kind := resolver.Kind(func(context.Context, plugin.Setup) (resolver.Resolver, error) { return f, nil })
	return plugintest.InProcess(t, kind, plugintest.Options{})
}

func TestGoodResolversPass(t *testing.T) {
	for name, f := range map[string]decide{
		"pick": func(c resolver.Conflict) (resolver.Decision, error) { return resolver.Pick(c.Siblings[0]), nil },
		"merge": func(c resolver.Conflict) (resolver.Decision, error) {
			return resolver.Merge("t", c.Siblings[1].Value), nil
		},
		"delete": func(resolver.Conflict) (resolver.Decision, error) { return resolver.Delete(), nil },
		"keep":   func(resolver.Conflict) (resolver.Decision, error) { return resolver.Keep(), nil },
		"fail":   func(resolver.Conflict) (resolver.Decision, error) { return resolver.Decision{}, errors.New("no idea") },
	} {
		t.Run(name, func(t *testing.T) { resolvertest.Run(t, serve(t, f).Conn, resolvertest.Options{}) })
	}
}

func TestKitFindsAChangeOfMind(t *testing.T) {
	var calls atomic.Uint64
	fickle := serve(t, func(c resolver.Conflict) (resolver.Decision, error) {
		return resolver.Pick(c.Siblings[calls.Add(1)%2]), nil
	})
	for _, r := range resolvertest.Verify(t.Context(), fickle.Conn, resolvertest.Options{}) {
		if (r.Err != nil) != (r.Name == "same question, same answer") {
			t.Errorf("%s: %v", r.Name, r.Err)
		}
	}
}

// TestBadAnswersStayInside wants answers that do not fit to become failures of their items.
func TestBadAnswersStayInside(t *testing.T) {
	for name, d := range map[string]resolver.Decision{
		"nothing":      {},
		"no sibling":   {Choice: resolver.ChoosePick, ID: []byte("other")},
		"large value":  resolver.Merge("", make([]byte, resolver.MaxValueBytes+1)),
		"other choice": {Choice: 99},
	} {
		running := serve(t, func(resolver.Conflict) (resolver.Decision, error) { return d, nil })
		conflict := resolver.Conflict{Siblings: []resolver.Version{{ID: []byte("a")}, {ID: []byte("b")}}}
		if _, err := resolver.NewClient(running.Conn).Resolve(t.Context(), conflict); !errors.Is(err, resolver.ErrFailed) {
			t.Errorf("%s: %v, want ErrFailed", name, err)
		}
	}
}
