package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
	{"garbage", "head -c 100000 /dev/urandom\nexec sleep 600\n", ""},
	{"babbling", "while :; do echo la la la; done\n", "la la la"},
	{"exits", "echo cannot find the disk >&2\nexit 3\n", "cannot find the disk"},
	{"foreign", "echo '1|99|unix|/nowhere|grpc|'\nexec sleep 600\n", "99"},
	{"later", "echo '7|1|unix|/nowhere|grpc|'\nexec sleep 600\n", "7"},
}

// TestBadPlugins starts a daemon with plugins that cannot work. Nothing else suffers.
func TestBadPlugins(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	config := isolatedConfig
	var more strings.Builder
	for _, bad := range badPlugins {
		path := n.file(bad.name+".sh", "#!/bin/sh\n"+bad.program)
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&more, "  %s: {kind: resolver, path: %s, allow_unpinned: true}\n", bad.name, path)
	}
	config = strings.Replace(config, "plugins: {disk: {kind: blobstore, path: self, required: true}}",
		"plugins:\n  disk: {kind: blobstore, path: self, required: true}\n"+strings.TrimSuffix(more.String(), "\n"), 1)
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
	for _, bad := range badPlugins {
		until(t, "the plugin "+bad.name+" has failed", 2*patience, func() (bool, string) {
			for _, p := range d.status().Plugins {
				if p.Name == bad.name {
					return p.State == "failed" && p.Message != "" && strings.Contains(p.Message, bad.reason), p.State + ": " + p.Message
				}
			}
			return false, "not listed"
		})
	}
	for _, p := range d.status().Plugins {
		t.Logf("%s is %s: %s", p.Name, p.State, p.Message)
		if p.Name == "disk" && p.State != "ready" {
			t.Errorf("the good plugin is %s", p.State)
		}
	}
	d.run("put", "places", "cities", "key", "2")
	d.stop()
}
