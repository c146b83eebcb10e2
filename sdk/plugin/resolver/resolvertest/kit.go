// Package resolvertest checks that a resolver plugin keeps its contract: above all, that equal questions get equal
// answers, since members would otherwise never agree.
//
// The checks talk to the plugin over gRPC alone. [Run] is the front end for tests, [Verify] the one for programs.
package resolvertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	resolverv1 "github.com/syncbase/syncbase/sdk/api/resolver/v1"
	"github.com/syncbase/syncbase/sdk/plugin/resolver"
)

// Options adapt the checks. The zero value is a good one.
type Options struct {
	// Samples are conflicts of the kind that the plugin is made for; the kit adds generated ones, which the plugin may
	// well leave open.
	Samples []resolver.Conflict
	// Seed makes the generated conflicts differ.
	Seed uint64
	// Limit bounds the time of each check; 0 means a minute.
	Limit time.Duration
}

// Check is one clause of the contract.
type Check struct {
	Name string
	// Run returns what is wrong, or nil.
	Run func(ctx context.Context, conn grpc.ClientConnInterface, conflicts []resolver.Conflict) error
}

// Checks lists the contract.
func Checks() []Check {
	return []Check{
		{Name: "answers fit", Run: checkFit},
		{Name: "same question, same answer", Run: checkDeterminism},
		{Name: "invalid requests", Run: checkInvalid},
		{Name: "one stream, many conflicts", Run: checkStream},
	}
}

// Result is the verdict of one check.
type Result struct {
	Name string
	// Err is what is wrong, nil when the check passed.
	Err  error
	Took time.Duration
}

// Verify runs all checks against the plugin behind conn.
func Verify(ctx context.Context, conn grpc.ClientConnInterface, opts Options) []Result {
	var out []Result
	for _, c := range Checks() {
		start := time.Now()
		err := runCheck(ctx, c, conn, opts)
		out = append(out, Result{Name: c.Name, Err: err, Took: time.Since(start)})
	}
	return out
}

// Run runs every check as a subtest.
func Run(t *testing.T, conn grpc.ClientConnInterface, opts Options) {
	t.Helper()
	for _, c := range Checks() {
		t.Run(c.Name, func(t *testing.T) {
			if err := runCheck(t.Context(), c, conn, opts); err != nil {
				t.Errorf("%v (seed %d)", err, opts.Seed)
			}
		})
	}
}

func runCheck(ctx context.Context, c Check, conn grpc.ClientConnInterface, opts Options) error {
	if opts.Limit == 0 {
		opts.Limit = time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, opts.Limit)
	defer cancel()
	return c.Run(ctx, conn, append(generated(opts.Seed), opts.Samples...))
}

// generated makes conflicts of every shape with values that mean nothing.
func generated(seed uint64) []resolver.Conflict {
	rng := rand.New(rand.NewPCG(seed, 1))
	bytesOf := func(n int) []byte {
		out := make([]byte, n)
		for i := range out {
			out[i] = byte(rng.Uint32())
		}
		return out
	}
	version := func(id byte, size int) resolver.Version {
		v := resolver.Version{ID: []byte{id}, Author: bytesOf(8), HLC: rng.Uint64(), Type: "kit.Sample"}
		if size < 0 {
			v.Deleted, v.Type = true, ""
			return v
		}
		v.Value = bytesOf(size)
		return v
	}
	var out []resolver.Conflict
	for i, sizes := range [][]int{{3, 4}, {0, 0}, {-1, 5}, {5, -1}, {-1, -1}, {10, 20, 30}, {1, 1, 1, 1, -1, 1, 1}, {1 << 17, 1 << 17}} {
		c := resolver.Conflict{Collection: "kit:sample", Key: fmt.Sprintf("row%d/\x01é", i)}
		for j, size := range sizes {
			c.Siblings = append(c.Siblings, version(byte(j+1), size))
		}
		out = append(out, c)
		base := version(0xff, 12)
		c.Base = &base
		out = append(out, c)
	}
	return out
}

func checkFit(ctx context.Context, conn grpc.ClientConnInterface, conflicts []resolver.Conflict) error {
	client := resolver.NewClient(conn)
	for i, c := range conflicts {
		if _, err := client.Resolve(ctx, c); err != nil && !errors.Is(err, resolver.ErrFailed) {
			return fmt.Errorf("conflict %d with %d siblings: %w", i, len(c.Siblings), err)
		}
	}
	return nil
}

// checkDeterminism asks everything several times at once, in different orders.
func checkDeterminism(ctx context.Context, conn grpc.ClientConnInterface, conflicts []resolver.Conflict) error {
	const askers = 4
	answers := make([][]resolver.Decision, askers)
	client := resolver.NewClient(conn)
	var wg sync.WaitGroup
	for a := range askers {
		answers[a] = make([]resolver.Decision, len(conflicts))
		wg.Go(func() {
			for _, i := range rand.New(rand.NewPCG(uint64(a), 2)).Perm(len(conflicts)) {
				// A failure leaves the zero decision, which has to be the answer to everybody.
				answers[a][i], _ = client.Resolve(ctx, conflicts[i])
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for i := range conflicts {
		for a := 1; a < askers; a++ {
			if !reflect.DeepEqual(answers[0][i], answers[a][i]) {
				return fmt.Errorf("conflict %d was answered with choice %d (%.40q) and with choice %d (%.40q)", i,
					answers[0][i].Choice, answers[0][i].Value, answers[a][i].Choice, answers[a][i].Value)
			}
		}
	}
	return nil
}

func checkInvalid(ctx context.Context, conn grpc.ClientConnInterface, conflicts []resolver.Conflict) error {
	client := resolver.NewClient(conn)
	good := conflicts[0]
	one, none, swapped, twice := good, good, good, good
	one.Siblings = good.Siblings[:1]
	none.Siblings = nil
	swapped.Siblings = []resolver.Version{good.Siblings[1], good.Siblings[0]}
	twice.Siblings = []resolver.Version{good.Siblings[0], good.Siblings[0]}
	for name, c := range map[string]resolver.Conflict{"one sibling": one, "no sibling": none, "wrong order": swapped, "one sibling twice": twice} {
		if _, err := client.Resolve(ctx, c); !errors.Is(err, resolver.ErrFailed) {
			return fmt.Errorf("%s: %v, want a failure of the item", name, err)
		}
	}
	return nil
}

// checkStream sends everything on one stream before it reads, and wants an answer to each.
func checkStream(ctx context.Context, conn grpc.ClientConnInterface, conflicts []resolver.Conflict) error {
	stream, err := resolverv1.NewResolverServiceClient(conn).Resolve(ctx)
	if err != nil {
		return err
	}
	const rounds = 5
	total := uint64(rounds * len(conflicts))
	sent := make(chan error, 1)
	go func() {
		for seq := range total {
			c := conflicts[seq%uint64(len(conflicts))]
			if err := stream.Send(request(seq+1, c)); err != nil {
				sent <- err
				return
			}
		}
		sent <- stream.CloseSend()
	}()
	answered := map[uint64]bool{}
	for range total {
		answer, err := stream.Recv()
		if err != nil {
			return errors.Join(fmt.Errorf("after %d answers: %w", len(answered), err), <-sent)
		}
		if seq := answer.GetSeq(); seq == 0 || seq > total || answered[seq] {
			return fmt.Errorf("answer to request %d, which was answered already or never asked", seq)
		}
		answered[answer.GetSeq()] = true
	}
	return <-sent
}

func request(seq uint64, c resolver.Conflict) *resolverv1.ResolveRequest {
	out := &resolverv1.ResolveRequest{Seq: seq, Collection: c.Collection, Key: c.Key}
	for _, v := range c.Siblings {
		out.Siblings = append(out.Siblings, &resolverv1.Version{
			Id: v.ID, Author: v.Author, Hlc: v.HLC, Deleted: v.Deleted, Type: v.Type, Value: v.Value,
		})
	}
	return out
}
