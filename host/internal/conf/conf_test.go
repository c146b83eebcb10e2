package conf

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// load loads the text of a file, named test.yaml in faults, on a machine that is the same everywhere.
func load(t *testing.T, text string, opts Options) (Config, error) {
	t.Helper()
	opts.DefaultName, opts.DefaultDataDir = "box", "/data"
	dir := t.TempDir()
	if text != "" {
		opts.File = filepath.Join(dir, "test.yaml")
		if err := os.WriteFile(opts.File, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := Load(opts)
	var faults Faults
	if errors.As(err, &faults) {
		for i := range faults {
			faults[i].Source = strings.TrimPrefix(faults[i].Source, dir+string(filepath.Separator))
		}
	}
	return cfg, err
}

func mustLoad(t *testing.T, text string, opts Options) Config {
	t.Helper()
	cfg, err := load(t, text, opts)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return cfg
}

func TestDefaults(t *testing.T) {
	got := mustLoad(t, "", Options{})
	want := Config{
		Node:     Node{Name: "box", DataDir: "/data", Listen: []string{"0.0.0.0:0"}, Peers: []string{}, HTTP: HTTP{Socket: true, Listen: []string{}, Local: []string{}, Origins: []string{}, Hosts: []string{}}},
		Identity: Identity{Dir: "/data/identity"},
		Plugins: map[string]Plugin{
			"disk": {Kind: KindBlobStore, Path: PathSelf, Required: true},
			"lan":  {Kind: KindDiscovery, Path: PathSelf},
		},
		Blobs:     Blobs{Store: "disk"},
		Discovery: []string{"lan"},
		Store:     Store{History: History{Keep: 24 * time.Hour, MaxMiB: 24}},
		Memory:    Memory{MaxMiB: 256},
		Sync:      Sync{Interval: 30 * time.Second},
		Clock:     Clock{Servers: []string{}, Interval: time.Hour},
		Log:       Log{Level: "info", Format: "text"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
}

func TestPrecedence(t *testing.T) {
	const file = "node: {name: from-file}"
	env := []string{"SYNCBASE_NODE__NAME=from-env"}
	flags := map[string]any{"node.name": "from-flag"}
	cases := []struct {
		name string
		file string
		opts Options
		want string
	}{
		{"default", "", Options{}, "box"},
		{"file over default", file, Options{}, "from-file"},
		{"environment over file", file, Options{Environ: env}, "from-env"},
		{"flag over file", file, Options{Flags: flags}, "from-flag"},
		{"flag over environment", file, Options{Environ: env, Flags: flags}, "from-flag"},
		{"environment without file", "", Options{Environ: env}, "from-env"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := mustLoad(t, c.file, c.opts).Node.Name; got != c.want {
				t.Errorf("node.name = %q, want %q", got, c.want)
			}
		})
	}
}

func TestSectionsKeepDefaultsAndPluginsDoNot(t *testing.T) {
	cfg := mustLoad(t, `
node:
  listen: []
identity:
plugins:
  store2: {kind: blobstore, path: self}
blobs: {store: store2}
discovery: []
`, Options{})
	if cfg.Node.Name != "box" || len(cfg.Node.Listen) != 0 {
		t.Errorf("node = %+v, want the default name and no listeners", cfg.Node)
	}
	if _, ok := cfg.Plugins["disk"]; ok || len(cfg.Plugins) != 1 {
		t.Errorf("plugins = %v, want store2 only", cfg.Plugins)
	}
}

// A role that nobody set falls to the default instance only where there is one that can play it.
func TestDefaultRolesNeedTheirInstances(t *testing.T) {
	cases := []struct {
		name, file string
		environ    []string
		store      string
		discovery  []string
	}{
		{"no file", "", nil, "disk", []string{"lan"}},
		{"both", "plugins: {disk: {kind: blobstore, path: self}, lan: {kind: discovery, path: self}}", nil, "disk", []string{"lan"}},
		{"disk only", "plugins: {disk: {kind: blobstore, path: self}}", nil, "disk", []string{}},
		{"lan only", "plugins: {lan: {kind: discovery, path: self}}", nil, "", []string{"lan"}},
		{"none", "plugins: {}", nil, "", []string{}},
		{"names of other kinds", "plugins: {lan: {kind: blobstore, path: self}, disk: {kind: discovery, path: self}}", nil, "", []string{}},
		{"set to nothing in the file", "blobs: {store: \"\"}\ndiscovery: []", nil, "", []string{}},
		{"an empty section is not set", "plugins: {disk: {kind: blobstore, path: self}}\ndiscovery:", nil, "disk", []string{}},
		{"set by the environment", "plugins: {photos: {kind: blobstore, path: self}}", []string{"SYNCBASE_BLOBS__STORE=photos"}, "photos", []string{}},
		{"added by the environment", "plugins: {disk: {kind: blobstore, path: self}}",
			[]string{"SYNCBASE_PLUGINS__LAN__KIND=discovery", "SYNCBASE_PLUGINS__LAN__PATH=self"}, "disk", []string{"lan"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cfg := mustLoad(t, c.file, Options{Environ: c.environ})
			if diff := cmp.Diff(c.discovery, cfg.Discovery); cfg.Blobs.Store != c.store || diff != "" {
				t.Errorf("blobs.store = %q, want %q; discovery (-want +got):\n%s", cfg.Blobs.Store, c.store, diff)
			}
		})
	}
}

func TestEnvironment(t *testing.T) {
	const file = `
plugins:
  photos:
    kind: blobstore
    path: self
    config: {bucket: family, password: "old", port: 1, "dotted.key": kept, big: 9007199254740993}
blobs: {store: photos}
discovery: []
`
	cfg := mustLoad(t, file, Options{Environ: []string{
		"HOME=/root",
		"SYNCBASE_ADDRESS=unix:///x", // the command line's
		"SYNCBASE_NODE_SERVICE_HOST=10.0.0.1",
		"SYNCBASE_PLUGINS__PHOTOS__CONFIG__BUCKET=other",
		"SYNCBASE_PLUGINS__PHOTOS__CONFIG__PASSWORD=12345",
		"SYNCBASE_PLUGINS__PHOTOS__CONFIG__PORT=9000",
		"SYNCBASE_PLUGINS__PHOTOS__CONFIG__DEEP__SWITCH=true",
		"SYNCBASE_PLUGINS__PHOTOS__CONFIG__PHONE=0123",
		"SYNCBASE_PLUGINS__PHOTOS__CONFIG__LIST=[1,\"a\"]",
		"SYNCBASE_PLUGINS__PHOTOS__ENV__AWS_REGION=eu-west-1",
		"SYNCBASE_PLUGINS__PHOTOS__REQUIRED=true",
		"SYNCBASE_NODE__PEERS=a:1, [::1]:2",
		"SYNCBASE_NODE__LISTEN=",
		"SYNCBASE_SYNC__INTERVAL=5s",
	}})
	want := Plugin{
		Kind: KindBlobStore, Path: PathSelf, Required: true,
		Env: map[string]string{"AWS_REGION": "eu-west-1"},
		Config: map[string]any{
			"bucket": "other", "password": "12345", "port": 9000, "phone": "0123", "dotted.key": "kept",
			"big": 9007199254740993, "deep": map[string]any{"switch": true}, "list": []any{1, "a"},
		},
	}
	if diff := cmp.Diff(want, cfg.Plugins["photos"]); diff != "" {
		t.Errorf("plugin (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a:1", "[::1]:2"}, cfg.Node.Peers); diff != "" {
		t.Errorf("peers (-want +got):\n%s", diff)
	}
	if len(cfg.Node.Listen) != 0 || cfg.Sync.Interval != 5*time.Second {
		t.Errorf("listen = %v, interval = %v", cfg.Node.Listen, cfg.Sync.Interval)
	}
}

func TestFlagTypes(t *testing.T) {
	cfg := mustLoad(t, "", Options{Flags: map[string]any{
		"node.listen":           []string{"127.0.0.1:0"},
		"plugins.lan.required":  true,
		"sync.interval":         2 * time.Second,
		"plugins.disk.config.x": "7",
	}})
	if diff := cmp.Diff([]string{"127.0.0.1:0"}, cfg.Node.Listen); diff != "" {
		t.Error(diff)
	}
	if !cfg.Plugins["lan"].Required || cfg.Sync.Interval != 2*time.Second || cfg.Plugins["disk"].Config["x"] != 7 {
		t.Errorf("config = %+v", cfg)
	}
}

func TestPathsAreAbsolute(t *testing.T) {
	t.Setenv("HOME", "/home/someone")
	cfg := mustLoad(t, "node: {data_dir: ~/sync}", Options{})
	if cfg.Node.DataDir != "/home/someone/sync" || cfg.Identity.Dir != "/home/someone/sync/identity" {
		t.Errorf("data_dir = %q, identity.dir = %q", cfg.Node.DataDir, cfg.Identity.Dir)
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := mustLoad(t, "node: {data_dir: here}", Options{}).Node.DataDir, filepath.Join(wd, "here"); got != want {
		t.Errorf("data_dir = %q, want %q", got, want)
	}
}

func TestDefaultDataDir(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Logf("the expectations below are those of Linux; not checked on %s", runtime.GOOS)
		return
	}
	for _, c := range []struct{ xdg, home, want string }{
		{"/xdg", "/home/x", "/xdg/syncbase"},
		{"", "/home/x", "/home/x/.local/share/syncbase"},
		{"relative", "/home/x", "/home/x/.local/share/syncbase"},
	} {
		t.Setenv("XDG_DATA_HOME", c.xdg)
		t.Setenv("HOME", c.home)
		if got, err := DefaultDataDir(); err != nil || got != c.want {
			t.Errorf("with %+v: %q, %v", c, got, err)
		}
	}
}

// A service without a home directory starts as soon as it is told where its data is, and otherwise says what is missing.
func TestNoHome(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", "")
	t.Setenv("HOME", "")
	if _, err := Load(Options{}); err == nil || !strings.Contains(err.Error(), "set node.data_dir or --data") {
		t.Errorf("without anything: %v", err)
	}
	file := filepath.Join(t.TempDir(), "x.yaml")
	for text, ok := range map[string]bool{"node: {data_dir: /srv}": true, "node: {name: a}": false} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(Options{File: file}); (err == nil) != ok {
			t.Errorf("with file %q: %v", text, err)
		}
	}
	for _, opts := range []Options{
		{Flags: map[string]any{"node.data_dir": "/srv"}},
		{Environ: []string{"SYNCBASE_NODE__DATA_DIR=/srv"}},
	} {
		if cfg, err := Load(opts); err != nil || cfg.Node.DataDir != "/srv" {
			t.Errorf("with %+v: %q, %v", opts, cfg.Node.DataDir, err)
		}
	}
}

func TestDatesReachPluginsAsWritten(t *testing.T) {
	cfg := mustLoad(t, "plugins: {disk: {kind: blobstore, path: self, config: {since: 2026-01-02, none: null, half: 0.5}}}\ndiscovery: []", Options{})
	want := map[string]any{"since": "2026-01-02", "none": nil, "half": 0.5}
	if diff := cmp.Diff(want, cfg.Plugins["disk"].Config); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
}

func TestDefaultName(t *testing.T) {
	for hostname, want := range map[string]string{
		"Laptop.example.org":     "Laptop",
		"böx_1":                  "b-x_1",
		"":                       "syncbase",
		"...":                    "syncbase",
		strings.Repeat("a", 100): strings.Repeat("a", 63),
	} {
		got := defaultName(hostname)
		if got != want || !validName(got) {
			t.Errorf("defaultName(%q) = %q, want %q", hostname, got, want)
		}
	}
}

// Every field of Config has a shape that the reader knows; a new field of another type needs code in schema.go.
func TestSchemaIsReadable(t *testing.T) {
	var walk func(t *testing.T, typ reflect.Type, path string)
	walk = func(t *testing.T, typ reflect.Type, path string) {
		switch shapeOf(typ) {
		case shapeUnknown:
			t.Errorf("%s has type %v, which a configuration file cannot hold", path, typ)
		case shapeSection:
			for key, field := range keysOf(typ) {
				if key == "" {
					t.Errorf("%s has a field without a yaml tag", path)
				}
				walk(t, field, path+"."+key)
			}
		case shapeMap:
			walk(t, typ.Elem(), path+".*")
		}
	}
	walk(t, reflect.TypeFor[Config](), "config")
}

// everyKey lists the last parts of all keys that Config has.
func everyKey() []string {
	var keys []string
	var walk func(typ reflect.Type)
	walk = func(typ reflect.Type) {
		switch shapeOf(typ) {
		case shapeSection:
			for key, field := range keysOf(typ) {
				keys = append(keys, key)
				walk(field)
			}
		case shapeMap:
			walk(typ.Elem())
		}
	}
	walk(reflect.TypeFor[Config]())
	return keys
}
