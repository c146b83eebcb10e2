// Package discoverytest checks that a discovery plugin keeps its contract.
//
// It needs two instances of the plugin on one medium, such as two processes in one network, and talks to both over gRPC
// alone. [Run] is the front end for tests, [Verify] the one for programs; [Memory] is a medium for tests of hosts.
package discoverytest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/syncbase/syncbase/sdk/plugin/discovery"
)

// Options adapt the checks. The zero value is a good one.
type Options struct {
	// Patience is how long a change on one side may take to be seen on the other; 0 means ten seconds. A plugin without
	// goodbyes needs more than the TTL of its sightings.
	Patience time.Duration
	// RecordBytes is the size of the record in adverts; 0 means 200.
	RecordBytes int
	// Groups is the number of groups in adverts; 0 means 4.
	Groups int
}

func (o Options) withDefaults() Options {
	if o.Patience == 0 {
		o.Patience = 10 * time.Second
	}
	if o.RecordBytes == 0 {
		o.RecordBytes = 200
	}
	if o.Groups == 0 {
		o.Groups = 4
	}
	return o
}

// Env is what a check works with.
type Env struct {
	A, B *discovery.Client
	Opts Options
}

// Check is one clause of the contract.
type Check struct {
	Name string
	// Run returns what is wrong, or nil.
	Run func(ctx context.Context, env *Env) error
}

// Checks lists the contract.
func Checks() []Check {
	return []Check{
		{Name: "synced once", Run: checkSynced},
		{Name: "advert is seen", Run: checkSeen},
		{Name: "advert is known to late watchers", Run: checkLate},
		{Name: "advert changes", Run: checkChange},
		{Name: "advert is lost", Run: checkLost},
		{Name: "both sides at once", Run: checkBoth},
		{Name: "several watches", Run: checkSeveral},
		{Name: "invalid adverts", Run: checkInvalid},
	}
}

// Result is the verdict of one check.
type Result struct {
	Name string
	// Err is what is wrong, nil when the check passed.
	Err  error
	Took time.Duration
}

// Verify runs all checks against two instances on one medium.
func Verify(ctx context.Context, a, b grpc.ClientConnInterface, opts Options) []Result {
	var out []Result
	for _, c := range Checks() {
		start := time.Now()
		err := runCheck(ctx, c, a, b, opts)
		out = append(out, Result{Name: c.Name, Err: err, Took: time.Since(start)})
	}
	return out
}

// Run runs every check as a subtest.
func Run(t *testing.T, a, b grpc.ClientConnInterface, opts Options) {
	t.Helper()
	for _, c := range Checks() {
		t.Run(c.Name, func(t *testing.T) {
			if err := runCheck(t.Context(), c, a, b, opts); err != nil {
				t.Error(err)
			}
		})
	}
}

func runCheck(ctx context.Context, c Check, a, b grpc.ClientConnInterface, opts Options) error {
	opts = opts.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, 6*opts.Patience)
	defer cancel()
	return c.Run(ctx, &Env{A: discovery.NewClient(a), B: discovery.NewClient(b), Opts: opts})
}

// advert is that of a node which no other check knows.
func (e *Env) advert() discovery.Advert {
	a := discovery.Advert{
		NodeID:    []byte(rand.Text()[:16]),
		Addresses: []string{"192.0.2.1:4001", "[2001:db8::1]:4001"},
		Record:    make([]byte, e.Opts.RecordBytes),
	}
	_, _ = rand.Read(a.Record) // never fails
	for range e.Opts.Groups {
		a.Groups = append(a.Groups, []byte(rand.Text()[:discovery.MaxGroupBytes]))
	}
	return a
}

// task is a call that runs until it is stopped.
type task struct {
	cancel context.CancelFunc
	done   chan error
}

func start(ctx context.Context, f func(context.Context) error) *task {
	ctx, cancel := context.WithCancel(ctx)
	t := &task{cancel: cancel, done: make(chan error, 1)}
	go func() { t.done <- f(ctx) }()
	return t
}

// stop ends the call and answers what went wrong in it.
func (t *task) stop() error {
	t.cancel()
	return <-t.done
}

func (e *Env) announce(ctx context.Context, on *discovery.Client, a discovery.Advert) *task {
	return start(ctx, func(ctx context.Context) error { return on.Announce(ctx, a, nil) })
}

// watch collects events until wanted answers true for one of them.
func (e *Env) watch(ctx context.Context, on *discovery.Client, wanted func(discovery.Event) bool) error {
	ctx, cancel := context.WithTimeout(ctx, e.Opts.Patience)
	defer cancel()
	var seen []string
	err := on.Watch(ctx, func(ev discovery.Event) error {
		seen = append(seen, fmt.Sprintf("%d:%s", ev.Kind, ev.Advert.NodeID))
		if wanted(ev) {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	if err == nil {
		err = fmt.Errorf("it did not come within %v", e.Opts.Patience)
	}
	return fmt.Errorf("%w; events so far: %q", err, seen)
}

var errEnough = errors.New("seen enough")

func isSeen(a discovery.Advert) func(discovery.Event) bool {
	return func(ev discovery.Event) bool { return ev.Kind == discovery.Seen && equal(ev.Advert, a) }
}

// equal ignores the order of addresses and groups.
func equal(got, want discovery.Advert) bool {
	return bytes.Equal(got.NodeID, want.NodeID) && bytes.Equal(got.Record, want.Record) &&
		slices.Equal(slices.Sorted(slices.Values(got.Addresses)), slices.Sorted(slices.Values(want.Addresses))) &&
		slices.EqualFunc(sortedGroups(got), sortedGroups(want), bytes.Equal)
}

func sortedGroups(a discovery.Advert) [][]byte {
	return slices.SortedFunc(slices.Values(a.Groups), bytes.Compare)
}

// checkSynced goes on watching after Synced, until an advert from the other side has been seen.
func checkSynced(ctx context.Context, e *Env) error {
	a := e.advert()
	var announcing *task
	synced := 0
	err := e.watch(ctx, e.A, func(ev discovery.Event) bool {
		if ev.Kind == discovery.Synced {
			if synced++; synced == 1 {
				announcing = e.announce(ctx, e.B, a)
			}
		}
		return isSeen(a)(ev)
	})
	if announcing != nil {
		err = errors.Join(err, announcing.stop())
	}
	if synced != 1 {
		err = errors.Join(err, fmt.Errorf("synced came %d times, want once", synced))
	}
	return err
}

func checkSeen(ctx context.Context, e *Env) error {
	a := e.advert()
	watching := start(ctx, func(ctx context.Context) error { return e.watch(ctx, e.B, isSeen(a)) })
	announcing := e.announce(ctx, e.A, a)
	err := <-watching.done
	watching.cancel()
	if err != nil {
		err = fmt.Errorf("wait for %s: %w", a.NodeID, err)
	}
	return errors.Join(err, announcing.stop())
}

// checkLate watches after others know the advert already.
func checkLate(ctx context.Context, e *Env) error {
	a := e.advert()
	announcing := e.announce(ctx, e.A, a)
	err := errors.Join(e.watch(ctx, e.B, isSeen(a)), e.watch(ctx, e.B, isSeen(a)))
	return errors.Join(err, announcing.stop())
}

func checkChange(ctx context.Context, e *Env) error {
	first := e.advert()
	second := e.advert()
	second.NodeID = first.NodeID
	announcing := e.announce(ctx, e.A, first)
	if err := errors.Join(e.watch(ctx, e.B, isSeen(first)), announcing.stop()); err != nil {
		return err
	}
	announcing = e.announce(ctx, e.A, second)
	return errors.Join(e.watch(ctx, e.B, isSeen(second)), announcing.stop())
}

func checkLost(ctx context.Context, e *Env) error {
	a := e.advert()
	announcing := e.announce(ctx, e.A, a)
	present := false
	err := e.watch(ctx, e.B, func(ev discovery.Event) bool {
		if !present && isSeen(a)(ev) {
			present = true
			announcing.cancel()
		}
		return present && ev.Kind == discovery.Lost && bytes.Equal(ev.Advert.NodeID, a.NodeID)
	})
	if err != nil {
		err = fmt.Errorf("wait for the loss of %s: %w", a.NodeID, err)
	}
	return errors.Join(err, announcing.stop())
}

func checkBoth(ctx context.Context, e *Env) error {
	a, b := e.advert(), e.advert()
	onA, onB := e.announce(ctx, e.A, a), e.announce(ctx, e.B, b)
	return errors.Join(e.watch(ctx, e.A, isSeen(b)), e.watch(ctx, e.B, isSeen(a)), onA.stop(), onB.stop())
}

func checkSeveral(ctx context.Context, e *Env) error {
	a := e.advert()
	var watching []*task
	for range 3 {
		watching = append(watching, start(ctx, func(ctx context.Context) error { return e.watch(ctx, e.B, isSeen(a)) }))
	}
	announcing := e.announce(ctx, e.A, a)
	var faults []error
	for _, w := range watching {
		faults = append(faults, <-w.done)
		w.cancel()
	}
	return errors.Join(append(faults, announcing.stop())...)
}

func checkInvalid(ctx context.Context, e *Env) error {
	for name, spoil := range map[string]func(*discovery.Advert){
		"no node id":         func(a *discovery.Advert) { a.NodeID = nil },
		"long node id":       func(a *discovery.Advert) { a.NodeID = make([]byte, discovery.MaxNodeIDBytes+1) },
		"too many addresses": func(a *discovery.Advert) { a.Addresses = make([]string, discovery.MaxAddresses+1) },
		"too many groups":    func(a *discovery.Advert) { a.Groups = make([][]byte, discovery.MaxGroups+1) },
		"long record":        func(a *discovery.Advert) { a.Record = make([]byte, discovery.MaxRecordBytes+1) },
	} {
		a := e.advert()
		spoil(&a)
		limited, cancel := context.WithTimeout(ctx, e.Opts.Patience)
		err := e.A.Announce(limited, a, nil)
		cancel()
		if status.Code(err) != codes.InvalidArgument {
			return fmt.Errorf("%s: %v, want InvalidArgument", name, err)
		}
	}
	return nil
}
