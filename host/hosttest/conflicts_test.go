package hosttest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// policy sets the rules on every host.
func policy(t *testing.T, c *hosttest.Cluster, rules string) {
	t.Helper()
	for _, h := range c.Hosts() {
		_, err := h.API().SetSchema(t.Context(), &nodev1.SetSchemaRequest{
			Database: hosttest.Database, Schema: &nodev1.Schema{Version: 1, Policy: []byte(`{"rules":[` + rules + `]}`)},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// conflicts lists the rows in conflict on a host: key, local, remote.
func conflicts(t *testing.T, h *hosttest.Host) (list []string) {
	t.Helper()
	stream, err := h.API().ListConflicts(t.Context(), &nodev1.ListConflictsRequest{Database: hosttest.Database})
	for err == nil {
		var m *nodev1.ListConflictsResponse
		if m, err = stream.Recv(); err == nil {
			c := m.GetConflict()
			list = append(list, fmt.Sprintf("%s %s %s", c.GetKey(), c.GetLocal().GetValue(), c.GetRemote().GetValue()))
		}
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return list
}

// resolver answers the conflicts of a host until its context ends.
type resolver struct {
	t      *testing.T
	h      *hosttest.Host
	decide func(h *hosttest.Host, c *nodev1.Conflict, r *nodev1.Resolution)
	// mu guards the field below it.
	mu    sync.Mutex
	calls int
}

// serve starts resolvers on the hosts and returns how to end them.
func serve(t *testing.T, c *hosttest.Cluster, decide func(*hosttest.Host, *nodev1.Conflict, *nodev1.Resolution)) (calls func() int, stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	var all []*resolver
	for _, h := range c.Hosts() {
		r := &resolver{t: t, h: h, decide: decide}
		all = append(all, r)
		running.Go(func() { r.run(ctx) })
	}
	calls = func() (n int) {
		for _, r := range all {
			r.mu.Lock()
			n += r.calls
			r.mu.Unlock()
		}
		return n
	}
	return calls, func() {
		cancel()
		running.Wait()
	}
}

func (r *resolver) run(ctx context.Context) {
	stream, err := r.h.API().ServeConflicts(ctx)
	if err == nil {
		err = stream.Send(&nodev1.ServeConflictsRequest{Message: &nodev1.ServeConflictsRequest_Database{Database: hosttest.Database}})
	}
	for err == nil {
		var m *nodev1.ServeConflictsResponse
		if m, err = stream.Recv(); err == nil && m.GetOffer() != nil {
			err = stream.Send(&nodev1.ServeConflictsRequest{Message: &nodev1.ServeConflictsRequest_Answer{Answer: r.answer(m.GetOffer())}})
		}
	}
	if ctx.Err() == nil {
		r.t.Errorf("the resolver of %s ended with %v", r.h.Name(), err)
	}
}

func (r *resolver) answer(offer *nodev1.GroupOffer) *nodev1.GroupAnswer {
	r.mu.Lock()
	r.calls++
	r.mu.Unlock()
	answer := &nodev1.GroupAnswer{Group: offer.GetGroup()}
	for _, c := range offer.GetConflicts() {
		if c.GetRemote() != nil {
			res := &nodev1.Resolution{Collection: c.GetCollection(), Key: c.GetKey()}
			r.decide(r.h, c, res)
			answer.Resolutions = append(answer.Resolutions, res)
		}
	}
	return answer
}

func side(s nodev1.Side) *nodev1.Resolution_Side { return &nodev1.Resolution_Side{Side: s} }

// reference: sync-183 on two and on three devices, each of which answers a conflict in its own way by its own version, by the
// other or by a new one, in every combination: they converge.
func TestEveryCombinationOfAnswersConverges(t *testing.T) {
	for _, hosts := range [][]string{{"a", "b"}, {"a", "b", "c"}} {
		t.Run(fmt.Sprint(len(hosts)), func(t *testing.T) {
			shared(t, hosttest.Options{Hosts: hosts, Seed: 3}, func(t *testing.T, c *hosttest.Cluster) {
				policy(t, c, `{"resolver":"app"}`)
				keys := combinations("lrn", len(hosts))
				for i, h := range hosts {
					for _, other := range hosts[:i] {
						c.Partition([]string{h}, []string{other})
					}
				}
				for _, h := range c.Hosts() {
					for _, k := range keys {
						h.Commit(hosttest.Put(k, fmt.Sprintf("%q", h.Name())))
					}
					time.Sleep(time.Second)
				}
				// The key says how the first, second and third host answers.
				calls, stop := serve(t, c, func(h *hosttest.Host, q *nodev1.Conflict, r *nodev1.Resolution) {
					switch q.GetKey()[slices.Index(hosts, h.Name())] {
					case 'l':
						r.Result = side(nodev1.Side_SIDE_LOCAL)
					case 'r':
						r.Result = side(nodev1.Side_SIDE_REMOTE)
					default:
						r.Result = &nodev1.Resolution_Merge{Merge: &nodev1.Merge{Value: fmt.Appendf(nil, "%q", "new of "+h.Name())}}
					}
				})
				c.Heal()
				c.Settle(5 * time.Minute)
				time.Sleep(time.Minute)
				c.Settle(time.Minute)
				stop()
				for _, h := range c.Hosts() {
					if list := conflicts(t, h); list != nil {
						t.Errorf("%s has %q in conflict", h.Name(), list)
					}
				}
				if n, most := calls(), 3*len(keys)*len(hosts)*len(hosts); n > most { // three rounds, each over the answers of all
					t.Errorf("%d calls for %d conflicts on %d hosts, want at most %d", n, len(keys), len(hosts), most)
				}
			})
		})
	}
}

// combinations returns all words of so many letters.
func combinations(letters string, n int) []string {
	if n == 0 {
		return []string{""}
	}
	var list []string
	for _, rest := range combinations(letters, n-1) {
		for _, l := range strings.Split(letters, "") {
			list = append(list, l+rest)
		}
	}
	return list
}

// reference: sync-188 conflicts that wait for a resolver which is not there hold up neither other rows nor conflicts that the
// last writer wins, and are resolved when it comes, anywhere.
func TestWaitingConflictsHoldUpNothing(t *testing.T) {
	shared(t, hosttest.Options{}, func(t *testing.T, c *hosttest.Cluster) {
		policy(t, c, `{"collection":"notes","prefix":"app/","resolver":"app"}`)
		a, b := c.Host("a"), c.Host("b")
		c.Partition([]string{"a"}, []string{"b"})
		for _, h := range c.Hosts() {
			h.Commit(hosttest.Put("app/k", fmt.Sprintf("%q", h.Name())))
			h.Commit(hosttest.Put("free", fmt.Sprintf("%q", h.Name())))
			time.Sleep(time.Second)
		}
		c.Heal()
		c.Settle(time.Minute)
		a.Commit(hosttest.Put("later", `1`))
		c.Settle(time.Minute)
		if got := fmt.Sprint(b.Rows()); got != `map[app/k:"b" free:"b" later:1]` {
			t.Errorf("b has %s", got)
		}
		if got := fmt.Sprint(conflicts(t, a), conflicts(t, b)); got != `[app/k "a" "b"] [app/k "b" "a"]` {
			t.Errorf("in conflict are %s", got)
		}
		b.Stop()
		b.Start()
		if n := len(b.History("app/k").GetHeads()); n != 2 {
			t.Errorf("the history of b shows %d heads after a restart", n)
		}
		_, stop := serve(t, c, func(_ *hosttest.Host, _ *nodev1.Conflict, r *nodev1.Resolution) {
			r.Result = &nodev1.Resolution_Delete{Delete: true}
		})
		time.Sleep(time.Minute)
		c.Settle(time.Minute)
		stop()
		for _, h := range c.Hosts() {
			if got := fmt.Sprint(h.Rows(), conflicts(t, h)); got != `map[free:"b" later:1] []` {
				t.Errorf("%s has %s", h.Name(), got)
			}
		}
	})
}

// reference: sync-201 what a device resolved as one batch is a batch to itself, too: a conflict over one of its rows brings
// the others along.
func TestResolutionIsABatchForItsMaker(t *testing.T) {
	shared(t, hosttest.Options{}, func(t *testing.T, c *hosttest.Cluster) {
		policy(t, c, `{"resolver":"app"}`)
		a := c.Host("a")
		quarrel := func(keys ...string) {
			c.Partition([]string{"a"}, []string{"b"})
			for _, h := range c.Hosts() {
				var ops []*nodev1.Op
				for _, k := range keys {
					ops = append(ops, hosttest.Put(k, fmt.Sprintf("%q", h.Name())))
				}
				h.Commit(ops...)
				time.Sleep(time.Second)
			}
		}
		quarrel("x", "y")
		c.Heal()
		c.Settle(time.Minute)
		// While they are apart, a resolves both rows, and b writes both alone.
		c.Partition([]string{"a"}, []string{"b"})
		merge := func(key string) *nodev1.Resolution {
			return &nodev1.Resolution{
				Collection: hosttest.Collection, Key: key,
				Result: &nodev1.Resolution_Merge{Merge: &nodev1.Merge{Value: []byte(`"merged"`)}},
			}
		}
		_, err := a.API().ResolveConflicts(t.Context(), &nodev1.ResolveConflictsRequest{
			Database: hosttest.Database, Resolutions: []*nodev1.Resolution{merge("x"), merge("y")},
		})
		if err != nil {
			t.Fatal(err)
		}
		b := c.Host("b")
		b.Commit(hosttest.Put("x", `1`))
		b.Commit(hosttest.Put("y", `1`))
		c.Heal()
		c.Settle(time.Minute)
		stream, err := a.API().ServeConflicts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		first := &nodev1.ServeConflictsRequest{Message: &nodev1.ServeConflictsRequest_Database{Database: hosttest.Database}}
		if err := stream.Send(first); err != nil {
			t.Fatal(err)
		}
		m, err := stream.Recv()
		if err != nil || len(m.GetOffer().GetConflicts()) != 2 {
			t.Errorf("offered are %v, %v, want x and y together", m, err)
		}
		if err := stream.CloseSend(); err != nil {
			t.Fatal(err)
		}
		for err == nil {
			_, err = stream.Recv()
		}
	})
}

// reference: sync-170 two batches over the same hundred rows, written without knowledge of each other, end as one of them
// everywhere.
//
// reference: store-118 so they do without any schema.
//
// reference: sync-168 without a schema the later write is what both devices have.
//
// reference: store-116 without a schema the later write wins on both sides.
func TestConcurrentBatchesEndAsOne(t *testing.T) {
	shared(t, hosttest.Options{}, func(t *testing.T, c *hosttest.Cluster) {
		c.Partition([]string{"a"}, []string{"b"})
		for _, h := range c.Hosts() {
			var ops []*nodev1.Op
			for i := range 100 {
				ops = append(ops, hosttest.Put(fmt.Sprintf("k%03d", i), fmt.Sprintf("%q", h.Name())))
			}
			h.Commit(ops...)
			time.Sleep(time.Second)
		}
		c.Heal()
		c.Settle(time.Minute)
		for _, h := range c.Hosts() {
			rows := h.Rows()
			for k, v := range rows {
				if v != `"b"` {
					t.Errorf("%s has %s of %s, which wrote first", h.Name(), k, v)
				}
			}
			if len(rows) != 100 {
				t.Errorf("%s has %d rows", h.Name(), len(rows))
			}
		}
	})
}
