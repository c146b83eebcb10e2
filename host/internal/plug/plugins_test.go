package plug

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"

	resolverv1 "github.com/syncbase/syncbase/sdk/api/resolver/v1"
	sdk "github.com/syncbase/syncbase/sdk/plugin"
	"github.com/syncbase/syncbase/sdk/plugin/blobstore"
	"github.com/syncbase/syncbase/sdk/plugin/discovery"
)

// TestMain makes the test binary a plugin when a host of these tests starts it as one, and a host when a test wants one
// in a process of its own.
func TestMain(m *testing.M) {
	if sdk.IsPlugin() {
		runTestPlugin(os.Args[len(os.Args)-1])
	}
	if dir := os.Getenv("PLUG_TEST_HOST"); dir != "" {
		runTestHost(dir)
	}
	if socket := os.Getenv("PLUG_TEST_INTRUDER"); socket != "" {
		runIntruder(socket)
	}
	goleak.VerifyTestMain(m)
}

// runTestPlugin serves or misbehaves, as its name says, and does not return.
func runTestPlugin(name string) {
	switch name {
	case "exit3":
		fmt.Fprintln(os.Stderr, "cannot open /dev/flux: no capacitor")
		os.Exit(3)
	case "discovery":
		sdk.Main("discovery", "1", discovery.Kind(newTestDiscovery))
	case "resolver":
		sdk.Main("resolver", "1", resolverKind())
	case "exclusive":
		sdk.Main("exclusive", "1", blobstore.Kind(newTestStore).WithConfig(storeConfig{}).AsExclusive())
	default:
		if name == "noisy" {
			fmt.Println("a line before the handshake")
		}
		sdk.Main(name, "1.2.3", blobstore.Kind(newTestStore).WithConfig(storeConfig{}))
	}
	os.Exit(9)
}

// storeConfig says how a test store misbehaves.
type storeConfig struct {
	Grandchild   string `json:"grandchild,omitempty"`    // file for the number of a child process
	Environ      string `json:"environ,omitempty"`       // file for the environment
	Running      string `json:"running,omitempty"`       // file that must not exist, and does while the store is open
	CloseTime    string `json:"close_time,omitempty"`    // how long Close takes
	Closed       string `json:"closed,omitempty"`        // file that Close creates
	IgnoreTerm   bool   `json:"ignore_term,omitempty"`   // SIGTERM does nothing
	Noise        int    `json:"noise,omitempty"`         // bytes without a newline to print
	Chatter      int    `json:"chatter,omitempty"`       // log lines to write
	CrashOnGet   bool   `json:"crash_on_get,omitempty"`  // panic in the middle of the first Get of each data directory
	CrashOnOpen  bool   `json:"crash_on_open,omitempty"` // exit while being configured
	Refuse       string `json:"refuse,omitempty"`        // what Validate has against this configuration
	HotSwappable string `json:"hot,omitempty"`           // takes effect without a new process
}

func (c storeConfig) Validate() error {
	if c.Refuse != "" {
		return &sdk.ConfigError{Path: "/refuse", Summary: c.Refuse}
	}
	return nil
}

// testStore keeps each object in a file of the data directory.
type testStore struct {
	dir    string
	config storeConfig
}

func newTestStore(_ context.Context, setup sdk.Setup) (blobstore.Store, error) {
	s := &testStore{dir: setup.DataDir}
	if err := setup.Decode(&s.config); err != nil {
		return nil, err
	}
	setup.Log.Info("store is open", "instance", setup.Instance)
	return s, s.misbehave(setup)
}

func (s *testStore) misbehave(setup sdk.Setup) error {
	c := s.config
	if c.CrashOnOpen {
		fmt.Fprintln(os.Stderr, "out of cheese")
		os.Exit(7)
	}
	if c.Grandchild != "" {
		child := exec.Command("sleep", "1000")
		if err := child.Start(); err != nil {
			return err
		}
		if err := writeWhole(c.Grandchild, fmt.Appendf(nil, "%d", child.Process.Pid)); err != nil {
			return err
		}
	}
	if c.Environ != "" {
		if err := writeWhole(c.Environ, []byte(strings.Join(os.Environ(), "\n"))); err != nil {
			return err
		}
	}
	if c.Running != "" {
		f, err := os.OpenFile(c.Running, os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		f.Close()
	}
	if c.IgnoreTerm {
		signal.Ignore(syscall.SIGTERM)
	}
	for noise := strings.Repeat("n", 4096); c.Noise > 0; c.Noise -= len(noise) {
		if _, err := io.WriteString(os.Stdout, noise); err != nil {
			return err
		}
	}
	for i := range c.Chatter {
		setup.Log.Info("chatter", "i", i)
	}
	return nil
}

func writeWhole(path string, data []byte) error {
	if err := os.WriteFile(path+".tmp", data, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

func (s *testStore) Reconfigure(_ context.Context, setup sdk.Setup) error {
	var next storeConfig
	if err := setup.Decode(&next); err != nil {
		return err
	}
	next.HotSwappable, s.config.HotSwappable = "", ""
	if next != s.config {
		return sdk.ErrRestartRequired
	}
	return nil
}

func (s *testStore) Close() error {
	if s.config.CloseTime != "" {
		d, err := time.ParseDuration(s.config.CloseTime)
		if err != nil {
			return err
		}
		time.Sleep(d)
	}
	if s.config.Running != "" {
		os.Remove(s.config.Running)
	}
	if s.config.Closed != "" {
		return writeWhole(s.config.Closed, []byte("yes"))
	}
	return nil
}

func (s *testStore) path(key blobstore.Key) string {
	return filepath.Join(s.dir, "o-"+hex.EncodeToString([]byte(key)))
}

func (s *testStore) Put(_ context.Context, object blobstore.Object, r io.Reader) (blobstore.Outcome, error) {
	if _, err := os.Stat(s.path(object.Key)); err == nil {
		return blobstore.Exists, nil
	}
	switch string(object.Key) {
	case "full":
		return 0, fmt.Errorf("%w: no room", blobstore.ErrFull)
	case "abort":
		return 0, fmt.Errorf("%w: come back later", blobstore.ErrTransient)
	}
	f, err := os.CreateTemp(s.dir, "tmp")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if _, err := io.Copy(f, r); err != nil {
		return 0, err
	}
	return blobstore.Stored, os.Rename(f.Name(), s.path(object.Key))
}

func (s *testStore) Open(_ context.Context, key blobstore.Key, offset, length int64) (io.ReadCloser, int64, error) {
	if key == "corrupt" {
		return nil, 0, fmt.Errorf("%w: bit rot", blobstore.ErrCorrupt)
	}
	f, err := os.Open(s.path(key))
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", blobstore.ErrNotFound, err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	if offset > info.Size() {
		return nil, 0, blobstore.ErrRange
	}
	if length == 0 {
		length = info.Size() - offset
	}
	var r io.Reader = io.NewSectionReader(f, offset, length)
	if s.config.CrashOnGet {
		if once, err := os.OpenFile(filepath.Join(s.dir, "crashed"), os.O_CREATE|os.O_EXCL, 0o600); err == nil {
			once.Close()
			r = io.MultiReader(io.LimitReader(r, length/2), crashingReader{})
		}
	}
	return struct {
		io.Reader
		io.Closer
	}{r, f}, info.Size(), nil
}

type crashingReader struct{}

// Read gives what was read before time to travel, then fails as a bug would.
func (crashingReader) Read([]byte) (int, error) {
	time.Sleep(50 * time.Millisecond)
	panic("the disk is on fire")
}

func (s *testStore) Stat(_ context.Context, key blobstore.Key) (blobstore.Info, error) {
	info, err := os.Stat(s.path(key))
	if err != nil {
		return blobstore.Info{}, blobstore.ErrNotFound
	}
	return blobstore.Info{Key: key, Size: info.Size()}, nil
}

func (s *testStore) List(_ context.Context, prefix, startAfter blobstore.Key) iter.Seq2[blobstore.Info, error] {
	return func(yield func(blobstore.Info, error) bool) {
		names, err := filepath.Glob(filepath.Join(s.dir, "o-*"))
		if err != nil {
			yield(blobstore.Info{}, err)
			return
		}
		slices.Sort(names)
		for _, name := range names {
			raw, err := hex.DecodeString(strings.TrimPrefix(filepath.Base(name), "o-"))
			key := blobstore.Key(raw)
			if err != nil || key <= startAfter || !strings.HasPrefix(string(key), string(prefix)) {
				continue
			}
			info, err := os.Stat(name)
			if err != nil {
				continue
			}
			if !yield(blobstore.Info{Key: key, Size: info.Size()}, nil) {
				return
			}
		}
	}
}

func (s *testStore) Delete(_ context.Context, key blobstore.Key) error {
	err := os.Remove(s.path(key))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func (s *testStore) Usage(context.Context) (blobstore.Usage, error) {
	return blobstore.Usage{Objects: 1, Bytes: 2, Available: blobstore.Unknown}, nil
}

// testDiscovery reports what is announced to it, and one advert of its own.
type testDiscovery struct{ adverts chan discovery.Advert }

func newTestDiscovery(context.Context, sdk.Setup) (discovery.Plugin, error) {
	return &testDiscovery{adverts: make(chan discovery.Advert)}, nil
}

func (d *testDiscovery) Announce(ctx context.Context, advert discovery.Advert, published func([]string)) error {
	published([]string{"here"})
	for {
		select {
		case d.adverts <- advert:
		case <-ctx.Done():
			return nil
		}
	}
}

func (d *testDiscovery) Watch(ctx context.Context, report func(discovery.Event) error) error {
	other := discovery.Advert{NodeID: []byte("other"), Addresses: []string{"10.0.0.1:4001"}}
	if err := report(discovery.Event{Kind: discovery.Seen, Advert: other, TTL: time.Minute, Source: "eth0"}); err != nil {
		return err
	}
	if err := report(discovery.Event{Kind: discovery.Synced}); err != nil {
		return err
	}
	select {
	case advert := <-d.adverts:
		if err := report(discovery.Event{Kind: discovery.Seen, Advert: advert, TTL: time.Minute}); err != nil {
			return err
		}
	case <-ctx.Done():
		return nil
	}
	if err := report(discovery.Event{Kind: discovery.Lost, Advert: discovery.Advert{NodeID: []byte("other")}}); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// testResolver does what the key of the row says.
type testResolver struct {
	resolverv1.UnimplementedResolverServiceServer
}

func resolverKind() sdk.Kind {
	return sdk.Kind{
		Service: resolverv1.ResolverService_ServiceDesc.ServiceName,
		Open:    func(context.Context, sdk.Setup) (any, error) { return struct{}{}, nil },
		Register: func(r grpc.ServiceRegistrar, _ func() sdk.Live) {
			resolverv1.RegisterResolverServiceServer(r, testResolver{})
		},
	}
}

func (testResolver) Resolve(stream resolverv1.ResolverService_ResolveServer) error {
	for {
		req, err := stream.Recv()
		if err != nil {
			return nil
		}
		resp := &resolverv1.ResolveResponse{Seq: req.GetSeq()}
		siblings := req.GetSiblings()
		switch req.GetKey() {
		case "pick":
			resp.Decision = &resolverv1.ResolveResponse_Pick{Pick: siblings[len(siblings)-1].GetId()}
		case "stranger":
			resp.Decision = &resolverv1.ResolveResponse_Pick{Pick: []byte("nobody")}
		case "merge":
			var value []byte
			for _, v := range siblings {
				value = append(value, v.GetValue()...)
			}
			resp.Decision = &resolverv1.ResolveResponse_Merged{Merged: &resolverv1.Merged{Type: "t", Value: value}}
		case "delete":
			resp.Decision = &resolverv1.ResolveResponse_Delete{Delete: true}
		case "keep":
			resp.Decision = &resolverv1.ResolveResponse_KeepConflict{KeepConflict: true}
		case "fail":
			resp.Decision = &resolverv1.ResolveResponse_Error{Error: "beyond me"}
		case "crash":
			os.Exit(5)
		case "hang":
			<-stream.Context().Done()
			return nil
		}
		if err := stream.Send(resp); err != nil {
			return err
		}
	}
}

// pinOf returns the pin of a file.
func pinOf(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}
