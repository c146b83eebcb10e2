package peer

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/identity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// family issues identities of one authority.
type family struct {
	root      string
	authority *identity.Identity
}

func newFamily(t testing.TB) *family {
	t.Helper()
	root := t.TempDir()
	authority, err := identity.Open(filepath.Join(root, "authority"), identity.Options{Name: "authority"})
	if err != nil {
		t.Fatal(err)
	}
	return &family{root: root, authority: authority}
}

func (f *family) member(t testing.TB, name string) *identity.Identity {
	t.Helper()
	dir := filepath.Join(f.root, name)
	if _, err := f.authority.Issue(name, dir); err != nil {
		t.Fatal(err)
	}
	i, err := identity.Open(dir, identity.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// record is a log that can be read, and waited for, while it is written.
type record struct {
	// mu guards the fields below it.
	mu  sync.Mutex
	buf bytes.Buffer
	// more is closed and replaced at each write.
	more chan struct{}
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.more)
	r.more = make(chan struct{})
	return r.buf.Write(b)
}

func (r *record) read() (text string, more <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.String(), r.more
}

func (r *record) String() string {
	text, _ := r.read()
	return text
}

// node is a running Sessions with a listener.
type node struct {
	*Sessions
	address string
	log     *record
	stop    func()
}

// devices counts those that were named by start, which are others than those of device, however often the tests are repeated.
var devices uint32

func device(n byte) id.Device { return id.Device{0: 0xd0, 7: n} }

// start runs a node on loopback until the test ends, or stop is called. Identity has to be set.
func start(t testing.TB, opts Options) *node {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return startOn(t, listener, opts)
}

func startOn(t testing.TB, listener net.Listener, opts Options) *node {
	t.Helper()
	n := &node{address: listener.Addr().String(), log: &record{more: make(chan struct{})}}
	if opts.Name == "" {
		opts.Name = filepath.Base(string(opts.Identity.Principal()))
	}
	if opts.Device == (id.Device{}) {
		devices++
		opts.Device = id.Device{0: 0xd1}
		binary.BigEndian.PutUint32(opts.Device[4:], devices)
	}
	if opts.Addresses == nil {
		opts.Addresses = func() []string { return []string{n.address} }
	}
	opts.Log = hclog.New(&hclog.LoggerOptions{Output: n.log, Level: hclog.Debug})
	var err error
	if n.Sessions, err = New(opts); err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(n.ServerOptions()...)
	n.Register(server)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := server.Serve(listener); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	running.Go(func() {
		if err := n.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	n.stop = sync.OnceFunc(func() {
		cancel()
		server.Stop()
		running.Wait()
	})
	t.Cleanup(n.stop)
	return n
}

// until waits for a condition of the state of a node.
func (n *node) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		n.mu.Lock()
		changed := n.changed
		n.mu.Unlock()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("%s never happened; known %+v; log:\n%s", what, n.Known(), n.log)
		}
	}
}

func (n *node) untilLinks(t *testing.T, count int) {
	t.Helper()
	n.until(t, "the number of links", func() bool { return len(n.Links()) == count })
}

func (n *node) untilLogged(t *testing.T, text string) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		logged, more := n.log.read()
		if strings.Contains(logged, text) {
			return
		}
		select {
		case <-more:
		case <-timeout:
			t.Fatalf("%q was not logged:\n%s", text, logged)
		}
	}
}

func connect(t *testing.T, n *node, target string) (*Link, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return n.Connect(ctx, target)
}

func mustConnect(t *testing.T, n *node, target string) *Link {
	t.Helper()
	l, err := connect(t, n, target)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestBothSidesLink(t *testing.T) {
	f := newFamily(t)
	up := make(chan Peer, 1)
	a := start(t, Options{Identity: f.member(t, "a"), Features: []string{"x"}, Software: "1.0"})
	b := start(t, Options{Identity: f.member(t, "b"), OnLink: func(ctx context.Context, l *Link) {
		up <- l.Peer()
		<-ctx.Done()
	}})
	if err := b.AddAddress("static", a.address); err != nil {
		t.Fatal(err)
	}
	want := Peer{
		Name:      "a",
		Principal: a.opts.Identity.Principal(),
		Device:    a.opts.Device,
		Software:  "1.0",
		Features:  []string{"x"},
		Address:   a.address,
	}
	if diff := cmp.Diff(want, <-up); diff != "" {
		t.Errorf("peer (-want +got):\n%s", diff)
	}
	a.untilLinks(t, 1) // a learned b's address from its Hello
	if got := a.Links()[0].Peer(); got.Name != "b" || got.Address != b.address {
		t.Errorf("a has a link to %+v", got)
	}
	s := b.Known()
	if len(s) != 1 || !s[0].Connected || s[0].Via != "static" || s[0].Err != nil || s[0].LastContact.IsZero() || s[0].BytesIn == 0 || s[0].BytesOut == 0 {
		t.Errorf("b knows %+v", s)
	}
	if got := mustConnect(t, b, "a"); got.Peer().Name != "a" {
		t.Errorf("connect by name gave %+v", got.Peer())
	}
}

func TestStrangerIsRefusedBothWays(t *testing.T) {
	ours, theirs := newFamily(t), newFamily(t)
	a := start(t, Options{Identity: ours.member(t, "a")})
	c := start(t, Options{Identity: theirs.member(t, "c")})

	_, err := connect(t, c, a.address)
	if !errors.Is(err, ErrRefused) {
		t.Fatalf("got %v, want a refusal", err)
	}
	for _, want := range []string{a.address, ours.authority.Principal().TrustDomain(), "identity trust", "identity issue"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
	a.untilLogged(t, "refused: ")

	// Now c trusts a, which changes nothing for a.
	if _, err := c.opts.Identity.Trust(filepath.Join(ours.root, "authority", "ca.pem")); err != nil {
		t.Fatal(err)
	}
	if _, err = connect(t, c, a.address); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "does not accept this device") {
		t.Fatalf("got %v, want a's refusal", err)
	}
	a.untilLogged(t, theirs.authority.Principal().TrustDomain())
	if len(a.Links()) != 0 || len(c.Links()) != 0 || len(a.Known()) != 0 {
		t.Errorf("links %v %v, a knows %+v", a.Links(), c.Links(), a.Known())
	}
}

func TestNeverLinksToItself(t *testing.T) {
	a := start(t, Options{Identity: newFamily(t).member(t, "a")})
	if _, err := connect(t, a, a.address); !errors.Is(err, errSelf) {
		t.Fatalf("got %v, want errSelf", err)
	}
	if len(a.Links()) != 0 || len(a.Known()) != 0 {
		t.Errorf("links %v, known %+v", a.Links(), a.Known())
	}
}

func TestDeviceClaimOfAnotherIsRefused(t *testing.T) {
	f := newFamily(t)
	a := start(t, Options{Identity: f.member(t, "a")})
	b := start(t, Options{Identity: f.member(t, "b")})
	mustConnect(t, b, a.address)
	thief := start(t, Options{Identity: f.member(t, "thief"), Device: b.opts.Device})
	if _, err := connect(t, thief, a.address); !errors.Is(err, ErrDenied) || strings.Contains(err.Error(), "rpc error") ||
		!strings.Contains(err.Error(), ": it refuses this device: the data directory is that of ") || !strings.Contains(err.Error(), "empty data directory") {
		t.Errorf("claiming b's device at a: got %v, want ErrDenied and what to do", err)
	}
	a.untilLogged(t, "claims the device of another")
	// The other way round, when a calls the thief.
	if _, err := connect(t, a, thief.address); !errors.Is(err, ErrProtocol) {
		t.Errorf("calling who answers as b's device: got %v, want ErrProtocol", err)
	}
	self := start(t, Options{Identity: f.member(t, "self"), Device: a.opts.Device})
	if _, err := connect(t, self, a.address); !errors.Is(err, ErrDenied) {
		t.Errorf("claiming a's own device: got %v, want ErrDenied", err)
	}
}

func TestOneLinkHoweverManyAddresses(t *testing.T) {
	f := newFamily(t)
	a := start(t, Options{Identity: f.member(t, "a")})
	b := start(t, Options{Identity: f.member(t, "b")})
	_, port, _ := net.SplitHostPort(a.address)
	for _, address := range []string{a.address, "localhost:" + port, "[::ffff:127.0.0.1]:" + port} {
		if err := b.AddAddress("static", address); err != nil {
			t.Fatal(err)
		}
	}
	b.until(t, "one peer", func() bool { return len(b.Known()) == 1 && b.Known()[0].Connected })
	if got := len(b.Links()); got != 1 {
		t.Errorf("%d links", got)
	}
}

func TestReconnects(t *testing.T) {
	f := newFamily(t)
	member := f.member(t, "a")
	a := start(t, Options{Identity: member, Device: device(100)})
	b := start(t, Options{Identity: f.member(t, "b")})
	first := mustConnect(t, b, a.address)
	a.stop()
	<-first.Done()
	if !errors.Is(first.Err(), ErrUnreachable) {
		t.Errorf("the link ended with %v", first.Err())
	}
	if _, err := first.Join(t.Context(), id.Name{}, id.Name{}, "normal"); !errors.Is(err, ErrUnreachable) {
		t.Errorf("a request on a dead link: %v", err)
	}
	b.untilLinks(t, 0)
	if s := b.Known(); len(s) != 1 || s[0].Connected || s[0].Err == nil {
		t.Errorf("b knows %+v", s)
	}
	listener, err := net.Listen("tcp", a.address)
	if err != nil {
		t.Fatal(err)
	}
	startOn(t, listener, Options{Identity: member, Device: device(100)})
	b.untilLinks(t, 1)
}

func TestConnectFailsClearly(t *testing.T) {
	a := start(t, Options{Identity: newFamily(t).member(t, "a")})
	if _, err := connect(t, a, "127.0.0.1:1"); !errors.Is(err, ErrUnreachable) {
		t.Errorf("got %v, want ErrUnreachable", err)
	}
	if got := a.Known(); len(got) != 0 {
		t.Errorf("a failed attempt left %+v", got)
	}
	if _, err := connect(t, a, "nobody"); !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v, want ErrUnknown", err)
	}
	if err := a.AddAddress("static", "no port"); err == nil {
		t.Error("a malformed address was taken")
	}
}

var (
	db    = id.Name{Owner: "example.org/owner", Local: "db"}
	sg    = id.Name{Owner: "example.org/owner", Local: "sg"}
	scope = id.Scope{Collection: id.Collection{Name: id.Name{Owner: "example.org/owner", Local: "c"}}, Prefix: "p"}
	meta  = id.Scope{Collection: id.Collection{Kind: id.Syncgroup, Name: sg}}
)

func writer(n byte) id.Writer { return id.Writer{Device: device(n), Epoch: 1} }

func open(n *node) delta.Open {
	return delta.Open{
		Database:   db,
		Syncgroups: []id.Name{sg},
		Known: []delta.ScopeVector{
			{Scope: scope, Vector: id.Vector{writer(1): 7, writer(2): 9}},
			{Scope: meta, Vector: id.Vector{}},
		},
		Window: minWindow,
		Self:   id.Writer{Device: n.opts.Device, Epoch: 1},
	}
}

type pullFunc func(ctx context.Context, caller Caller, open delta.Open, stream ServerStream) error

func (f pullFunc) ServePull(ctx context.Context, caller Caller, open delta.Open, stream ServerStream) error {
	return f(ctx, caller, open, stream)
}

func TestPull(t *testing.T) {
	f := newFamily(t)
	progress := []delta.ScopeVector{{Scope: scope, Vector: id.Vector{writer(1): 8}}}
	sent := make(chan int, 64)
	calls := make(chan Caller, 1)
	asked := make(chan delta.Open, 1)
	a := start(t, Options{Identity: f.member(t, "a"), Puller: pullFunc(func(_ context.Context, caller Caller, open delta.Open, stream ServerStream) error {
		calls <- caller
		asked <- open
		if err := stream.Send(delta.Message{Accepted: []id.Scope{scope}}); err != nil {
			return err
		}
		for i := range 4 { // more than the window, so that credit is needed
			if err := stream.Send(delta.Message{Commits: [][]byte{bytes.Repeat([]byte{byte(i)}, minWindow/2)}}); err != nil {
				return err
			}
			sent <- i
		}
		return stream.Send(delta.Message{Progress: progress})
	})})
	b := start(t, Options{Identity: f.member(t, "b")})
	stream, err := mustConnect(t, b, a.address).Pull(t.Context(), open(b))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	m, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	caller := <-calls
	if caller.Name != "b" || caller.Device != b.opts.Device || caller.Principal != b.opts.Identity.Principal() || caller.Address == "" {
		t.Errorf("caller %+v", caller)
	}
	if diff := cmp.Diff(open(b), <-asked); diff != "" {
		t.Errorf("open (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(delta.Message{Accepted: []id.Scope{scope}}, m); diff != "" {
		t.Errorf("accepted (-want +got):\n%s", diff)
	}
	for i := range 4 {
		if m, err = stream.Recv(); err != nil {
			t.Fatal(err)
		}
		if len(m.Commits) != 1 || len(m.Commits[0]) != minWindow/2 || m.Commits[0][0] != byte(i) {
			t.Fatalf("message %d is %d commits", i, len(m.Commits))
		}
		if i == 1 && len(sent) > 2 {
			t.Errorf("%d messages were sent with a window for two", len(sent))
		}
		if i >= 1 {
			if err := stream.Credit(minWindow / 2); err != nil {
				t.Fatal(err)
			}
		}
	}
	if m, err = stream.Recv(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(delta.Message{Progress: progress}, m); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	if _, err := stream.Recv(); err != io.EOF {
		t.Errorf("at the end: %v, want io.EOF", err)
	}
	if err := stream.Credit(minWindow); err == nil {
		t.Error("credit for more than was received was accepted")
	}
}

func TestPullSplitsCommits(t *testing.T) {
	f := newFamily(t)
	var commits [][]byte
	for i := range 40 {
		commits = append(commits, bytes.Repeat([]byte{byte(i)}, 100<<10))
	}
	commits = append(commits, bytes.Repeat([]byte{1}, 3<<20), []byte{1})
	a := start(t, Options{Identity: f.member(t, "a"), Puller: pullFunc(func(ctx context.Context, _ Caller, _ delta.Open, stream ServerStream) error {
		if err := stream.Send(delta.Message{Accepted: []id.Scope{}}); err != nil {
			return err
		}
		return stream.Send(delta.Message{Commits: commits})
	})})
	b := start(t, Options{Identity: f.member(t, "b")})
	request := open(b)
	request.Window = maxWindow
	stream, err := mustConnect(t, b, a.address).Pull(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if m, err := stream.Recv(); err != nil || m.Accepted == nil {
		t.Fatalf("got %v %v, want accepted without scopes", m, err)
	}
	var got [][]byte
	for {
		m, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, m.Commits...)
	}
	if !slices.EqualFunc(commits, got, bytes.Equal) {
		t.Error("the commits differ")
	}
}

func TestPullEndsWithTheCaller(t *testing.T) {
	f := newFamily(t)
	ended := make(chan error, 1)
	a := start(t, Options{Identity: f.member(t, "a"), Puller: pullFunc(func(ctx context.Context, _ Caller, _ delta.Open, stream ServerStream) error {
		if err := stream.Send(delta.Message{Accepted: []id.Scope{scope}}); err != nil {
			return err
		}
		var err error
		for err == nil { // blocks when the window is full
			err = stream.Send(delta.Message{Commits: [][]byte{make([]byte, minWindow/2)}})
		}
		ended <- err
		return err
	})})
	b := start(t, Options{Identity: f.member(t, "b")})
	stream, err := mustConnect(t, b, a.address).Pull(t.Context(), open(b))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	stream.Close()
	<-ended
	if len(b.Links()) != 1 {
		t.Error("the link ended with the stream")
	}
}

type admitFunc func(caller Caller, database, syncgroup id.Name, memberType string) (Admission, error)

func (f admitFunc) Admit(_ context.Context, caller Caller, database, syncgroup id.Name, memberType string) (Admission, error) {
	return f(caller, database, syncgroup, memberType)
}

func TestJoin(t *testing.T) {
	f := newFamily(t)
	a := start(t, Options{Identity: f.member(t, "a"), Admitter: admitFunc(func(_ Caller, database, syncgroup id.Name, memberType string) (Admission, error) {
		switch {
		case database != db:
			return Admission{}, ErrNotFound
		case memberType == "leaf":
			return Admission{}, ErrDenied
		case memberType == "normal":
			return Admission{}, errors.New("secret")
		}
		return Admission{Spec: []byte(syncgroup.Local), Known: id.Vector{{Device: id.Device{1}, Epoch: 2}: 3}}, nil
	})})
	b := start(t, Options{Identity: f.member(t, "b")})
	link := mustConnect(t, b, a.address)
	if got, err := link.Join(t.Context(), db, sg, "server"); err != nil || string(got.Spec) != "sg" || got.Known.String() != (id.Vector{{Device: id.Device{1}, Epoch: 2}: 3}).String() {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := link.Join(t.Context(), sg, sg, "server"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	if _, err := link.Join(t.Context(), db, sg, "leaf"); !errors.Is(err, ErrDenied) {
		t.Errorf("got %v, want ErrDenied", err)
	}
	if _, err := link.Join(t.Context(), db, sg, "normal"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v, want an internal error without its text", err)
	}
	if _, err := link.Join(t.Context(), db, id.Name{}, "normal"); err == nil || !strings.Contains(err.Error(), "InvalidArgument") {
		t.Errorf("got %v, want InvalidArgument", err)
	}
	if link.Err() != nil {
		t.Errorf("the link ended: %v", link.Err())
	}
}

// blob is a BlobServer of one recipe whose chunks are their index, repeated.
type blob struct{ recipe []byte }

func (b blob) Recipe(_ context.Context, _ Caller, ref string, send func([]byte) error) error {
	if ref != "ref" {
		return ErrNotFound
	}
	return send(b.recipe)
}

func (b blob) Chunks(_ context.Context, _ Caller, _ string, indexes []uint32, send func(uint32, []byte) error) error {
	for _, i := range indexes {
		if err := send(i, bytes.Repeat([]byte{byte(i)}, 1000)); err != nil {
			return err
		}
	}
	return nil
}

func TestBlobs(t *testing.T) {
	f := newFamily(t)
	recipe := bytes.Repeat([]byte("recipe"), 200_000)
	a := start(t, Options{Identity: f.member(t, "a"), Blobs: blob{recipe}})
	b := start(t, Options{Identity: f.member(t, "b")})
	link := mustConnect(t, b, a.address)
	if got, err := link.Recipe(t.Context(), "ref", len(recipe)); err != nil || !bytes.Equal(got, recipe) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	if _, err := link.Recipe(t.Context(), "other", 1); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	var got []uint32
	err := link.Chunks(t.Context(), "ref", []uint32{3, 1, 2}, func(index uint32, data []byte) error {
		if !bytes.Equal(data, bytes.Repeat([]byte{byte(index)}, 1000)) {
			t.Errorf("chunk %d has other bytes", index)
		}
		got = append(got, index)
		return nil
	})
	if err != nil || !cmp.Equal(got, []uint32{3, 1, 2}) {
		t.Errorf("got chunks %v, %v", got, err)
	}
	stop := errors.New("enough")
	if err := link.Chunks(t.Context(), "ref", []uint32{1, 2}, func(uint32, []byte) error { return stop }); err != stop {
		t.Errorf("got %v, want the visitor's error", err)
	}
	if err := link.Chunks(t.Context(), "ref", nil, nil); err == nil {
		t.Error("no chunks were asked for without an error")
	}
	if _, err := link.Recipe(t.Context(), "ref", 10); !errors.Is(err, ErrProtocol) {
		t.Errorf("a recipe larger than the limit: %v, want ErrProtocol", err)
	}
	<-link.Done()
}
