package e2e

import (
	"net"
	"strings"
	"syscall"
	"testing"
)

// TestStoppedDaemon asks daemons that accept and say nothing, as one that is stopped: they are not said to be absent, as one is
// that is gone.
func TestStoppedDaemon(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	a := n.start("a")
	socket := a.data + "/syncbase.sock"
	a.signal(syscall.SIGSTOP)
	var r result
	// A signal takes a moment to reach all threads.
	until(t, "the daemon is silent", patience, func() (bool, string) { r = a.try("status"); return r.code != 0, "it answers" })
	a.signal(syscall.SIGCONT)
	r.refused(t, 1, "a daemon holds the socket "+socket+" but does not answer")
	if strings.Contains(r.stderr, "serve") {
		t.Errorf("it tells to start another one: %s", r)
	}
	a.stop()
	a.try("status").refused(t, 1, "no Syncbase daemon answers", "syncbase serve")

	mute, err := net.Listen("tcp", loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	identity := a.data + "/identity/"
	n.syncbase("status", "--address", mute.Addr().String(), "--cert", identity+"cert.pem", "--key", identity+"key.pem", "--ca", identity+"trust.pem").
		refused(t, 1, "accepts connections at "+mute.Addr().String()+" but does not answer")
}
