package conf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestFaults holds every kind of mistake against the complete report that a person gets to see.
func TestFaults(t *testing.T) {
	const pin = "sha256:9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c9f2c"
	cases := []struct {
		name string
		file string
		opts Options
		want []string
	}{
		{name: "unknown keys, all of them", file: `
node:
  listenn: ["0.0.0.0:1"]
nodes: {}
log:
  colour: true
plugins:
  disk: {kind: blobstore, path: self, requiredd: true}
discovery: []
`, want: []string{
			`test.yaml:3: node.listenn: unknown key "listenn"; did you mean "listen"?`,
			`test.yaml:4: nodes: unknown key "nodes"; did you mean "node"?`,
			`test.yaml:6: log.colour: unknown key "colour"; known keys here: format, level`,
			`test.yaml:8: plugins.disk.requiredd: unknown key "requiredd"; did you mean "required"?`,
		}},
		{name: "wrong types", file: `
node:
  name: [a]
  listen: "0.0.0.0:1"
  data_dir: 7
  peers: [x:1, 4]
sync: {interval: 30}
log: text
plugins:
  disk: {kind: blobstore, path: self, required: "yes", config: [1], env: {A: {}}}
discovery: []
`, want: []string{
			`test.yaml:3: node.name: must be a text, not a list`,
			`test.yaml:4: node.listen: must be a list of texts, not "0.0.0.0:1"`,
			`test.yaml:5: node.data_dir: must be a text, not "7"; quote it`,
			`test.yaml:6: node.peers.1: must be a text, not "4"; quote it`,
			`test.yaml:7: sync.interval: must be a duration such as "30s", not "30"`,
			`test.yaml:8: log: must be a map of keys, not "text"`,
			`test.yaml:10: plugins.disk.required: must be true or false, not "yes"`,
			`test.yaml:10: plugins.disk.config: must be a map of keys, not a list`,
			`test.yaml:10: plugins.disk.env.A: must be a text, not a map`,
		}},
		{name: "duplicates, also below config", file: `
node: {name: a}
node: {name: b}
plugins:
  disk:
    kind: blobstore
    path: self
    config:
      a: 1
      a: 2
discovery: []
`, want: []string{
			`test.yaml:3: node: duplicate key, first set in line 2`,
			`test.yaml:10: plugins.disk.config.a: duplicate key, first set in line 9`,
		}},
		{name: "roles", file: `
plugins:
  disk: {kind: blobstore, path: self}
  lan: {kind: discovery, path: self}
blobs:
  store: lan
  cache: dsik
discovery: [lan, disk, lan, nobody]
`, want: []string{
			`test.yaml:6: blobs.store: plugin "lan" is of kind discovery, this role needs a blobstore`,
			`test.yaml:7: blobs.cache: no plugin is named "dsik"; there is disk`,
			`test.yaml:8: discovery.1: plugin "disk" is of kind blobstore, this role needs a discovery`,
			`test.yaml:8: discovery.2: "lan" is listed twice`,
			`test.yaml:8: discovery.3: no plugin is named "nobody"; there is lan`,
		}},
		{name: "roles that were set, and instances that are at fault", file: `
plugins:
  disk: [1]
  photos: {kind: blobstore, path: self}
  empty:
blobs: {store: disk, cache: empty}
`, opts: Options{Environ: []string{"SYNCBASE_DISCOVERY=lan"}}, want: []string{
			`test.yaml:3: plugins.disk: must be a map of keys, not a list`,
			`test.yaml:6: blobs.cache: no plugin is named "empty"; there is photos`,
			`environment variable SYNCBASE_DISCOVERY: discovery.0: no plugin is named "lan"; add a plugin of kind discovery`,
		}},
		{name: "default roles beside another mistake", file: `
node: {name: "-"}
plugins:
  photos: {kind: blobstore, path: self}
`, want: []string{
			`test.yaml:2: node.name: "-" is not a name: 1 to 63 letters, digits, '.', '_' or '-', a letter or digit at both ends`,
		}},
		{name: "roles of a file that is not YAML", file: "blobs: [", opts: Options{
			Flags: map[string]any{"blobs.store": "photos"},
		}, want: []string{
			`test.yaml:1: not valid YAML: did not find expected node content`,
		}},
		{name: "plugins", file: `
plugins:
  disk: {kind: blobstore, path: self, sha256: "` + pin + `"}
  Photos-2: {kind: blobstoer, path: self}
  a: {kind: resolver}
  b: {kind: resolver, path: ./b}
  c: {kind: resolver, path: /c}
  d: {kind: resolver, path: /d, sha256: "sha256:12"}
  e: {kind: resolver, path: /e, sha256: "` + pin + `", env: {"A-B": x}}
  f: {kind: resolver, path: /f, allow_unpinned: true, config: {x: ["${env:}"], y: "${file:rel}", z: "${other}"}}
  g: {kind: discovery, path: self/Other, args: [x]}
  h: {kind: discovery, path: self/discovery-mdns}
discovery: []
`, want: []string{
			`test.yaml:3: plugins.disk.sha256: a bundled plugin is the daemon itself and takes no pin`,
			`test.yaml:4: plugins.Photos-2: an instance is named with a lower-case letter and then letters, digits or '_', at most 32, so that a variable can reach it`,
			`test.yaml:4: plugins.Photos-2.kind: "blobstoer" is not one of blobstore, discovery, resolver`,
			`test.yaml:5: plugins.a.path: is missing: an absolute path, or "self" for a bundled plugin`,
			`test.yaml:6: plugins.b.path: "./b" is neither absolute nor "self"; plugins are not searched for`,
			`test.yaml:7: plugins.c.sha256: is missing: pin the executable with "sha256:" and the output of sha256sum, or set allow_unpinned: true while developing it`,
			`test.yaml:8: plugins.d.sha256: "sha256:12" is not "sha256:" followed by 64 hexadecimal digits`,
			`test.yaml:9: plugins.e.env.A-B: is not the name of an environment variable`,
			`test.yaml:10: plugins.f.config.x.0: "${env:}" does not name an environment variable`,
			`test.yaml:10: plugins.f.config.y: "${file:rel}" does not name a file by its absolute path`,
			`test.yaml:11: plugins.g.path: "self/Other" does not name a bundled plugin, as in "self/blobstore-fs"`,
			`test.yaml:11: plugins.g.args: a bundled plugin takes no arguments; what it has to know stands in config`,
		}},
		{name: "values", file: `
node:
  name: "-x"
  listen: [nowhere, "h:99999"]
  peers:
    - ":4001"
    - "h:0"
sync: {interval: 1ms}
log: {level: loud, format: xml}
store: {history: {keep: -1s, max_mib: 0}}
memory: {max_mib: 127}
`, want: []string{
			`test.yaml:3: node.name: "-x" is not a name: 1 to 63 letters, digits, '.', '_' or '-', a letter or digit at both ends`,
			`test.yaml:4: node.listen.0: "nowhere" is not HOST:PORT`,
			`test.yaml:4: node.listen.1: "h:99999" has no port number from 0 to 65535`,
			`test.yaml:6: node.peers.0: ":4001" cannot be dialled: it needs a host and a port other than 0`,
			`test.yaml:7: node.peers.1: "h:0" cannot be dialled: it needs a host and a port other than 0`,
			`test.yaml:8: sync.interval: 1ms is not between 100ms and 24h0m0s`,
			`test.yaml:9: log.level: "loud" is not one of trace, debug, info, warn, error`,
			`test.yaml:9: log.format: "xml" is not one of text, json`,
			`test.yaml:10: store.history.keep: -1s is not between 0s and 87600h0m0s`,
			`test.yaml:10: store.history.max_mib: 0 is not between 1 and 1048576`,
			`test.yaml:11: memory.max_mib: 127 is not between 128 and 1048576`,
		}},
		{name: "YAML beyond a configuration", file: `
node: &n {name: a}
identity: *n
1: x
plugins:
  disk: {kind: blobstore, path: self, config: {nan: .nan, bin: !!binary "/w==", ref: &a 1, 5: y}}
discovery: []
`, want: []string{
			`test.yaml:2: node: anchors and aliases are not supported; write the value out`,
			`test.yaml:3: identity: anchors and aliases are not supported; write the value out`,
			`test.yaml:4: key "1" is not a text; quote it`,
			`test.yaml:6: plugins.disk.config.nan: ".nan" cannot be passed to a plugin as JSON; quote it`,
			`test.yaml:6: plugins.disk.config.bin: "/w==" cannot be passed to a plugin as JSON; quote it`,
			`test.yaml:6: plugins.disk.config.ref: anchors and aliases are not supported; write the value out`,
			`test.yaml:6: plugins.disk.config: key "5" is not a text; quote it`,
		}},
		{name: "not YAML", file: "node: [", want: []string{`test.yaml:1: not valid YAML: did not find expected node content`}},
		{name: "two documents", file: "node: {}\n---\nlog: {}\n", want: []string{`test.yaml:2: only one YAML document is allowed in a configuration file`}},
		{name: "a list instead of keys", file: "- a\n", want: []string{`test.yaml:1: must be a map of keys, not a list`}},
		{name: "environment", opts: Options{Environ: []string{
			"SYNCBASE_NODE__LISTENN=x",
			"SYNCBASE_NODE_NAME=x",
			"SYNCBASE_NODE=x",
			"SYNCBASE_PLUGINS__DISK__REQUIRED=perhaps",
			"SYNCBASE_PLUGINS__DISK__PATH__X=y",
			"SYNCBASE_PLUGINS__DISK__CONFIG__A=1",
			"SYNCBASE_PLUGINS__DISK__CONFIG__A__B=1",
			"SYNCBASE_BLOBS____STORE=disk",
			"SYNCBASE_LOG__LEVEL=loud",
			"SYNCBASE_log__level=info",
		}}, want: []string{
			`environment variable SYNCBASE_BLOBS____STORE: blobs..store: a level of the key is empty`,
			`environment variable SYNCBASE_NODE: node: is a section; set the keys in it`,
			`environment variable SYNCBASE_NODE_NAME: is not a setting; did you mean SYNCBASE_NODE__NAME?`,
			`environment variable SYNCBASE_NODE__LISTENN: node.listenn: unknown key "listenn"; did you mean "listen"?`,
			`environment variable SYNCBASE_PLUGINS__DISK__CONFIG__A__B: plugins.disk.config.a.b: plugins.disk.config.a is already set to a value`,
			`environment variable SYNCBASE_PLUGINS__DISK__PATH__X: plugins.disk.path.x: unknown key "x": what it stands in is a text`,
			`environment variable SYNCBASE_PLUGINS__DISK__REQUIRED: plugins.disk.required: must be true or false, not "perhaps"`,
			`environment variable SYNCBASE_log__level: log.level: is also set by environment variable SYNCBASE_LOG__LEVEL`,
		}},
		{name: "variables of a plugin that is nowhere else", opts: Options{Environ: []string{
			"SYNCBASE_PLUGINS__PHOTOS__CONFIG__BUCKET=family", "SYNCBASE_PLUGINS__PHOTOS__REQUIRED=true",
		}}, want: []string{
			`environment variable SYNCBASE_PLUGINS__PHOTOS__CONFIG__BUCKET: plugins.photos.kind: "" is not one of blobstore, discovery, resolver`,
			`environment variable SYNCBASE_PLUGINS__PHOTOS__CONFIG__BUCKET: plugins.photos.path: is missing: an absolute path, or "self" for a bundled plugin`,
		}},
		{name: "lists in variables", opts: Options{Environ: []string{
			`SYNCBASE_NODE__LISTEN=["0.0.0.0:4001"]`,
			`SYNCBASE_NODE__PEERS=[]`,
			`SYNCBASE_DISCOVERY= [lan, wan] `,
			`SYNCBASE_PLUGINS__DISK__ARGS__0=x`,
		}}, want: []string{
			`environment variable SYNCBASE_DISCOVERY: discovery: is a list: write its items with commas between them, as in a,b, and nothing for an empty list; not "[lan, wan]"`,
			`environment variable SYNCBASE_NODE__LISTEN: node.listen: is a list: write its items with commas between them, as in a,b, and nothing for an empty list; not "[\"0.0.0.0:4001\"]"`,
			`environment variable SYNCBASE_NODE__PEERS: node.peers: is a list: write its items with commas between them, as in a,b, and nothing for an empty list; not "[]"`,
			`environment variable SYNCBASE_PLUGINS__DISK__ARGS__0: plugins.disk.args.0: unknown key "0": what it stands in is a list of texts, set as a whole with commas between its items`,
		}},
		{name: "flags", opts: Options{Flags: map[string]any{
			"node.lisen": "x", "node.name": []string{"a"}, "log.level": 7, "sync.interval": "fast", "store.history.max_mib": "1MiB",
		}}, want: []string{
			`flag: log.level: a flag cannot hold a value of type int`,
			`flag: node.lisen: unknown key "lisen"; did you mean "listen"?`,
			`flag: node.name: must be a text`,
			`flag: store.history.max_mib: must be a whole number, not "1MiB"`,
			`flag: sync.interval: must be a duration such as "30s", not "fast"`,
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := load(t, c.file, c.opts)
			var faults Faults
			if !errors.As(err, &faults) {
				t.Fatalf("error = %v, want Faults", err)
			}
			if diff := cmp.Diff(c.want, strings.Split(faults.Error(), "\n")); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFileIsBounded(t *testing.T) {
	cases := map[string]string{
		"size":  "# " + strings.Repeat("x", maxFileBytes),
		"depth": "plugins: {disk: {kind: blobstore, path: self, config: {x: " + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "}}}",
	}
	for name, text := range cases {
		if _, err := load(t, text, Options{}); err == nil {
			t.Errorf("%s: a file beyond the bound was accepted", name)
		}
	}
}

func TestReportIsBounded(t *testing.T) {
	var b strings.Builder
	for i := range 5 * maxFaults {
		fmt.Fprintf(&b, "x%d: 1\n", i)
	}
	_, err := load(t, b.String(), Options{})
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != maxFaults {
		t.Errorf("%d faults, want %d", len(faults), maxFaults)
	}
}

func TestCheck(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(file, []byte("node: {name: a}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SYNCBASE_NODE__NAME", "-")
	if err := Check(file); err != nil {
		t.Errorf("Check = %v; the environment of who checks must not matter", err)
	}
	var faults Faults
	if err := Check(file + ".missing"); err == nil || errors.As(err, &faults) {
		t.Errorf("Check of a missing file = %v, want an ordinary error", err)
	}
}
