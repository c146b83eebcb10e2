package peer

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/identity"
	peerv1 "github.com/syncbase/syncbase/sdk/api/peer/v1"
)

// liar is a peer with a good certificate that answers as each test tells it to.
type liar struct {
	peerv1.UnimplementedPeerServiceServer
	hello  *peerv1.HelloResponse
	pull   []*peerv1.PullResponse
	recipe []*peerv1.GetRecipeResponse
	chunks []*peerv1.GetChunksResponse
	spec   []byte
	known  []*peerv1.VectorEntry
}

func (l *liar) Hello(context.Context, *peerv1.HelloRequest) (*peerv1.HelloResponse, error) {
	if l.hello == nil {
		d := device(200)
		return &peerv1.HelloResponse{Name: "liar", Device: d[:]}, nil
	}
	return l.hello, nil
}

func (l *liar) Join(context.Context, *peerv1.JoinRequest) (*peerv1.JoinResponse, error) {
	return &peerv1.JoinResponse{Spec: l.spec, Known: l.known}, nil
}

func (l *liar) Pull(stream grpc.BidiStreamingServer[peerv1.PullRequest, peerv1.PullResponse]) error {
	for _, m := range l.pull {
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	return nil
}

func (l *liar) GetRecipe(_ *peerv1.GetRecipeRequest, stream grpc.ServerStreamingServer[peerv1.GetRecipeResponse]) error {
	for _, m := range l.recipe {
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	return nil
}

func (l *liar) GetChunks(_ *peerv1.GetChunksRequest, stream grpc.ServerStreamingServer[peerv1.GetChunksResponse]) error {
	for _, m := range l.chunks {
		if err := stream.Send(m); err != nil {
			return err
		}
	}
	return nil
}

// serve runs the liar until the test ends and returns its address.
func (l *liar) serve(t *testing.T, as *identity.Identity, options ...grpc.ServerOption) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(append(options, grpc.Creds(as.ServerCredentials(nil)))...)
	peerv1.RegisterPeerServiceServer(server, l)
	done := make(chan error)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
	return listener.Addr().String()
}

func accepted(scopes ...id.Scope) *peerv1.PullResponse {
	body := &peerv1.PullAccepted{}
	for _, s := range scopes {
		body.Scopes = append(body.Scopes, encodeScope(s))
	}
	return &peerv1.PullResponse{Message: &peerv1.PullResponse_Accepted{Accepted: body}}
}

func commits(c ...[]byte) *peerv1.PullResponse {
	return &peerv1.PullResponse{Message: &peerv1.PullResponse_Commits{Commits: &peerv1.Commits{Commits: c}}}
}

func progress(s id.Scope, entries ...*peerv1.VectorEntry) *peerv1.PullResponse {
	vectors := []*peerv1.ScopeVector{{Scope: encodeScope(s), Entries: entries}}
	return &peerv1.PullResponse{Message: &peerv1.PullResponse_Progress{Progress: &peerv1.PullProgress{Vectors: vectors}}}
}

func entry(device []byte, generation uint64) *peerv1.VectorEntry {
	return &peerv1.VectorEntry{Device: device, Generation: generation}
}

func TestMalformedPullIsRefused(t *testing.T) {
	f := newFamily(t)
	a, b := f.member(t, "a"), f.member(t, "b")
	d := device(1)
	stranger := id.Scope{Collection: id.Collection{Name: id.Name{Owner: "x", Local: "y"}}}
	many := make([]*peerv1.VectorEntry, maxEntries+1)
	for i := range many {
		many[i] = entry([]byte{1, 2, 3, 4, 5, byte(i >> 16), byte(i >> 8), byte(i)}, 1)
	}
	for name, tc := range map[string]struct {
		sent []*peerv1.PullResponse
		want string
	}{
		"commits first":         {[]*peerv1.PullResponse{commits([]byte{1})}, "as the first message"},
		"nothing at all":        {nil, "nothing at all"},
		"nothing first":         {[]*peerv1.PullResponse{{}}, "as the first message"},
		"accepted twice":        {[]*peerv1.PullResponse{accepted(scope), accepted(scope)}, "accepted twice"},
		"scope not asked for":   {[]*peerv1.PullResponse{accepted(stranger)}, "not asked for"},
		"same scope twice":      {[]*peerv1.PullResponse{accepted(scope, scope)}, "twice"},
		"invalid scope":         {[]*peerv1.PullResponse{accepted(id.Scope{})}, "principal"},
		"empty message":         {[]*peerv1.PullResponse{accepted(scope), {}}, "empty or unknown"},
		"no commits":            {[]*peerv1.PullResponse{accepted(scope), commits()}, "no commits"},
		"empty commit":          {[]*peerv1.PullResponse{accepted(scope), commits([]byte{})}, "commit of 0 bytes"},
		"commits too large":     {[]*peerv1.PullResponse{accepted(scope), commits(make([]byte, 1<<20), []byte{1})}, "in one message"},
		"commit too large":      {[]*peerv1.PullResponse{accepted(scope), commits(make([]byte, maxCommit+1))}, "commit of"},
		"beyond the window":     {[]*peerv1.PullResponse{accepted(scope), commits(make([]byte, minWindow)), commits([]byte{1})}, "beyond the window"},
		"message too large":     {[]*peerv1.PullResponse{accepted(scope), commits(make([]byte, maxMessage+1))}, "larger than max"},
		"progress not accepted": {[]*peerv1.PullResponse{accepted(scope), progress(meta)}, "has not accepted"},
		"short device":          {[]*peerv1.PullResponse{accepted(scope), progress(scope, entry(d[:7], 1))}, "device of 7 bytes"},
		"writer twice":          {[]*peerv1.PullResponse{accepted(scope), progress(scope, entry(d[:], 1), entry(d[:], 2))}, "twice"},
		"generation 0":          {[]*peerv1.PullResponse{accepted(scope), progress(scope, entry(d[:], 0))}, "generation 0"},
		"too many entries":      {[]*peerv1.PullResponse{accepted(scope), progress(scope, many...)}, "the limit is 65536"},
	} {
		t.Run(name, func(t *testing.T) {
			address := (&liar{pull: tc.sent}).serve(t, b)
			n := start(t, Options{Identity: a})
			link := mustConnect(t, n, address)
			stream, err := link.Pull(t.Context(), open(n))
			if err != nil {
				t.Fatal(err)
			}
			defer stream.Close()
			for err == nil {
				_, err = stream.Recv()
			}
			if !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want ErrProtocol with %q", err, tc.want)
			}
			<-link.Done()
			if !errors.Is(link.Err(), ErrProtocol) {
				t.Errorf("the link ended with %v", link.Err())
			}
		})
	}
}

func TestMalformedHelloIsRefused(t *testing.T) {
	f := newFamily(t)
	a, b := f.member(t, "a"), f.member(t, "b")
	d := device(200)
	for name, hello := range map[string]*peerv1.HelloResponse{
		"no name":            {Device: d[:]},
		"long name":          {Name: strings.Repeat("x", 65), Device: d[:]},
		"control characters": {Name: "a\nb", Device: d[:]},
		"no device":          {Name: "x"},
		"zero device":        {Name: "x", Device: make([]byte, 8)},
		"features":           {Name: "x", Device: d[:], Features: make([]string, 65)},
		"long feature":       {Name: "x", Device: d[:], Features: []string{strings.Repeat("x", 65)}},
		"addresses":          {Name: "x", Device: d[:], Addresses: make([]string, 17)},
		"malformed address":  {Name: "x", Device: d[:], Addresses: []string{"host"}},
		"port 0":             {Name: "x", Device: d[:], Addresses: []string{"host:0"}},
	} {
		t.Run(name, func(t *testing.T) {
			n := start(t, Options{Identity: a})
			if _, err := connect(t, n, (&liar{hello: hello}).serve(t, b)); !errors.Is(err, ErrProtocol) {
				t.Errorf("got %v, want ErrProtocol", err)
			}
		})
	}
}

func TestMalformedBlobsAreRefused(t *testing.T) {
	f := newFamily(t)
	a, b := f.member(t, "a"), f.member(t, "b")
	chunk := func(index uint32, size int) *peerv1.GetChunksResponse {
		return &peerv1.GetChunksResponse{Index: index, Data: make([]byte, size)}
	}
	for name, tc := range map[string]struct {
		liar liar
		want string
	}{
		"recipe part empty": {liar{recipe: []*peerv1.GetRecipeResponse{{}}}, "part of a recipe"},
		"recipe part large": {liar{recipe: []*peerv1.GetRecipeResponse{{Data: make([]byte, maxRecipePart+1)}}}, "part of a recipe"},
		"recipe too large":  {liar{recipe: []*peerv1.GetRecipeResponse{{Data: make([]byte, 1001)}}}, "more than 1000"},
		"chunk order":       {liar{chunks: []*peerv1.GetChunksResponse{chunk(2, 1)}}, "chunk 2 where 1"},
		"chunks missing":    {liar{chunks: []*peerv1.GetChunksResponse{chunk(1, 1)}}, "fewer than"},
		"chunks too many":   {liar{chunks: []*peerv1.GetChunksResponse{chunk(1, 1), chunk(2, 1), chunk(3, 1)}}, "more than the 2"},
		"chunk empty":       {liar{chunks: []*peerv1.GetChunksResponse{chunk(1, 0)}}, "chunk of 0"},
		"chunk large":       {liar{chunks: []*peerv1.GetChunksResponse{chunk(1, maxChunk+1)}}, "chunk of"},
		"no spec":           {liar{}, "empty specification"},
		"spec too large":    {liar{spec: make([]byte, maxSpec+1)}, "the limit is"},
		"knows nonsense":    {liar{spec: []byte("{}"), known: []*peerv1.VectorEntry{{Generation: 1}}}, "what it knows"},
	} {
		t.Run(name, func(t *testing.T) {
			n := start(t, Options{Identity: a})
			link := mustConnect(t, n, tc.liar.serve(t, b))
			var err error
			switch {
			case tc.liar.recipe != nil:
				_, err = link.Recipe(t.Context(), "ref", 1000)
			case tc.liar.chunks != nil:
				err = link.Chunks(t.Context(), "ref", []uint32{1, 2}, func(uint32, []byte) error { return nil })
			default:
				_, err = link.Join(t.Context(), db, sg, "normal")
			}
			if !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want ErrProtocol with %q", err, tc.want)
			}
		})
	}
}

// TestProtocolFaultKeepsDistance checks that a peer that broke the rules is not called again at once.
func TestProtocolFaultKeepsDistance(t *testing.T) {
	f := newFamily(t)
	n := start(t, Options{Identity: f.member(t, "a")})
	address := (&liar{}).serve(t, f.member(t, "b"))
	link := mustConnect(t, n, address)
	if _, err := link.Join(t.Context(), db, sg, "normal"); !errors.Is(err, ErrProtocol) {
		t.Fatal(err)
	}
	n.untilLinks(t, 0)
	n.mu.Lock()
	defer n.mu.Unlock()
	if c := n.roster.at(address); time.Until(c.next) < gracelessDelay/2 {
		t.Errorf("the next attempt is in %s", time.Until(c.next))
	}
}

// rawCodec sends bytes as they are, for messages that no generated code would write.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

var _ encoding.CodecV2 = rawCodec{}

// caller connects to a node as somebody with a good certificate and bad manners.
func caller(t *testing.T, n *node, as *identity.Identity) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(n.address, grpc.WithTransportCredentials(as.ClientCredentials(nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestMalformedRequestsAreRefused(t *testing.T) {
	f := newFamily(t)
	served := func(context.Context, Caller, delta.Open, ServerStream) error {
		t.Error("a malformed pull was served")
		return nil
	}
	n := start(t, Options{
		Identity: f.member(t, "a"),
		Puller:   pullFunc(served),
		Blobs:    blob{},
		Admitter: admitFunc(func(Caller, id.Name, id.Name, string) (Admission, error) {
			t.Error("a malformed join was admitted")
			return Admission{}, nil
		}),
	})
	conn := caller(t, n, f.member(t, "b"))
	client := peerv1.NewPeerServiceClient(conn)
	ctx := t.Context()
	me := device(150)
	if _, err := client.Hello(ctx, &peerv1.HelloRequest{Name: "b", Device: me[:]}); err != nil {
		t.Fatal(err)
	}
	good := func() *peerv1.PullOpen {
		return encodeOpen(open(&node{Sessions: &Sessions{opts: Options{Device: me}}}))
	}
	pull := func(change func(*peerv1.PullRequest)) error {
		m := &peerv1.PullRequest{Open: good()}
		change(m)
		stream, err := client.Pull(ctx)
		if err == nil {
			err = stream.Send(m)
		}
		if err == nil {
			_, err = stream.Recv()
		}
		return err
	}
	chunks := func(indexes []uint32) error {
		stream, err := client.GetChunks(ctx, &peerv1.GetChunksRequest{Ref: "ref", Indexes: indexes})
		if err == nil {
			_, err = stream.Recv()
		}
		return err
	}
	d := device(1)
	twice := &peerv1.ScopeVector{Scope: encodeScope(scope)}
	for name, call := range map[string]func() error{
		"hello of another device": func() error {
			_, err := client.Hello(ctx, &peerv1.HelloRequest{Name: "b", Device: d[:]})
			return err
		},
		"hello without name": func() error {
			_, err := client.Hello(ctx, &peerv1.HelloRequest{Device: me[:]})
			return err
		},
		"join nothing": func() error {
			_, err := client.Join(ctx, &peerv1.JoinRequest{})
			return err
		},
		"join as nothing": func() error {
			_, err := client.Join(ctx, &peerv1.JoinRequest{Database: encodeName(db), Syncgroup: encodeName(sg)})
			return err
		},
		"pull without open":     func() error { return pull(func(m *peerv1.PullRequest) { m.Open = nil }) },
		"pull with credit":      func() error { return pull(func(m *peerv1.PullRequest) { m.Credit = 1 }) },
		"pull small window":     func() error { return pull(func(m *peerv1.PullRequest) { m.Open.Window = minWindow - 1 }) },
		"pull large window":     func() error { return pull(func(m *peerv1.PullRequest) { m.Open.Window = maxWindow + 1 }) },
		"pull as another":       func() error { return pull(func(m *peerv1.PullRequest) { m.Open.Device = d[:] }) },
		"pull no syncgroup":     func() error { return pull(func(m *peerv1.PullRequest) { m.Open.Syncgroups = nil }) },
		"pull scope twice":      func() error { return pull(func(m *peerv1.PullRequest) { m.Open.Known = append(m.Open.Known, twice) }) },
		"pull without database": func() error { return pull(func(m *peerv1.PullRequest) { m.Open.Database = nil }) },
		"pull nil scope":        func() error { return pull(func(m *peerv1.PullRequest) { m.Open.Known[0].Scope = nil }) },
		"no chunks":             func() error { return chunks(nil) },
		"too many chunks":       func() error { return chunks(make([]uint32, maxIndexes+1)) },
		"recipe without reference": func() error {
			stream, err := client.GetRecipe(ctx, &peerv1.GetRecipeRequest{})
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := call(); status.Code(err) != codes.InvalidArgument {
				t.Errorf("got %v, want InvalidArgument", err)
			}
		})
	}
	t.Run("truncated message", func(t *testing.T) {
		var reply []byte
		err := conn.Invoke(ctx, peerv1.PeerService_Hello_FullMethodName, []byte{0x0a, 0x50, 'x'}, &reply, grpc.ForceCodecV2(rawCodec{}))
		if err == nil {
			t.Error("a truncated message was understood")
		}
	})
	t.Run("oversized message", func(t *testing.T) {
		var reply []byte
		huge := bytes.Repeat([]byte{0x0a, 0}, maxMessage/2+1)
		err := conn.Invoke(ctx, peerv1.PeerService_Hello_FullMethodName, huge, &reply, grpc.ForceCodecV2(rawCodec{}))
		if status.Code(err) != codes.ResourceExhausted {
			t.Errorf("got %v, want ResourceExhausted", err)
		}
	})
	if _, err := client.Hello(ctx, &peerv1.HelloRequest{Name: "b", Device: me[:]}); err != nil {
		t.Errorf("after all that, a good request fails: %v", err)
	}
}

func TestFalseWordsEndThePull(t *testing.T) {
	f := newFamily(t)
	n := start(t, Options{Identity: f.member(t, "a"), Puller: pullFunc(func(ctx context.Context, _ Caller, _ delta.Open, stream ServerStream) error {
		if err := stream.Send(delta.Message{Accepted: []id.Scope{scope}}); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	})})
	client := peerv1.NewPeerServiceClient(caller(t, n, f.member(t, "b")))
	var many []*peerv1.Writer
	for i := range maxHeldBack + 1 {
		d := id.Device{1, byte(i >> 8), byte(i)}
		many = append(many, &peerv1.Writer{Device: d[:]})
	}
	for name, second := range map[string]*peerv1.PullRequest{
		"credit for nothing":  {Credit: 1},
		"second open":         {Open: &peerv1.PullOpen{}},
		"too many held back":  {Elsewhere: &peerv1.Elsewhere{Writers: &peerv1.Writers{Writers: many}}},
		"held back twice":     {Elsewhere: &peerv1.Elsewhere{Writers: &peerv1.Writers{Writers: []*peerv1.Writer{many[0], many[0]}}}},
		"writer that is none": {Elsewhere: &peerv1.Elsewhere{Writers: &peerv1.Writers{Writers: []*peerv1.Writer{{Device: []byte{1}}}}}},
		"knowledge of who is not held back": {Elsewhere: &peerv1.Elsewhere{
			Writers: &peerv1.Writers{Writers: many[1:2]}, Known: []*peerv1.ScopeVector{{Scope: encodeScope(scope), Entries: []*peerv1.VectorEntry{entry(many[0].Device, 1)}}},
		}},
		"knowledge of a scope not asked for": {Elsewhere: &peerv1.Elsewhere{Known: []*peerv1.ScopeVector{{Scope: encodeScope(id.Scope{Collection: id.Collection{Name: id.Name{Owner: "x", Local: "y"}}})}}}},
		"news of a scope not asked for":      {Elsewhere: &peerv1.Elsewhere{News: []*peerv1.ScopeVector{{Scope: encodeScope(id.Scope{Collection: id.Collection{Name: id.Name{Owner: "x", Local: "y"}}})}}}},
		"knowledge of generation 0": {Elsewhere: &peerv1.Elsewhere{
			Writers: &peerv1.Writers{Writers: many[:1]}, Known: []*peerv1.ScopeVector{{Scope: encodeScope(scope), Entries: []*peerv1.VectorEntry{entry(many[0].Device, 0)}}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			me := device(150)
			if _, err := client.Hello(t.Context(), &peerv1.HelloRequest{Name: "b", Device: me[:]}); err != nil {
				t.Fatal(err)
			}
			stream, err := client.Pull(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			first := encodeOpen(open(&node{Sessions: &Sessions{opts: Options{Device: me}}}))
			for _, m := range []*peerv1.PullRequest{{Open: first}, second} {
				if err := stream.Send(m); err != nil {
					t.Fatal(err)
				}
			}
			for err == nil {
				_, err = stream.Recv()
			}
			if status.Code(err) != codes.InvalidArgument {
				t.Errorf("got %v, want InvalidArgument", err)
			}
		})
	}
}
