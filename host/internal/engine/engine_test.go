package engine

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/syncgroup"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const owner = id.Principal("test.local/owner")

var dbName = id.Name{Owner: owner, Local: "db"}

func named(name string) id.Name { return id.Name{Owner: owner, Local: name} }

func collection(name string) id.Collection { return id.Collection{Name: named(name)} }

// device is an engine on a store of its own.
type device struct {
	t      *testing.T
	name   string
	engine *Engine
	store  *rows.Store
	db     *rows.DB

	// mu guards failures.
	mu sync.Mutex
	// failures are those of pulls.
	failures []error
}

func newDevice(t *testing.T, name string) *device {
	t.Helper()
	store, err := kv.OpenMem()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	var tick time.Duration
	d := &device{t: t, name: name}
	d.store, err = rows.Open(store, rows.Options{
		Now:       func() time.Time { tick += time.Millisecond; return time.Unix(1_700_000_000, 0).Add(tick) },
		NewDevice: func() id.Device { return id.Device{7: name[0]} },
	})
	if err != nil {
		t.Fatal(err)
	}
	d.engine = New(d.store, Events{Failed: func(_ *rows.DB, _ Peer, err error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.failures = append(d.failures, err)
	}})
	if d.db, err = d.store.Create(dbName, perm.For(owner, perm.DatabaseTags)); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *device) principal() id.Principal { return owner + id.Principal("/device/"+d.name) }

func (d *device) peer() Peer {
	return Peer{Principal: d.principal(), Device: d.db.Writer().Device, Name: d.name, HoldsBack: true}
}

func (d *device) failed() []error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.failures)
}

// share makes a collection and a syncgroup of the same name around it.
func (d *device) share(name string) {
	d.t.Helper()
	c := collection(name)
	err := d.db.CreateCollection(c, perm.For(owner, perm.CollectionTags))
	if err == nil {
		err = syncgroup.Create(d.db, named(name), syncgroup.Spec{
			Collections: []syncgroup.SpecCollection{{Owner: c.Name.Owner, Name: c.Name.Local}},
			Permissions: perm.For(owner, perm.SyncgroupTags), Creator: owner,
		}, d.member())
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *device) member() syncgroup.Member {
	return syncgroup.Member{Principal: d.principal(), Type: syncgroup.Normal, Device: d.db.Writer().Device.String()}
}

func (d *device) join(name string, at *device) {
	d.t.Helper()
	admission, err := syncgroup.Admit(at.db, named(name), at.principal(), d.member())
	if err == nil {
		err = syncgroup.Adopt(d.db, named(name), admission, syncgroup.Normal, d.principal(), at.principal())
	}
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *device) put(name, key, value string) {
	d.t.Helper()
	if _, err := d.db.Commit([]rows.Op{{Collection: collection(name), Key: key, Value: []byte(value)}}, nil); err != nil {
		d.t.Fatal(err)
	}
}

func (d *device) get(name, key string) string {
	d.t.Helper()
	row, err := d.db.Get(collection(name), key)
	if err != nil {
		return err.Error()
	}
	return string(row.Value)
}

// pipe is a stream from a responder in the same process.
type pipe struct {
	ctx      context.Context
	cancel   context.CancelFunc
	messages chan delta.Message
	said     chan delta.Elsewhere
	// served is closed when Serve has returned err.
	served chan struct{}
	err    error
}

// from opens streams from the device's engine, as the caller. filter may change what is sent; nil leaves it.
func (d *device) from(caller *device, filter func(delta.Message) (delta.Message, error)) Opener {
	return func(ctx context.Context, open delta.Open) (Stream, error) {
		ctx, cancel := context.WithCancel(ctx)
		p := &pipe{ctx: ctx, cancel: cancel, messages: make(chan delta.Message), said: make(chan delta.Elsewhere, 1), served: make(chan struct{})}
		go func() {
			defer close(p.served)
			p.err = d.engine.Serve(ctx, caller.peer(), open, outlet{p.said, func(m delta.Message) (err error) {
				if filter != nil {
					if m, err = filter(m); err != nil {
						return err
					}
				}
				select {
				case p.messages <- m:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}})
		}()
		return p, nil
	}
}

func (p *pipe) Recv() (delta.Message, error) {
	select {
	case m := <-p.messages:
		return m, nil
	case <-p.served:
		if p.err == nil {
			return delta.Message{}, io.EOF
		}
		return delta.Message{}, p.err
	case <-p.ctx.Done():
		return delta.Message{}, p.ctx.Err()
	}
}

func (p *pipe) Credit(uint64) error { return nil }

func (p *pipe) Tell(e delta.Elsewhere) error {
	select {
	case before := <-p.said:
		e = before.Then(e)
	default:
	}
	p.said <- e
	return nil
}

func (p *pipe) Close() { p.cancel() }

// follow lets the device pull until the test ends.
func (d *device) follow(from *device, open Opener) (stop func()) {
	return d.followAs(from.peer(), open)
}

func (d *device) followAs(from Peer, open Opener) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.engine.Follow(ctx, from, open)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	d.t.Cleanup(stop)
	return stop
}

// both is two devices that share the collection notes.
func both(t *testing.T) (a, b *device) {
	t.Helper()
	a, b = newDevice(t, "a"), newDevice(t, "b")
	a.share("notes")
	b.join("notes", a)
	return a, b
}

func TestFollowBringsWhatIsThereAndWhatComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := both(t)
		a.put("notes", "k", `1`)
		b.follow(a, a.from(b, nil))
		synctest.Wait()
		if got := b.get("notes", "k"); got != `1` {
			t.Errorf("b has %s", got)
		}
		begun := time.Now()
		a.put("notes", "k", `2`)
		synctest.Wait()
		if got := b.get("notes", "k"); got != `2` || time.Since(begun) != 0 {
			t.Errorf("b has %s after %s, want the new value at once", got, time.Since(begun))
		}
		if lag := b.engine.Lag(a.principal(), b.db); lag != 0 {
			t.Errorf("lag %d", lag)
		}
	})
}

// A responder may learn of a membership while a pull runs that was opened without it.
func TestWhatBecomesAllowedDuringAPullIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, c := newDevice(t, "a"), newDevice(t, "b"), newDevice(t, "c")
		a.share("notes")
		a.share("tasks")
		for _, d := range []*device{b, c} {
			d.join("notes", a)
			d.join("tasks", a)
		}
		a.put("tasks", "k", `1`)
		// c knows everything; b knows nobody but a, but asks c, which may be a member.
		c.follow(a, a.from(c, nil))
		synctest.Wait()
		removed, err := c.db.Commit([]rows.Op{{Kind: rows.OpDelete, Collection: syncgroup.Metadata(named("tasks")), Key: "member/" + string(b.principal())}}, nil)
		if err != nil || removed[0].IsZero() {
			t.Fatal(removed, err)
		}
		b.follow(c, c.from(b, nil))
		time.Sleep(time.Minute)
		if got := b.get("tasks", "k"); got == `1` {
			t.Fatal("b got what c does not take it for a member of")
		}
		if _, err := syncgroup.Admit(c.db, named("tasks"), c.principal(), b.member()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := b.get("tasks", "k"); got != `1` {
			t.Errorf("b has %q of what it may have now", got)
		}
	})
}

// reference: sync-208 a pull that is not allowed and one of what does not exist are answered alike.
func TestStrangerAndMissingAreAnsweredAlike(t *testing.T) {
	a, b := both(t)
	scopes := []delta.ScopeVector{{Scope: id.Scope{Collection: collection("notes")}}}
	pull := func(caller id.Principal, db, sg id.Name) error {
		return a.engine.Serve(t.Context(), Peer{Principal: caller}, delta.Open{Database: db, Syncgroups: []id.Name{sg}, Known: scopes, Probe: true},
			outlet{send: func(delta.Message) error { return nil }})
	}
	if err := pull(b.principal(), dbName, named("notes")); err != nil {
		t.Fatalf("a member is refused: %v", err)
	}
	stranger := id.Principal("other.net/owner/device/x")
	want := pull(stranger, named("none"), named("notes"))
	if !errors.Is(want, ErrHidden) {
		t.Fatalf("missing database: %v, want ErrHidden", want)
	}
	for name, err := range map[string]error{
		"stranger": pull(stranger, dbName, named("notes")), "no such syncgroup": pull(b.principal(), dbName, named("none")),
		"same owner, no member": pull(owner+"/device/c", dbName, named("notes")),
	} {
		if !errors.Is(err, ErrHidden) {
			t.Errorf("%s: %v, want ErrHidden", name, err)
		}
	}
	text := strings.ReplaceAll(want.Error(), named("none").String(), dbName.String())
	for _, paused := range []bool{false, true} { // which a member is told
		a.pause(paused)
		for _, caller := range []id.Principal{stranger, owner + "/device/c"} {
			if err := pull(caller, dbName, named("notes")); err == nil || err.Error() != text {
				t.Errorf("paused %v: %s hears %q, and of what is missing %q", paused, caller, err, text)
			}
		}
	}
}

// reference: sync-204 a member gets the scopes of its syncgroups and nothing else, whatever it asks for.
func TestOnlyScopesOfSharedSyncgroupsAreSent(t *testing.T) {
	a, b := both(t)
	a.share("secrets")
	a.put("secrets", "k", `1`)
	var accepted []id.Scope
	secret, part := id.Scope{Collection: collection("secrets")}, id.Scope{Collection: collection("notes"), Prefix: "x"}
	err := a.engine.Serve(t.Context(), b.peer(), delta.Open{
		Database: dbName, Syncgroups: []id.Name{named("notes"), named("secrets")}, Probe: true,
		Known: []delta.ScopeVector{{Scope: id.Scope{Collection: collection("notes")}}, {Scope: secret}, {Scope: part}},
	}, outlet{send: func(m delta.Message) error {
		accepted = append(accepted, m.Accepted...)
		for _, p := range m.Progress {
			if p.Scope == secret {
				t.Errorf("progress of %s", p.Scope)
			}
		}
		return nil
	}})
	if err != nil || len(accepted) != 2 || accepted[0].Collection != collection("notes") || accepted[1] != part {
		t.Errorf("accepted %v, %v; want notes and a part of it alone", accepted, err)
	}
}

func TestResponderStopsWhenAuthorizationGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := both(t)
		b.follow(a, a.from(b, nil))
		synctest.Wait()
		gone := rows.Op{Kind: rows.OpDelete, Collection: syncgroup.Metadata(named("notes")), Key: "member/" + string(b.principal())}
		if _, err := a.db.Commit([]rows.Op{gone}, nil); err != nil {
			t.Fatal(err)
		}
		a.put("notes", "k", `1`)
		time.Sleep(10 * time.Minute)
		if got := b.get("notes", "k"); got == `1` {
			t.Error("b got a row after it was no member any more")
		}
		if n := len(b.failed()); n == 0 || !errors.Is(b.failed()[0], ErrHidden) || n > 60 {
			t.Errorf("%d failures in ten minutes, %v; want ErrHidden with growing pauses", n, b.failed()[:min(n, 1)])
		}
	})
}

// reference: sync-223 a database that is destroyed in the middle ends its pull and no other.
func TestDestroyedDatabaseEndsItsPullAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := both(t)
		other := named("other")
		for _, d := range []*device{a, b} {
			if _, err := d.store.Create(other, perm.For(owner, perm.DatabaseTags)); err != nil {
				t.Fatal(err)
			}
		}
		b.follow(a, a.from(b, nil))
		synctest.Wait()
		for _, d := range []*device{a, b} {
			if err := d.store.Destroy(other); err != nil {
				t.Fatal(err)
			}
		}
		a.put("notes", "k", `1`)
		synctest.Wait()
		if got := b.get("notes", "k"); got != `1` || len(b.failed()) != 0 {
			t.Errorf("b has %s, failures %v", got, b.failed())
		}
		if err := a.store.Destroy(dbName); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		// The first retry comes at once when the metadata has changed since the pull began.
		if n := len(b.failed()); n == 0 || n > 2 || !errors.Is(b.failed()[0], ErrHidden) {
			t.Errorf("failures %v, want ErrHidden once or twice", b.failed())
		}
	})
}
