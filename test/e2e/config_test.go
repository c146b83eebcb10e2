package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
)

// TestUnknownKey starts a daemon with a misspelt key.
func TestUnknownKey(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	file := n.file("bad.yaml", "node:\n  name: a\n  data_dri: x\n")
	n.syncbase("serve", "--data", n.path("a"), "--config", file).refused(t, 1, "bad.yaml:3", "data_dri")
	n.syncbase("config", "check", file).refused(t, 1, "bad.yaml:3", "data_dri")
	if _, err := os.Stat(n.path("a")); err == nil {
		t.Error("a data directory was made")
	}
}

// TestExampleConfigurations starts a daemon with each of the examples, all but its places as they are.
func TestExampleConfigurations(t *testing.T) {
	t.Parallel()
	examples, err := filepath.Glob(repository(t, "configs", "*.yaml"))
	if err != nil || len(examples) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, example := range examples {
		t.Run(filepath.Base(example), func(t *testing.T) {
			n := newNetwork(t)
			d := n.newDaemon("a")
			d.args = []string{"--config", example}
			d.env = []string{
				"SYNCBASE_NODE__DATA_DIR=" + d.data, "SYNCBASE_IDENTITY__DIR=" + n.path("identity"), "SYNCBASE_NODE__LISTEN=" + loopback,
			}
			d.serve("")
			ready := 0
			for _, p := range d.status().Plugins {
				if p.State == "ready" {
					ready++
				} else {
					t.Logf("plugin %s is %s: %s", p.Name, p.State, p.Message)
				}
			}
			if ready == 0 {
				t.Error("no plugin is ready")
			}
			share(d)
			d.run("put", "places", "cities", "key", "1")
			d.stop()
		})
	}
}

// badPlugins are programs that are no plugins, and what status has to say of them.
var badPlugins = []struct{ name, program, reason string }{
	{"garbage", "head -c 70000 /dev/urandom\nexec sleep 600\n", "no handshake"},
	{"babbling", "while :; do echo la la la; done\n", "la la la"},
	{"exits", `printf '\033[31mcannot find the disk\n' >&2; exit 3`, "cannot find the disk"},
	{"mute", "echo hello\nexec sleep 600\n", "handshake"},
	{"foreign", "echo '1|99|unix|/nowhere|grpc|'\nexec sleep 600\n", "99"},
	{"later", "echo '7|1|unix|/nowhere|grpc|'\nexec sleep 600\n", "7"},
}

// reaches waits until a plugin is in a state and the message about it has a text.
func (d *daemon) reaches(plugin, state, text string) {
	d.t.Helper()
	until(d.t, "the plugin "+plugin+" is "+state, patience, func() (bool, string) {
		for _, p := range d.status().Plugins {
			if p.Name == plugin && p.State == state && strings.Contains(p.Message, text) {
				d.t.Logf("%s is %s: %.200q", plugin, state, p.Message)
				return true, ""
			}
		}
		return false, fmt.Sprintf("%+.1000v", d.status().Plugins)
	})
}

// TestBadPlugins starts a daemon with plugins that cannot work. Nothing else suffers.
func TestBadPlugins(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	var more strings.Builder
	for _, bad := range badPlugins {
		path := n.file(bad.name+".sh", "#!/bin/sh\n"+bad.program)
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&more, "  %s: {kind: resolver, path: %s, allow_unpinned: true}\n", bad.name, path)
	}
	config := "plugins:\n  disk: {kind: blobstore, path: self, required: true}\n" + more.String() + "discovery: []\n"
	d := n.newDaemon("a")
	d.args = []string{"--data", d.data, "--config", n.file("bad-plugins.yaml", config)}
	d.launch(loopback)
	until(t, "the daemon answers", patience, func() (bool, string) {
		_, err := d.tryStatus()
		return err == nil, fmt.Sprint(err)
	})
	share(d)
	d.run("put", "places", "cities", "key", "1")
	d.gets("key")
	d.reaches("disk", "ready", "")
	for _, bad := range badPlugins {
		d.reaches(bad.name, "failed", bad.reason)
	}
	// What plugins print must not command the terminal of who asks.
	if text := d.run("status"); strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
		t.Errorf("status prints what is not text: %q", text)
	}
	d.run("put", "places", "cities", "key", "2")
	d.stop()
}
