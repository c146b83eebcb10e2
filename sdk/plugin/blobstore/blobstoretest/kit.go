// Package blobstoretest checks that a blob store keeps its contract.
//
// The checks talk to the store over gRPC alone, so a store in any language gets the same verdict. They work on a store
// that holds other objects too: each keeps to keys of its own and removes them in the end.
//
// [Run] is the front end for tests, [Verify] the one for programs; [Checks] lists what they do.
package blobstoretest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/syncbase/syncbase/sdk/plugin"
	"github.com/syncbase/syncbase/sdk/plugin/blobstore"
)

// Check is one clause of the contract.
type Check struct {
	Name string
	// Needs is a feature of the store or one of the Needs constants; empty when every store can be checked.
	Needs string
	// Run returns what is wrong, or nil.
	Run func(ctx context.Context, env *Env) error
}

// What checks may need beside features of the store.
const (
	// NeedsReopen is met by Options.Reopen.
	NeedsReopen = "reopen"
	// NeedsSmall is met by Options.Small.
	NeedsSmall = "small"
)

// Options adapt the checks. The zero value is a good one.
type Options struct {
	// Features of the store, as Describe tells them.
	Features []string
	// Reopen drains the store, starts it again on the same data and answers how to reach it from now on.
	Reopen func(ctx context.Context) (grpc.ClientConnInterface, error)
	// Small reaches a store that may be filled up and takes at most 64 MiB.
	Small grpc.ClientConnInterface
	// FrameBytes is what the plugin was configured with; 0 means the default.
	FrameBytes int
	// Limit bounds the time of each check; 0 means two minutes.
	Limit time.Duration
	// Only names the checks to run; empty means all.
	Only []string
	// ListKeys is how many keys the checks of lists make; 0 means 3000.
	ListKeys int
}

func (o Options) withDefaults() Options {
	if o.FrameBytes == 0 {
		o.FrameBytes = plugin.DefaultFrameBytes
	}
	if o.Limit == 0 {
		o.Limit = 2 * time.Minute
	}
	if o.ListKeys == 0 {
		o.ListKeys = 3000
	}
	return o
}

// missing says what a check needs and does not have; empty when it can run.
func (o Options) missing(c Check) string {
	if len(o.Only) > 0 && !slices.Contains(o.Only, c.Name) {
		return "is not asked for"
	}
	switch c.Needs {
	case "":
		return ""
	case NeedsReopen:
		if o.Reopen == nil {
			return "needs a way to start the store again"
		}
	case NeedsSmall:
		if o.Small == nil {
			return "needs a store that may be filled up"
		}
	default:
		if !slices.Contains(o.Features, c.Needs) {
			return "needs the feature " + c.Needs
		}
	}
	return ""
}

// Env is what a check works with.
type Env struct {
	Conn   grpc.ClientConnInterface
	Client *blobstore.Client
	Opts   Options
	// prefix begins all keys of this check and no others.
	prefix string
}

// Key is a key of this check.
func (e *Env) Key(name string) blobstore.Key { return blobstore.Key(e.prefix + name) }

func (e *Env) connect(conn grpc.ClientConnInterface) {
	e.Conn = conn
	e.Client = blobstore.NewClient(conn).WithFrameBytes(e.Opts.FrameBytes)
}

// Result is the verdict of one check.
type Result struct {
	Name string
	// Err is what is wrong, nil when the check passed or was skipped.
	Err error
	// Skipped says why the check did not run; empty when it did.
	Skipped string
	Took    time.Duration
}

// Verify runs all checks against the store behind conn.
func Verify(ctx context.Context, conn grpc.ClientConnInterface, opts Options) []Result {
	opts = opts.withDefaults()
	var out []Result
	for _, c := range Checks() {
		result := Result{Name: c.Name, Skipped: opts.missing(c)}
		if result.Skipped == "" {
			start := time.Now()
			conn, result.Err = runCheck(ctx, c, conn, opts)
			result.Took = time.Since(start)
		}
		out = append(out, result)
	}
	return out
}

// Run runs every check that the store and the options allow as a subtest.
func Run(t *testing.T, conn grpc.ClientConnInterface, opts Options) {
	t.Helper()
	opts = opts.withDefaults()
	for _, c := range Checks() {
		if why := opts.missing(c); why != "" {
			t.Logf("check %q is left out: it %s", c.Name, why)
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			var err error
			if conn, err = runCheck(t.Context(), c, conn, opts); err != nil {
				t.Error(err)
			}
		})
	}
}

// runCheck answers the connection to go on with, since a check may have started the store again.
func runCheck(ctx context.Context, c Check, conn grpc.ClientConnInterface, opts Options) (grpc.ClientConnInterface, error) {
	ctx, cancel := context.WithTimeout(ctx, opts.Limit)
	defer cancel()
	env := &Env{Opts: opts, prefix: "kit-" + rand.Text()[:10] + "-"}
	env.connect(conn)
	err := c.Run(ctx, env)
	if cleanErr := env.clean(ctx); cleanErr != nil {
		err = errors.Join(err, fmt.Errorf("remove the objects of the check: %w", cleanErr))
	}
	return env.Conn, err
}

// clean removes whatever the check has left.
func (e *Env) clean(ctx context.Context) error {
	keys, err := e.keys(ctx, "", "")
	if err != nil {
		return err
	}
	return e.deleteAll(ctx, keys)
}
