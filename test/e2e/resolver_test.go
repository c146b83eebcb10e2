package e2e

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// pagePlugin builds the program that docs/plugins.md shows whole, and returns its path.
func (n *network) pagePlugin() string {
	n.t.Helper()
	page, err := os.ReadFile(repository(n.t, "docs", "plugins.md"))
	if err != nil {
		n.t.Fatal(err)
	}
	_, rest, isThere := strings.Cut(string(page), "```go\npackage main\n")
	program, _, isClosed := strings.Cut(rest, "\n```")
	if !isThere || !isClosed {
		n.t.Fatal("docs/plugins.md shows no program")
	}
	source, path := n.file("main.go", "package main\n"+program+"\n"), n.path("resolver-longest")
	build := exec.Command("go", "build", "-o", path, source)
	build.Dir = repository(n.t)
	if out, err := build.CombinedOutput(); err != nil {
		n.t.Fatalf("build the program of docs/plugins.md: %v\n%s", err, out)
	}
	return path
}

// resolver returns the process of the plugin longest, 0 if there is none.
func (d *daemon) resolver() (pid int, state string) {
	d.t.Helper()
	for _, p := range d.status().Plugins {
		if p.Name == "longest" {
			return p.PID, p.State
		}
	}
	d.t.Fatalf("%s has no such plugin", d.name)
	return 0, ""
}

// agree waits until both daemons have the value in the row, and nothing is in conflict.
func agree(a, b *daemon, key, value string) {
	a.t.Helper()
	for _, d := range []*daemon{a, b} {
		until(d.t, fmt.Sprintf("%s has %s in %s", d.name, value, key), time.Minute, func() (bool, string) {
			row, open := d.try("get", "places", "cities", key), d.try("conflict", "list", "places", "-o", "json")
			return row.code == 0 && strings.TrimSpace(row.stdout) == value && open.code == 0 && open.stdout == "", row.String() + open.String()
		})
	}
}

// TestResolverPlugin lets the plugin of the page for authors decide: of two daemons that were apart, of two that have lost the
// plugin's process, and of two that start again without a plugin and get it later.
func TestResolverPlugin(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	without := n.config
	program := n.pagePlugin()
	binary, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	n.config = n.file("resolving.yaml", strings.Replace(isolatedConfig, "plugins: {",
		fmt.Sprintf("plugins: {longest: {kind: resolver, path: %q, sha256: \"sha256:%x\"}, ", program, sha256.Sum256(binary)), 1))
	with := n.config
	schema := n.file("schema.json", `{"version":1,"rules":[{"resolver":"plugin:longest"}]}`)
	a := n.start("a")
	share(a)
	b := n.startWith(a, "b")
	join(b, a, "normal")
	daemons := []*daemon{a, b}
	for _, d := range daemons {
		d.run("schema", "set", "places", "--file", schema)
	}
	quarrel := func(key string) {
		for _, d := range daemons {
			d.run("db", "pause", "places")
		}
		b.run("put", "places", "cities", key, `"the longer value"`)
		a.run("put", "places", "cities", key, `"short"`)
		for _, d := range daemons {
			d.run("db", "resume", "places")
		}
	}

	quarrel("rome")
	agree(a, b, "rome", `"the longer value"`)

	for _, d := range daemons {
		pid, state := d.resolver()
		if pid == 0 || state != "ready" {
			t.Fatalf("the plugin of %s is %s with pid %d", d.name, state, pid)
		}
		if err := (process{pid: pid}).kill(); err != nil {
			t.Fatal(err)
		}
	}
	quarrel("oslo")
	agree(a, b, "oslo", `"the longer value"`)

	restart := func(config string) {
		for _, d := range daemons {
			address := d.address()
			d.stop()
			d.args[3] = config
			d.serve(address)
		}
	}
	restart(without)
	quarrel("bern")
	for _, d := range daemons {
		until(t, d.name+" holds the conflict", time.Minute, func() (bool, string) {
			r := d.try("conflict", "list", "places", "-o", "json")
			return r.code == 0 && strings.Count(r.stdout, `"bern"`) == 1, r.String()
		})
	}
	restart(with)
	agree(a, b, "bern", `"the longer value"`)
}
