package plug

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	hclog "github.com/hashicorp/go-hclog"
)

// patience bounds every wait of these tests; it is not a speed that is asserted.
const patience = 30 * time.Second

// rig is a Host that runs.
type rig struct {
	*Host
	t    *testing.T
	dir  string
	log  *syncBuffer
	stop func()
}

// syncBuffer is a log that can be read while it is written.
type syncBuffer struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// newRig runs a Host until the end of the test.
func newRig(t *testing.T, change func(*Options)) *rig {
	t.Helper()
	r := &rig{t: t, dir: shortDir(t), log: &syncBuffer{}}
	opts := Options{
		RunDir:     filepath.Join(r.dir, "run"),
		DataDir:    filepath.Join(r.dir, "data"),
		DrainGrace: 2 * time.Second,
		Log:        hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: r.log}),
	}
	if change != nil {
		change(&opts)
	}
	host, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- host.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		r.stop()
		if t.Failed() {
			log := r.log.String()
			t.Logf("end of the log:\n%s", log[max(0, len(log)-4096):])
		}
	})
	return r
}

// shortDir is t.TempDir with a path that leaves room for sockets.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "plug")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (r *rig) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	r.t.Cleanup(cancel)
	return ctx
}

func (r *rig) set(instances ...Instance) {
	r.t.Helper()
	if err := r.SetInstances(instances); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) ready(name string) Status {
	r.t.Helper()
	if err := r.WaitReady(r.context(), name); err != nil {
		r.t.Fatal(err)
	}
	return r.status(name)
}

func (r *rig) status(name string) Status {
	r.t.Helper()
	for _, s := range r.Status() {
		if s.Name == name {
			return s
		}
	}
	r.t.Fatalf("no status of %q", name)
	return Status{}
}

// until waits for a condition.
func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	until(r.t, what, ok)
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// store is an instance of a test plugin by its name.
func store(name, plugin string, config storeConfig) Instance {
	raw, err := json.Marshal(config)
	if err != nil {
		panic(err)
	}
	return Instance{Name: name, Kind: KindBlobStore, Path: "self/" + plugin, Config: raw}
}

// script is an instance of a plugin in another language.
func script(text string) Instance {
	return Instance{Name: "x", Kind: KindBlobStore, Path: "/bin/sh", Args: []string{"-c", text}, AllowUnpinned: true}
}

// alive reports whether a process exists and is more than a zombie.
func alive(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

func readPid(t *testing.T, path string) int {
	t.Helper()
	var data []byte
	until(t, "file "+path, func() (ok bool) {
		var err error
		data, err = os.ReadFile(path)
		return err == nil
	})
	pid, err := strconv.Atoi(string(data))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestStartServeStop(t *testing.T) {
	r := newRig(t, nil)
	r.set(store("disk", "good", storeConfig{}))
	st := r.ready("disk")
	if st.State != StateReady || st.PID == 0 || st.Plugin != "good" || st.Version != "1.2.3" || st.Restarts != 0 {
		t.Fatalf("status %+v", st)
	}
	// What a plugin prints has a pipe of its own: it may arrive later than the answer that makes the plugin ready.
	r.until("the plugin's log line", func() bool {
		return strings.Contains(r.log.String(), "plugin.disk: store is open: instance=disk")
	})
	blobs := r.BlobStore("disk")
	if err := blobs.Put(r.context(), []byte("k"), []byte("value")); err != nil {
		t.Fatal(err)
	}
	got, err := blobs.Read(r.context(), []byte("k"), 0, 0)
	if err != nil || string(got) != "value" {
		t.Fatalf("got %q, %v", got, err)
	}
	r.stop()
	if alive(st.PID) {
		t.Error("the process has outlived Run")
	}
	entries, err := os.ReadDir(filepath.Join(r.dir, "run", "p"))
	if err != nil || len(entries) > 0 {
		t.Errorf("left in the run directory: %v, %v", entries, err)
	}
}

func TestKilledPluginComesBack(t *testing.T) {
	down := make(chan string, 10)
	r := newRig(t, func(o *Options) { o.Events.Down = func(_, why string) { down <- why } })
	r.set(store("disk", "good", storeConfig{}))
	st := r.ready("disk")
	if err := syscall.Kill(st.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if why := <-down; !strings.Contains(why, "signal: killed") {
		t.Errorf("reason %q", why)
	}
	if err := r.BlobStore("disk").Put(r.context(), []byte("k"), nil); err != nil {
		t.Fatal(err)
	}
	if now := r.status("disk"); now.PID == st.PID || now.Restarts != 1 || now.State != StateReady {
		t.Errorf("status %+v", now)
	}
}

func TestBadStartsAreExplained(t *testing.T) {
	t.Parallel()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	wrong := "sha256:" + strings.Repeat("0", 64)
	for _, tc := range []struct {
		name string
		in   Instance
		want []string
	}{
		{"garbage on stdout", script("echo starting up, please wait"), []string{"no handshake", "starting up, please wait", "exit status 0"}},
		{"endless garbage", script("yes xxxx"), []string{"no handshake", "xxxx"}},
		{"endless garbage without newlines", script("yes xxxx | tr -d '\n'"), []string{"no handshake", "xxxx"}},
		{"binary garbage", script("head -c 100000 /dev/zero"), []string{"no handshake", `\x00`}},
		{"a few bytes", script(`printf 'disk \377\376 is gone\n' >&2`), []string{"no handshake", "disk ? is gone"}},
		{"exits at once", store("x", "exit3", storeConfig{}), []string{"no handshake", "exit status 3", "no capacitor"}},
		{"is no program", script("exec /nonexistent"), []string{"no handshake", "exit status 127", "not found"}},
		{"closes its output", script("exec >&-; sleep 100"), []string{"no handshake"}},
		{"other protocol version", script(`echo "1|2|unix|$PLUGIN_UNIX_SOCKET_DIR/s|grpc"; sleep 100`), []string{"incompatible", "Plugin version: 2"}},
		{"other core protocol", script(`echo "7|1|unix|$PLUGIN_UNIX_SOCKET_DIR/s|grpc"; sleep 100`), []string{"incompatible core"}},
		{"net/rpc", script(`echo "1|1|unix|$PLUGIN_UNIX_SOCKET_DIR/s|netrpc"; sleep 100`), []string{"unsupported plugin protocol"}},
		{"address elsewhere", script("echo '1|1|tcp|127.0.0.1:1|grpc'; sleep 100"), []string{"want a Unix socket in", "127.0.0.1:1"}},
		{"address of odd bytes", script(`printf '1|1|unix|\377|grpc\n'; sleep 100`), []string{"want a Unix socket in"}},
		{"no such socket", script(`echo "1|1|unix|$PLUGIN_UNIX_SOCKET_DIR/s|grpc"; sleep 100`), []string{"no such file"}},
		{"no handshake", script("echo waiting for a licence; echo no server >&2; printf 'no more to say'; sleep 100"), []string{
			"the handshake did not come within 10s; its last output:\n", "waiting for a licence", "no server", "no more to say"}},
		{"no handshake, no word", script("sleep 100"), []string{"did not come within 10s"}},
		{"more output than a status holds", script(`i=0; while [ $i -lt 50 ]; do echo "$i xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"; i=$((i+1)); done; echo the point`), []string{
			"no handshake", "\n  the point"}},
		{"other kind", Instance{Name: "x", Kind: KindDiscovery, Path: "self/good"}, []string{"no discovery plugin", "BlobStoreService"}},
		{"refused configuration", store("x", "good", storeConfig{Refuse: "no thanks"}), []string{"configuration refused", "/refuse: no thanks"}},
		{"crash while configured", store("x", "good", storeConfig{CrashOnOpen: true}), []string{"exit status 7", "out of cheese"}},
		{"missing", Instance{Name: "x", Kind: KindBlobStore, Path: "/nonexistent", AllowUnpinned: true}, []string{"/nonexistent", "no such file"}},
		{"directory", Instance{Name: "x", Kind: KindBlobStore, Path: "/", AllowUnpinned: true}, []string{"not a regular file"}},
		{"wrong sha256", Instance{Name: "x", Kind: KindBlobStore, Path: own, SHA256: wrong}, []string{"does not match its pin", wrong}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, nil)
			r.set(tc.in)
			var st Status
			r.until("failure", func() bool {
				st = r.status("x")
				return st.State == StateFailed && st.Message != "" && (st.PID == 0 || st.Restarts > 0)
			})
			for _, want := range tc.want {
				if !strings.Contains(st.Message, want) {
					t.Errorf("message %q lacks %q", st.Message, want)
				}
			}
			if !utf8.ValidString(st.Message) {
				t.Errorf("message %q cannot be sent as a text", st.Message)
			}
			if strings.Contains(st.Message, "This usually means") {
				t.Errorf("go-plugin's guesses are in the message: %q", st.Message)
			}
		})
	}
}

func TestPinnedExecutableRuns(t *testing.T) {
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, nil)
	copied := filepath.Join(r.dir, "plugin")
	data, err := os.ReadFile(own)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copied, data, 0o755); err != nil {
		t.Fatal(err)
	}
	pin := pinOf(t, copied)
	r.set(Instance{Name: "x", Kind: KindBlobStore, Path: copied, Args: []string{"good"}, SHA256: pin})
	r.ready("x")

	// Once it is writable by others, the pin means nothing.
	if err := os.Chmod(copied, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Validate(r.context(), Instance{Name: "y", Kind: KindBlobStore, Path: copied, SHA256: pin}); err == nil {
		t.Error("a pinned file that others may write was accepted")
	}
}

func TestCrashLoopIsReportedAndNeverGivenUp(t *testing.T) {
	t.Parallel()
	loops := make(chan string, 10)
	r := newRig(t, func(o *Options) { o.Events.CrashLoop = func(name, _ string) { loops <- name } })
	r.set(store("bad", "exit3", storeConfig{}), store("good", "good", storeConfig{}))
	good := r.ready("good")
	select {
	case name := <-loops:
		if name != "bad" {
			t.Errorf("loop of %q", name)
		}
	case <-time.After(patience):
		t.Fatal("no crash loop was reported")
	}
	restarts := r.status("bad").Restarts
	r.until("another attempt", func() bool { return r.status("bad").Restarts > restarts })
	if now := r.status("good"); now.PID != good.PID || now.Restarts != 0 {
		t.Errorf("the neighbour has suffered: %+v", now)
	}
}

func TestSetInstancesRefusesFaults(t *testing.T) {
	r := newRig(t, nil)
	for _, tc := range []struct {
		in   Instance
		want string
	}{
		{Instance{Name: "UPPER", Kind: KindBlobStore, Path: "self"}, "name"},
		{Instance{Name: "x", Kind: "wings", Path: "self"}, "kind"},
		{Instance{Name: "x", Kind: KindBlobStore, Path: "bin/x", AllowUnpinned: true}, "absolute"},
		{Instance{Name: "x", Kind: KindBlobStore, Path: "/bin/x"}, "sha256 is missing"},
		{Instance{Name: "x", Kind: KindBlobStore, Path: "/bin/x", SHA256: "md5:00"}, "must start with"},
		{Instance{Name: "x", Kind: KindBlobStore, Path: "/bin/x", SHA256: "sha256:00"}, "64 hexadecimal"},
		{Instance{Name: "x", Kind: KindResolver, Path: "self"}, "is bundled"},
		{Instance{Name: "x", Kind: KindBlobStore, Path: "self", Args: []string{"a"}}, "takes none"},
		{Instance{Name: "x", Kind: KindBlobStore, Path: "self", Env: map[string]string{"PLUGIN_X": ""}}, "env"},
		{Instance{Name: "x", Kind: KindBlobStore, Path: "self", Config: []byte("[1]")}, "JSON object"},
		{Instance{Name: "x", Kind: KindBlobStore, Path: "self", Config: []byte("null")}, "JSON object"},
	} {
		if err := r.SetInstances([]Instance{tc.in}); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v: got %v, want an error with %q", tc.in, err, tc.want)
		}
	}
	twice := store("x", "good", storeConfig{})
	if err := r.SetInstances([]Instance{twice, twice}); err == nil {
		t.Error("a name that is listed twice was accepted")
	}
	if got := r.Status(); len(got) > 0 {
		t.Errorf("a refused list left %v", got)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	long := "/" + strings.Repeat("d", 100)
	_, err := New(Options{RunDir: long, DataDir: "relative"})
	for _, want := range []string{"at most", "absolute"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}
