package plug

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	hclog "github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pluginv1 "github.com/syncbase/syncbase/sdk/api/plugin/v1"
)

// runTestHost runs a host in this process for the test that started it, until it is killed.
func runTestHost(dir string) {
	host, err := New(Options{RunDir: filepath.Join(dir, "run"), DataDir: filepath.Join(dir, "data"), Log: hclog.Default()})
	if err != nil {
		panic(err)
	}
	config := storeConfig{Grandchild: filepath.Join(dir, "grandchild")}
	if err := host.SetInstances([]Instance{store("disk", "good", config)}); err != nil {
		panic(err)
	}
	go func() {
		if err := host.WaitReady(context.Background(), "disk"); err != nil {
			panic(err)
		}
		if err := writeWhole(filepath.Join(dir, "plugin"), fmt.Appendf(nil, "%d", host.Status()[0].PID)); err != nil {
			panic(err)
		}
	}()
	panic(host.Run(context.Background()))
}

// Trap 1 and 16: the plugin goes with a host that is killed, and the next host sweeps what it left.
func TestHostKilledLeavesNoOrphan(t *testing.T) {
	dir := shortDir(t)
	host := exec.Command(os.Args[0])
	host.Env = append(os.Environ(), "PLUG_TEST_HOST="+dir)
	host.Stderr = os.Stderr
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	pid := readPid(t, filepath.Join(dir, "plugin"))
	if !alive(pid) {
		t.Fatal("the plugin is not running")
	}
	if err := host.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = host.Wait()
	until(t, "end of the plugin", func() bool { return !alive(pid) })
	_ = syscall.Kill(readPid(t, filepath.Join(dir, "grandchild")), syscall.SIGKILL)

	left, err := os.ReadDir(filepath.Join(dir, "run", "p"))
	if err != nil || len(left) == 0 {
		t.Fatalf("the killed host left nothing to sweep: %v, %v", left, err)
	}
	r := newRig(t, func(o *Options) { o.RunDir = filepath.Join(dir, "run") })
	r.until("sweep", func() bool {
		left, err := os.ReadDir(filepath.Join(dir, "run", "p"))
		return err == nil && len(left) == 0
	})
}

// Trap 2: the plugin does not die with a thread of the host.
func TestPluginOutlivesThreads(t *testing.T) {
	r := newRig(t, nil)
	r.set(store("disk", "good", storeConfig{}))
	st := r.ready("disk")
	for range 50 {
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		}()
		<-ended
	}
	if _, err := r.BlobStore("disk").Usage(r.context()); err != nil {
		t.Fatal(err)
	}
	if now := r.status("disk"); now.PID != st.PID {
		t.Errorf("process %d was replaced by %d", st.PID, now.PID)
	}
}

// Trap 3: a plugin that was stopped by SIGSTOP cannot keep the host from stopping.
func TestStopDoesNotHangOnStoppedPlugin(t *testing.T) {
	r := newRig(t, func(o *Options) { o.DrainGrace = 100 * time.Millisecond })
	r.set(store("disk", "good", storeConfig{}))
	st := r.ready("disk")
	pause(t, st.PID)
	ended := make(chan struct{})
	go func() {
		r.stop()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("stop hangs")
	}
	if alive(st.PID) {
		t.Error("the process is still there")
	}
}

// Trap 4: cleaning up may take longer than go-plugin's two seconds.
func TestSlowCloseIsAwaited(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.DrainGrace = 10 * time.Second })
	closed := filepath.Join(r.dir, "closed")
	r.set(store("disk", "good", storeConfig{CloseTime: "2500ms", Closed: closed}))
	r.ready("disk")
	r.stop()
	if _, err := os.Stat(closed); err != nil {
		t.Errorf("the plugin was not given the time to close: %v", err)
	}
}

// A plugin that neither finishes draining nor heeds SIGTERM is killed all the same.
func TestStubbornPluginIsKilled(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(o *Options) { o.DrainGrace = 100 * time.Millisecond })
	r.set(store("disk", "good", storeConfig{CloseTime: "1h", IgnoreTerm: true}))
	st := r.ready("disk")
	r.stop()
	if alive(st.PID) {
		t.Error("the process is still there")
	}
}

// Trap 5: a plugin that does not answer is found by its health and replaced; a call that was waiting is repeated.
func TestUnresponsivePluginIsReplaced(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.set(store("disk", "good", storeConfig{}))
	st := r.ready("disk")
	pause(t, st.PID)
	if err := r.BlobStore("disk").Put(r.context(), []byte("k"), []byte("v")); err != nil {
		t.Fatal(err)
	}
	if now := r.status("disk"); now.PID == st.PID || now.Restarts != 1 {
		t.Errorf("status %+v", now)
	}
	if !strings.Contains(r.log.String(), "health check failed 3 of 3 times: no answer within 2s") {
		t.Error("the log does not say why")
	}
}

// pause stops a process by SIGSTOP and waits until none of its threads runs any more.
func pause(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	until(t, "the stop of all threads", func() bool {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		if err != nil || len(threads) == 0 {
			t.Fatalf("process %d is gone: %v", pid, err)
		}
		return !slices.ContainsFunc(threads, func(path string) bool {
			stat, err := os.ReadFile(path)
			return err != nil || !strings.Contains(string(stat), ") T ")
		})
	})
}

// Trap 7: a panic in a handler ends the process; its text is in the reason.
func TestPanicIsReported(t *testing.T) {
	down := make(chan string, 10)
	r := newRig(t, func(o *Options) { o.Events.Down = func(_, why string) { down <- why } })
	r.set(store("disk", "good", storeConfig{CrashOnGet: true}))
	blobs := r.BlobStore("disk")
	if err := blobs.Put(r.context(), []byte("k"), make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if _, err := blobs.Read(r.context(), []byte("k"), 0, 0); err != nil {
		t.Errorf("the call was not repeated: %v", err)
	}
	if why := <-down; !strings.Contains(why, "the disk is on fire") {
		t.Errorf("reason %q", why)
	}
}

// Trap 8: what a plugin has started ends with it, however it ends.
func TestGrandchildrenEndToo(t *testing.T) {
	for _, how := range []string{"stopped", "killed"} {
		t.Run(how, func(t *testing.T) {
			r := newRig(t, nil)
			file := filepath.Join(r.dir, "grandchild")
			r.set(store("disk", "good", storeConfig{Grandchild: file}))
			st := r.ready("disk")
			grandchild := readPid(t, file)
			if !alive(grandchild) {
				t.Fatal("the grandchild is not running")
			}
			if how == "stopped" {
				r.stop()
			} else if err := syscall.Kill(st.PID, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			until(t, "end of the grandchild", func() bool { return !alive(grandchild) })
		})
	}
}

// Trap 10: a plugin sees the allowed variables of the host and its own, and nothing else.
func TestEnvironmentIsIsolated(t *testing.T) {
	t.Setenv("HOST_SECRET", "hunter2")
	t.Setenv("TZ", "Europe/Berlin")
	t.Setenv("HTTP_PROXY", "http://proxy:1")
	r := newRig(t, nil)
	file := filepath.Join(r.dir, "environ")
	in := store("disk", "good", storeConfig{Environ: file})
	in.Env = map[string]string{"OWN": "value", "TZ": "UTC"}
	r.set(in)
	r.ready("disk")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := "\n" + string(data) + "\n"
	for _, want := range []string{"OWN=value", "TZ=UTC", "HTTP_PROXY=http://proxy:1", "PATH=" + os.Getenv("PATH")} {
		if !strings.Contains(got, "\n"+want+"\n") {
			t.Errorf("lacks %s", want)
		}
	}
	if strings.Contains(got, "hunter2") {
		t.Error("the plugin sees a secret of the host")
	}
}

// Trap 11 and 12: a plugin may print before the handshake, and a megabyte without a newline after it.
func TestNoiseDoesNoHarm(t *testing.T) {
	r := newRig(t, nil)
	r.set(store("disk", "noisy", storeConfig{Noise: 1 << 20}))
	r.ready("disk")
	if _, err := r.BlobStore("disk").Usage(r.context()); err != nil {
		t.Fatal(err)
	}
	r.until("the line in the log", func() bool { return strings.Contains(r.log.String(), "a line before the handshake") })
	r.until("the noise in the log", func() bool { return strings.Contains(r.log.String(), "nnnnnnnn") })
	if size := len(r.log.String()); size > 256<<10 {
		t.Errorf("the log has %d bytes", size)
	}
}

// A plugin that logs without end is cut short.
func TestChatterIsBounded(t *testing.T) {
	r := newRig(t, nil)
	const lines = 4 * linesBurst
	r.set(store("disk", "good", storeConfig{Chatter: lines}))
	r.ready("disk")
	r.stop()
	if got := strings.Count(r.log.String(), "chatter"); got >= lines || got < linesBurst/2 {
		t.Errorf("%d of %d lines were logged", got, lines)
	}
}

// Trap 15: the directories are private, and a process that is not the host gets no answer although its user is the same.
func TestForeignProcessIsRefused(t *testing.T) {
	r := newRig(t, nil)
	r.set(store("disk", "good", storeConfig{}))
	r.ready("disk")
	sockets, err := filepath.Glob(filepath.Join(r.dir, "run", "p", "*", "plugin*"))
	if err != nil {
		t.Fatal(err)
	}
	var socket string
	for _, path := range sockets {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Type() == os.ModeSocket {
			socket = path
		}
	}
	if socket == "" {
		t.Fatalf("no socket among %q", sockets)
	}
	for dir := filepath.Dir(socket); dir != r.dir; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: mode %v, %v", dir, info.Mode(), err)
		}
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PLUG_TEST_INTRUDER="+socket)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.HasPrefix(string(out), "refused: ") {
		t.Errorf("a foreign process got in: %s", out)
	}
	if _, err := r.BlobStore("disk").Usage(r.context()); err != nil {
		t.Errorf("the host itself was refused: %v", err)
	}
}

// runIntruder asks a plugin that is not its own for its description.
func runIntruder(socket string) {
	conn, err := grpc.NewClient("passthrough:plugin", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}))
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	resp, err := pluginv1.NewPluginServiceClient(conn).Describe(ctx, &pluginv1.DescribeRequest{})
	if err != nil {
		fmt.Println("refused:", err)
		os.Exit(0)
	}
	fmt.Println("answered:", resp)
	os.Exit(0)
}

// Trap 24: neither goroutines nor descriptors grow with restarts.
func TestRestartsLeakNothing(t *testing.T) {
	ready := make(chan struct{}, 100)
	r := newRig(t, func(o *Options) { o.Events.Ready = func(string) { ready <- struct{}{} } })
	in := store("disk", "good", storeConfig{})
	r.set(in)
	<-ready
	settle := func() (goroutines, descriptors int) {
		// Goroutines of the process before end on their own, in their own time.
		var last int
		r.until("quiet", func() bool {
			n := runtime.NumGoroutine()
			quiet := n == last
			last = n
			time.Sleep(20 * time.Millisecond)
			return quiet
		})
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return runtime.NumGoroutine(), len(fds)
	}
	restart := func(i int) {
		if i%2 == 0 { // in an orderly way
			in.Env = map[string]string{"ROUND": fmt.Sprint(i)}
			r.set(in)
		} else if err := syscall.Kill(r.status("disk").PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-ready
	}
	restart(0)
	restart(1)
	goroutines, descriptors := settle()
	for i := range 30 {
		restart(i + 2)
	}
	var g, d int
	r.until("the level of before", func() bool {
		g, d = settle()
		return g <= goroutines+2 && d <= descriptors+1
	})
	t.Logf("goroutines %d -> %d, descriptors %d -> %d", goroutines, g, descriptors, d)
}

func TestValidateLeavesNothingBehind(t *testing.T) {
	r := newRig(t, nil)
	remarks, err := r.Validate(r.context(), store("disk", "good", storeConfig{Refuse: "no thanks"}))
	if err != nil || len(remarks) != 1 || !remarks[0].Fatal || remarks[0].Path != "/refuse" {
		t.Errorf("remarks %v, %v", remarks, err)
	}
	remarks, err = r.Validate(r.context(), store("disk", "good", storeConfig{}))
	if err != nil || len(remarks) > 0 {
		t.Errorf("remarks %v, %v", remarks, err)
	}
	unknown := Instance{Name: "disk", Kind: KindBlobStore, Path: "self/good", Config: json.RawMessage(`{"colour":"red"}`)}
	remarks, err = r.Validate(r.context(), unknown)
	if err != nil || len(remarks) != 1 || !strings.Contains(remarks[0].String(), "colour") {
		t.Errorf("remarks %v, %v", remarks, err)
	}
	if _, err := r.Validate(r.context(), store("disk", "exit3", storeConfig{})); err == nil || !strings.Contains(err.Error(), "no capacitor") {
		t.Errorf("got %v", err)
	}
	left, err := os.ReadDir(filepath.Join(r.dir, "run", "p"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
