package netns

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	// insideKey is set in the process that runs in the namespaces.
	insideKey = "SYNCBASE_NETNS_INSIDE"
	// requireKey makes tests fail where they would be skipped.
	requireKey = "SYNCBASE_REQUIRE_NETNS"
	// commandLimit bounds the commands that set the network up.
	commandLimit = 20 * time.Second
	// reserve is the part of a test's time that is left to the process outside.
	reserve = 10 * time.Second
)

// Inside reports whether the test runs in namespaces of its own. If not, it runs the test again in such, with more
// variables in the environment, and the result of that is the test's: the caller has to return.
func Inside(t *testing.T, env ...string) bool {
	t.Helper()
	if os.Getenv(insideKey) == "1" {
		return true
	}
	enter := enterCommand(t)
	limit := 5 * time.Minute
	if end, bounded := t.Deadline(); bounded {
		limit = time.Until(end) - reserve
	}
	args := append(enter[1:len(enter):len(enter)], os.Args[0],
		"-test.run=^"+regexp.QuoteMeta(t.Name())+"$", "-test.v", "-test.count=1", "-test.timeout="+limit.String())
	ctx, cancel := context.WithTimeout(t.Context(), limit+reserve/2)
	defer cancel()
	cmd := exec.CommandContext(ctx, enter[0], args...)
	cmd.Env = append(append(os.Environ(), insideKey+"=1"), env...)
	out, err := cmd.CombinedOutput()
	t.Logf("in namespaces of its own:\n%s", out)
	if err != nil {
		t.Errorf("the test failed in its namespaces: %v", err)
	}
	if strings.Contains(string(out), "no tests to run") {
		t.Errorf("the test was not found in its namespaces")
	}
	return false
}

// enterCommand is what runs a command in new namespaces; without any way to do so the test ends here.
func enterCommand(t *testing.T) []string {
	t.Helper()
	for _, tool := range []string{"unshare", "nsenter", "ip"} {
		if _, err := exec.LookPath(tool); err != nil {
			unavailable(t, fmt.Sprintf("the program %s is not installed (Debian: util-linux, iproute2)", tool))
		}
	}
	var reasons []string
	// A user namespace makes root of anybody; where it is forbidden, root can do without.
	for _, enter := range [][]string{{"unshare", "--user", "--map-root-user", "--net"}, {"unshare", "--net"}} {
		probe := append(enter[1:len(enter):len(enter)], "ip", "link", "add", "probe0", "type", "veth", "peer", "name", "probe1")
		out, err := exec.CommandContext(t.Context(), enter[0], probe...).CombinedOutput()
		if err == nil {
			return enter
		}
		reasons = append(reasons, fmt.Sprintf("%s: %v: %s", strings.Join(enter, " "), err, strings.TrimSpace(string(out))))
	}
	unavailable(t, "network namespaces cannot be made here: "+strings.Join(reasons, "; "))
	return nil
}

func unavailable(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv(requireKey) == "1" {
		t.Fatalf("%s is 1, but %s", requireKey, reason)
	}
	t.Skip(reason)
}

// Pair is two machines, as far as the network goes, with a cable between them.
type Pair struct {
	A, B *Machine
}

// Machine is one end of the cable.
type Machine struct {
	// Link is the name of its interface.
	Link string
	// Address of a machine at a hub, and the name of the hub's end of its cable.
	Address, socket string
	// enter is what runs a command on it; empty on the machine of the test itself.
	enter []string
}

// Options say how a pair is made. The zero value is a good one.
type Options struct {
	// OnlyIPv6 leaves the machines with the addresses that IPv6 gives a link by itself.
	OnlyIPv6 bool
}

// NewPair makes a pair for the length of the test, which must be Inside. The test's own process is on A.
func NewPair(t *testing.T, opts Options) *Pair {
	t.Helper()
	p := &Pair{A: &Machine{Link: "cable-a"}, B: &Machine{Link: "cable-b"}}
	pid := holdNamespace(t)
	p.B.enter = []string{"nsenter", "--target", strconv.Itoa(pid), "--net", "--"}
	p.A.mustRun(t, "ip", "link", "add", p.A.Link, "type", "veth", "peer", "name", p.B.Link)
	t.Cleanup(func() { p.A.mustRun(t, "ip", "link", "delete", p.A.Link) })
	p.A.mustRun(t, "ip", "link", "set", p.B.Link, "netns", strconv.Itoa(pid))
	for i, m := range []*Machine{p.A, p.B} {
		m.mustRun(t, "ip", "link", "set", "lo", "up")
		if !opts.OnlyIPv6 {
			m.mustRun(t, "ip", "address", "add", fmt.Sprintf("10.77.0.%d/24", i+1), "dev", m.Link)
		}
		m.mustRun(t, "ip", "link", "set", m.Link, "up")
	}
	return p
}

// holdNamespace makes a network namespace that lasts as long as the test, and returns a process in it.
func holdNamespace(t *testing.T) int {
	t.Helper()
	// cat ends with this process, which holds the other end of its input.
	holder := exec.Command("unshare", "--net", "--", "cat")
	stdin, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatalf("hold a namespace: %v", err)
	}
	t.Cleanup(func() {
		if err := errors.Join(stdin.Close(), holder.Wait()); err != nil {
			t.Errorf("end the holder of a namespace: %v", err)
		}
	})
	// What cat repeats tells that unshare has done its part.
	if _, err := io.WriteString(stdin, "\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stdout, make([]byte, 1)); err != nil {
		t.Fatalf("hold a namespace: %v", err)
	}
	return holder.Process.Pid
}

// Command is exec.Command on this machine. Its process is the program itself, not a wrapper.
func (m *Machine) Command(name string, args ...string) *exec.Cmd {
	return m.CommandContext(context.Background(), name, args...)
}

// CommandContext is exec.CommandContext on this machine.
func (m *Machine) CommandContext(ctx context.Context, name string, args ...string) *exec.Cmd {
	all := append(append(append([]string{}, m.enter...), name), args...)
	return exec.CommandContext(ctx, all[0], all[1:]...)
}

// Cut takes the machine's end of the cable down, and Mend puts it up again.
func (m *Machine) Cut(t *testing.T) {
	t.Helper()
	m.mustRun(t, "ip", "link", "set", m.Link, "down")
}

// Mend is the opposite of Cut.
func (m *Machine) Mend(t *testing.T) {
	t.Helper()
	m.mustRun(t, "ip", "link", "set", m.Link, "up")
}

// mustRun runs a command that takes no time.
func (m *Machine) mustRun(t *testing.T, name string, args ...string) {
	t.Helper()
	// Cleanups run commands too, when the test's own context has ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), commandLimit)
	defer cancel()
	cmd := m.CommandContext(ctx, name, args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(cmd.Args, " "), err, strings.TrimSpace(string(out)))
	}
}
