package plugintest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/syncbase/syncbase/sdk/plugin"
)

const (
	// handshakeLimit is how long a plugin may take to say where it listens.
	handshakeLimit = 20 * time.Second
	// maxHandshakeBytes bounds the line that says it.
	maxHandshakeBytes = 4 << 10
)

// Subprocess runs and configures a plugin as a process of its own for the length of the test. A test binary can serve as
// the plugin too: its TestMain calls plugin.Main when plugin.IsPlugin reports true, and cmd is
// exec.Command(os.Args[0]).
func Subprocess(t testing.TB, cmd *exec.Cmd, opts Options) *Running {
	t.Helper()
	dir, err := os.MkdirTemp("", "sbp") // short, since the path of a socket is limited to about 100 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	running, err := Launch(cmd, dir)
	if err != nil {
		t.Fatalf("launch the plugin: %v", err)
	}
	running.attach(t, opts)
	return running
}

// Launch starts a plugin process, not yet configured, whose socket lies in socketDir. Its environment is that of cmd and
// what the handshake needs. The caller has to Stop it.
func Launch(cmd *exec.Cmd, socketDir string) (*Running, error) {
	if cmd.Env == nil {
		cmd.Env = []string{}
	}
	cmd.Env = append(cmd.Env,
		plugin.CookieKey+"="+plugin.CookieValue,
		"PLUGIN_PROTOCOL_VERSIONS="+strconv.Itoa(plugin.ProtocolVersion),
		"PLUGIN_UNIX_SOCKET_DIR="+socketDir,
	)
	if cmd.Stderr == nil {
		cmd.Stderr = os.Stderr
	}
	leash, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	address, err := readHandshake(stdout)
	if err != nil {
		return nil, errors.Join(err, end(cmd, leash))
	}
	dial := func(ctx context.Context, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", address)
	}
	creds := plugin.PlugCredentials(func() int { return cmd.Process.Pid })
	conn, err := grpc.NewClient("passthrough:plugin", append(plugin.DialOptions(creds), grpc.WithContextDialer(dial))...)
	if err != nil {
		return nil, errors.Join(err, end(cmd, leash))
	}
	stop := func() error { return end(cmd, leash) }
	return &Running{Conn: conn, PID: cmd.Process.Pid, gone: make(chan struct{}), stop: stop}, nil
}

// end kills the process and waits for it. That it was killed is no error.
func end(cmd *exec.Cmd, leash io.Closer) error {
	killErr := cmd.Process.Kill()
	if errors.Is(killErr, os.ErrProcessDone) {
		killErr = nil
	}
	waitErr := cmd.Wait()
	var exit *exec.ExitError
	if errors.As(waitErr, &exit) {
		waitErr = nil
	}
	if err := leash.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return errors.Join(killErr, waitErr, err)
	}
	return errors.Join(killErr, waitErr)
}

// readHandshake reads go-plugin's line: core version, protocol version, network, address, "grpc".
func readHandshake(stdout io.Reader) (string, error) {
	type result struct {
		line string
		err  error
	}
	read := make(chan result, 1)
	go func() {
		line, err := bufio.NewReader(io.LimitReader(stdout, maxHandshakeBytes)).ReadString('\n')
		read <- result{line, err}
	}()
	timer := time.NewTimer(handshakeLimit)
	defer timer.Stop()
	select {
	case r := <-read:
		if r.err != nil {
			return "", fmt.Errorf("plugintest: no handshake on stdout, only %q: %w", r.line, r.err)
		}
		return parseHandshake(strings.TrimSpace(r.line))
	case <-timer.C:
		return "", fmt.Errorf("plugintest: no handshake on stdout after %v", handshakeLimit)
	}
}

func parseHandshake(line string) (string, error) {
	parts := strings.Split(line, "|")
	if len(parts) < 5 || parts[2] != "unix" || parts[4] != "grpc" {
		return "", fmt.Errorf("plugintest: handshake %q is not of the form 1|1|unix|path|grpc", line)
	}
	if parts[1] != strconv.Itoa(plugin.ProtocolVersion) {
		return "", fmt.Errorf("plugintest: the plugin speaks protocol %s, this kit %d", parts[1], plugin.ProtocolVersion)
	}
	return parts[3], nil
}
