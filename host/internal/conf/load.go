package conf

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
	"go.yaml.in/yaml/v3"
)

// Options says where the configuration comes from. The zero value gives the embedded defaults of this machine.
type Options struct {
	// File is the path of a YAML file; empty means none.
	File string
	// Environ holds NAME=VALUE pairs, usually os.Environ(). Nil means that no variable is looked at.
	Environ []string
	// Flags holds what the command line sets, by dotted key such as "node.data_dir". A value is a string (parsed like
	// a variable's), a []string, a bool or a time.Duration.
	Flags map[string]any
	// DefaultName stands in for the host's name, DefaultDataDir for DefaultDataDir().
	DefaultName    string
	DefaultDataDir string
}

// Load gives the effective configuration. When a value is at fault, the error is of type Faults and lists everything
// that is wrong.
func Load(opts Options) (Config, error) {
	opts = opts.withDefaults()
	r := newReport()
	file, err := loadFile(opts.File, r)
	if err != nil {
		return Config{}, err
	}
	env := newOverlay(r, file)
	env.environment(opts.Environ)
	flags := newOverlay(r, file)
	flags.flags(opts.Flags)

	base, err := tree(defaults(opts.DefaultName, opts.DefaultDataDir))
	if err != nil {
		return Config{}, fmt.Errorf("embedded defaults: %w", err)
	}
	if _, ok := file["plugins"]; ok {
		// A file that speaks of plugins names all of them: nobody should have to switch off an instance that
		// their file does not mention.
		delete(base, "plugins")
	}
	cfg, err := merge(base, file, env.values, flags.values)
	if err != nil {
		r.at(origin{source: "configuration"}, nil, "%v", err)
		return Config{}, r.err()
	}
	cfg.vacate(file, env.values, flags.values)
	cfg.complete(opts, r)
	cfg.validate(r)
	if err := r.err(); err != nil {
		return Config{}, err
	}
	return cfg, nil
}

// Check validates a file by itself, without the environment of whoever checks it. The error is of type Faults when the
// file could be read and something in it is wrong.
func Check(file string) error {
	_, err := Load(Options{File: file})
	return err
}

func (o Options) withDefaults() Options {
	if o.DefaultName == "" {
		// Without a host name the name still has a default of its own.
		hostname, _ := os.Hostname()
		o.DefaultName = defaultName(hostname)
	}
	if o.DefaultDataDir == "" {
		// Without a home directory there is no default; complete reports that when nothing else sets one.
		o.DefaultDataDir, _ = DefaultDataDir()
	}
	return o
}

func loadFile(path string, r *report) (map[string]any, error) {
	if path == "" {
		return nil, nil
	}
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	reader := fileReader{name: path, report: r}
	return reader.read(data), nil
}

// merge lays the levels over each other, lowest first, and decodes the result.
func merge(levels ...map[string]any) (Config, error) {
	k := koanf.New(".")
	for _, level := range levels {
		// An empty delimiter keeps keys with dots in a plugin's config as they are.
		if err := k.Load(confmap.Provider(level, ""), nil); err != nil {
			return Config{}, err
		}
	}
	var cfg Config
	err := k.UnmarshalWithConf("", &cfg, koanf.UnmarshalConf{DecoderConfig: &mapstructure.DecoderConfig{
		TagName:     "yaml",
		ErrorUnused: true,
		Result:      &cfg,
		DecodeHook:  mapstructure.StringToTimeDurationHookFunc(),
	}})
	return cfg, err
}

// tree turns a Config into nested maps with the keys of a file.
func tree(cfg Config) (map[string]any, error) {
	data, err := yaml.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	var out map[string]any
	return out, yaml.Unmarshal(data, &out)
}

// vacate takes the default instances out of the roles that no level sets, where they do not exist or are of another kind:
// a file that lists plugins of its own need not say that it does without the default ones.
func (c *Config) vacate(levels ...map[string]any) {
	isSet := func(path ...string) bool {
		return slices.ContainsFunc(levels, func(level map[string]any) bool { return valueAt(level, path) != nil })
	}
	if p, ok := c.Plugins[c.Blobs.Store]; !isSet("blobs", "store") && (!ok || p.Kind != KindBlobStore) {
		c.Blobs.Store = ""
	}
	if !isSet("discovery") {
		c.Discovery = slices.DeleteFunc(c.Discovery, func(name string) bool { return c.Plugins[name].Kind != KindDiscovery })
	}
}

// complete fills in what depends on other values and makes every path absolute.
func (c *Config) complete(opts Options, r *report) {
	if c.Node.Name == "" {
		c.Node.Name = opts.DefaultName
	}
	if c.Node.DataDir == "" {
		c.Node.DataDir = opts.DefaultDataDir
	}
	if c.Node.DataDir == "" {
		r.key(keyDataDir, "there is no home directory to derive a default from; set node.data_dir or --data")
		return
	}
	resolve(&c.Node.DataDir, keyDataDir, r)
	if c.Identity.Dir == "" {
		c.Identity.Dir = filepath.Join(c.Node.DataDir, "identity")
	}
	resolve(&c.Identity.Dir, keyIdentityDir, r)
	for name, p := range c.Plugins {
		if strings.HasPrefix(p.Path, "~/") {
			resolve(&p.Path, []string{"plugins", name, "path"}, r)
			c.Plugins[name] = p
		}
	}
}

var (
	keyDataDir     = []string{"node", "data_dir"}
	keyIdentityDir = []string{"identity", "dir"}
)

func resolve(path *string, key []string, r *report) {
	abs, err := absolute(*path)
	if err != nil {
		r.key(key, "%v", err)
		return
	}
	*path = abs
}
