package plugin_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	discoveryv1 "github.com/syncbase/syncbase/sdk/api/discovery/v1"
	pluginv1 "github.com/syncbase/syncbase/sdk/api/plugin/v1"
	"github.com/syncbase/syncbase/sdk/plugin"
	"github.com/syncbase/syncbase/sdk/plugin/discovery"
	"github.com/syncbase/syncbase/sdk/plugin/plugintest"
)

// strangerKey makes the test binary a process that has no business with the plugin whose socket it names.
const strangerKey = "TEST_STRANGER"

// byHandKey makes the test binary a plugin that a person has started.
const byHandKey = "TEST_BY_HAND"

// TestMain makes the test binary serve as the plugin, or as a stranger, when a test starts it so.
func TestMain(m *testing.M) {
	switch {
	case plugin.IsPlugin():
		fmt.Println("printed before main has begun to serve")
		plugin.Dispatch("noisy", plugin.Spec{Name: "noisy", Version: "1", Kinds: []plugin.Kind{discovery.Kind(openNoisy)}})
	case os.Getenv(strangerKey) != "":
		fmt.Println(status.Code(describe(os.Getenv(strangerKey), insecure.NewCredentials())))
		os.Exit(0)
	}
	if os.Getenv(byHandKey) != "" {
		plugin.Main("by-hand", "1", (&lamp{}).kind())
	}
	goleak.VerifyTestMain(m)
}

// noisy does to its process what plugins should not do.
type noisy struct{}

func openNoisy(context.Context, plugin.Setup) (discovery.Plugin, error) {
	fmt.Println("printed by the factory")
	fmt.Printf("cookie of children: %q\n", os.Getenv(plugin.CookieKey))
	_, err := syscall.Write(1, append(bytes.Repeat([]byte{'x'}, 1<<20), '\n')) // as a C library would
	return noisy{}, err
}

func (noisy) Announce(context.Context, discovery.Advert, func([]string)) error {
	panic("the sky is falling")
}

func (noisy) Watch(context.Context, func(discovery.Event) error) error {
	panic("the sky is falling")
}

// lines is a buffer for the stderr of a process.
type lines struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func launch(t *testing.T) (*plugintest.Running, *exec.Cmd, *lines, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "sbp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cmd, stderr := exec.Command(os.Args[0]), &lines{}
	cmd.Stderr = stderr
	running, err := plugintest.Launch(cmd, dir)
	if err != nil {
		t.Fatalf("launch: %v\n%s", err, stderr)
	}
	t.Cleanup(func() {
		if err := running.Stop(); err != nil {
			t.Error(err)
		}
	})
	return running, cmd, stderr, dir
}

// describe calls a plugin at its socket.
func describe(socket string, creds credentials.TransportCredentials) error {
	conn, err := grpc.NewClient("unix:"+socket, plugin.DialOptions(creds)...)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, err = pluginv1.NewPluginServiceClient(conn).Describe(ctx, &pluginv1.DescribeRequest{})
	return err
}

func TestStdoutIsKeptClean(t *testing.T) {
	running, _, stderr, _ := launch(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := running.Configure(ctx, plugintest.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := running.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"printed before main", "printed by the factory", `cookie of children: ""`, strings.Repeat("x", 1<<20)} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("stderr lacks %.40q", want)
		}
	}
}

func TestPanicLeavesItsText(t *testing.T) {
	running, _, stderr, _ := launch(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := running.Configure(ctx, plugintest.Options{}); err != nil {
		t.Fatal(err)
	}
	stream, err := discoveryv1.NewDiscoveryServiceClient(running.Conn).Watch(ctx, &discoveryv1.WatchRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Unavailable {
		t.Errorf("call that panics: %v, want Unavailable", err)
	}
	if err := running.Stop(); err != nil {
		t.Fatal(err)
	}
	tail := stderr.String()
	at := strings.Index(tail, "panic: the sky is falling [in /syncbase.discovery.v1.DiscoveryService/Watch]")
	if at < 0 {
		t.Fatalf("stderr has no panic: %.300q", tail)
	}
	if n := strings.Count(tail[at:], "\n"); n > 60 {
		t.Errorf("the panic takes %d lines; a host keeps the last 64", n)
	}
}

// TestLeash lets go of the plugin's stdin, as the end of the host does.
func TestLeash(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{plugin.CookieKey + "=" + plugin.CookieValue, "PLUGIN_PROTOCOL_VERSIONS=1", "TMPDIR=" + dir}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := stdout.Read(make([]byte, 1)); err != nil { // it serves
		t.Error(err)
	}
	if err := stdin.Close(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	select {
	case err := <-exited:
		if err != nil {
			t.Errorf("the plugin ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		_ = cmd.Process.Kill()
		t.Errorf("the plugin still runs; it ended after a kill with %v", <-exited)
	}
}

// TestStrangersAreRefused lets a third process of the same user talk to the plugin.
func TestStrangersAreRefused(t *testing.T) {
	running, _, _, dir := launch(t)
	if _, err := pluginv1.NewPluginServiceClient(running.Conn).Describe(t.Context(), &pluginv1.DescribeRequest{}); err != nil {
		t.Fatalf("the parent is refused: %v", err)
	}
	sockets, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(sockets) != 1 {
		t.Fatalf("sockets: %q, %v", sockets, err)
	}
	stranger := exec.Command(os.Args[0])
	stranger.Env = []string{strangerKey + "=" + sockets[0]}
	out, err := stranger.Output()
	if err != nil || strings.TrimSpace(string(out)) != codes.Unavailable.String() {
		t.Errorf("a stranger got %q, %v; want Unavailable", out, err)
	}
}

// TestImpostorsAreRefused lets the host's end meet a listener that is not its plugin.
func TestImpostorsAreRefused(t *testing.T) {
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	server, err := plugin.Spec{Name: "impostor", Kinds: []plugin.Kind{(&lamp{}).kind()}}.NewServer(plugin.UserCredentials(), nil)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() { <-served }()
	defer server.Stop()
	socket := listener.Addr().String()
	if err := describe(socket, plugin.PlugCredentials(os.Getpid)); err != nil {
		t.Errorf("the expected process is refused: %v", err)
	}
	other := plugin.PlugCredentials(func() int { return os.Getpid() + 1 })
	if err := describe(socket, other); status.Code(err) != codes.Unavailable {
		t.Errorf("another process: %v, want Unavailable", err)
	}
}

// TestByHand starts the plugin as a person would.
func TestByHand(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
		code int
	}{
		{nil, "is a plugin for Syncbase", 2},
		{[]string{"-describe"}, `"name": "by-hand"`, 0},
		{[]string{"-wrong"}, "not defined: -wrong", 2},
	} {
		cmd := exec.Command(os.Args[0], c.args...)
		cmd.Env = []string{byHandKey + "=1"}
		out, _ := cmd.CombinedOutput() // the exit code is checked below
		if !strings.Contains(string(out), c.want) || cmd.ProcessState.ExitCode() != c.code {
			t.Errorf("%q: exit %d, want %d with %q:\n%s", c.args, cmd.ProcessState.ExitCode(), c.code, c.want, out)
		}
	}
}

// TestDebug starts the plugin for a debugger and talks to it without being its parent.
func TestDebug(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-debug")
	cmd.Env = []string{byHandKey + "=1", "TMPDIR=" + os.TempDir()}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var at plugin.Reattach
	text := strings.TrimSuffix(strings.TrimPrefix(line, plugin.ReattachKey+"='"), "'\n")
	if err := json.Unmarshal([]byte(text), &at); err != nil || at.PID != cmd.Process.Pid {
		t.Errorf("line %q: %v", line, err)
	}
	if err := describe(at.Address, plugin.UserCredentials()); err != nil {
		t.Error(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after an interrupt: %v", err)
	}
}
