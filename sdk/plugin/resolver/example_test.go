package resolver_test

import (
	"bytes"
	"context"

	"github.com/syncbase/syncbase/sdk/plugin"
	"github.com/syncbase/syncbase/sdk/plugin/resolver"
)

// longest resolves conflicts in favor of the longest value.
type longest struct{}

func (longest) Resolve(_ context.Context, c resolver.Conflict) (resolver.Decision, error) {
	best := c.Siblings[0]
	for _, v := range c.Siblings[1:] {
		switch {
		case v.Deleted:
		case best.Deleted, len(v.Value) > len(best.Value),
			len(v.Value) == len(best.Value) && bytes.Compare(v.Value, best.Value) > 0: // never a coin toss
			best = v
		}
	}
	return resolver.Pick(best), nil
}

// The whole main function of a resolver plugin.
func Example() {
	open := func(context.Context, plugin.Setup) (resolver.Resolver, error) { return longest{}, nil }
	plugin.Main("resolver-longest", "1.0", resolver.Kind(open))
}
