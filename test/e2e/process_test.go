package e2e

import (
	"os"
	"path/filepath"
	"testing"
)

// TestOrderlyStop stops a daemon while a client has a stream open. stop checks that it exits with 0 and leaves no plugins.
func TestOrderlyStop(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	a := n.start("a")
	share(a)
	a.run("put", "places", "cities", "kept", "1")
	watch := make(chan result, 1)
	go func() { watch <- a.try("watch", "places", "--initial") }()
	until(t, "the client has connected", patience, func() (bool, string) {
		out := a.run("syncgroup", "members", "places", "all")
		return out != "", out
	})
	a.stop()
	<-watch
	if _, err := os.Stat(filepath.Join(a.data, "syncbase.sock")); err == nil {
		t.Error("the socket is still there")
	}
	a.serve(loopback)
	a.gets("kept")
}

// TestKilledDaemon kills a daemon with SIGKILL: its plugins end by themselves, and what it leaves lying about does not keep
// it from starting again.
func TestKilledDaemon(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	a := n.start("a")
	share(a)
	if len(a.plugins) == 0 {
		t.Fatal("no plugin process is known")
	}
	for _, key := range []string{"first", "second"} {
		a.run("put", "places", "cities", key, "1")
		a.kill()
		a.noPlugins()
		if _, err := os.Stat(filepath.Join(a.data, "syncbase.sock")); err != nil {
			t.Errorf("the test wants a socket that is left over: %v", err)
		}
		a.serve(loopback)
		a.gets(key)
	}
}

// TestDataDirectoryInUse starts a second daemon on the directory of the first.
func TestDataDirectoryInUse(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	a := n.start("a")
	share(a)
	n.syncbase("serve", "--data", a.data, "--config", n.config).refused(t, 1, "in use", a.data)
	a.run("put", "places", "cities", "first is unharmed", "1")
	a.gets("first is unharmed")
}
