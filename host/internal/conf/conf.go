// Package conf turns a configuration file, the environment and flags into one plain value, Config, and refuses
// whatever it does not understand.
//
// Precedence, lowest first: embedded defaults, the file, environment variables, flags. A variable is named
// SYNCBASE_ and the key in upper case with two underscores between levels, so that
// SYNCBASE_PLUGINS__PHOTOS__CONFIG__BUCKET reaches plugins.photos.config.bucket. A variable holds a
// list as its items with commas between them.
//
// It guarantees that a Config it returns is complete (every default is filled in), that roles name instances of the
// right kind, and that nothing was ignored: an unknown key, a wrong type, a duplicate, a misspelt variable are all
// reported together, each with the place it came from. It is the only importer of koanf and must know nothing of
// plugins beyond their kind: what stands below plugins.NAME.config is passed on untouched.
//
// Read first: Config, Load, Fault.
package conf

import (
	"strings"
	"time"
)

// Config is the effective configuration. It is a plain value: whoever holds it may copy it, and nobody needs to know
// where its parts came from.
type Config struct {
	Node     Node              `yaml:"node"`
	Identity Identity          `yaml:"identity"`
	Plugins  map[string]Plugin `yaml:"plugins"`
	Blobs    Blobs             `yaml:"blobs"`
	// Discovery names the discovery instances to listen to. Unless set it is "lan", where there is such an instance.
	Discovery []string `yaml:"discovery"`
	Store     Store    `yaml:"store"`
	Memory    Memory   `yaml:"memory"`
	Sync      Sync     `yaml:"sync"`
	Clock     Clock    `yaml:"clock"`
	Log       Log      `yaml:"log"`
}

// Node says who this daemon is, where its data lies and where it can be reached.
type Node struct {
	// Name is what people and other daemons call this one: 1 to 63 letters, digits, '.', '_' or '-'.
	Name string `yaml:"name"`
	// DataDir is the absolute directory of the store, the socket and, by default, the identity.
	DataDir string `yaml:"data_dir"`
	// Listen holds host:port addresses for peers; port 0 takes a free one. Empty: this daemon only dials.
	Listen []string `yaml:"listen"`
	// Peers holds host:port addresses of daemons to connect to besides those that discovery finds.
	Peers []string `yaml:"peers"`
	HTTP  HTTP     `yaml:"http"`
}

// Identity says where the key, certificate and trust bundle of this daemon lie.
type Identity struct {
	// Dir is absolute; the default is the directory "identity" in the data directory.
	Dir string `yaml:"dir"`
}

// Plugin is one plugin instance: a process, and what it is told.
type Plugin struct {
	Kind Kind `yaml:"kind"`
	// Path is an absolute path, PathSelf for the bundled plugin of the kind, or PathSelf and "/NAME" for another one.
	Path string `yaml:"path"`
	// SHA256 pins the executable: "sha256:" and 64 hexadecimal digits. Empty with PathSelf.
	SHA256 string `yaml:"sha256,omitempty"`
	// AllowUnpinned lets an executable run without a pin, for those who develop a plugin.
	AllowUnpinned bool `yaml:"allow_unpinned,omitempty"`
	// Args are passed to the executable; a bundled plugin takes none.
	Args []string `yaml:"args,omitempty"`
	// Env is added to the minimal environment that plugins get.
	Env map[string]string `yaml:"env,omitempty"`
	// Required makes the daemon refuse to start when this plugin does not get ready.
	Required bool `yaml:"required"`
	// Config is the plugin's own; ConfigJSON gives it in the form that the plugin receives.
	Config map[string]any `yaml:"config,omitempty"`
}

// Kind is what a plugin does.
type Kind string

// The kinds of plugin a daemon knows.
const (
	KindBlobStore Kind = "blobstore"
	KindDiscovery Kind = "discovery"
	KindResolver  Kind = "resolver"
)

// PathSelf as a plugin's path means bundled: the daemon runs its own executable as the plugin.
const PathSelf = "self"

// Bundled tells whether the plugin is the daemon's own executable.
func (p Plugin) Bundled() bool { return p.Path == PathSelf || strings.HasPrefix(p.Path, PathSelf+"/") }

// Blobs assigns the roles of blob storage to instances.
type Blobs struct {
	// Store names the blobstore instance that keeps blob bytes. Empty: this daemon keeps no blobs. Unless set
	// it is "disk", where there is such an instance.
	Store string `yaml:"store"`
	// Cache names a second blobstore instance, nearer than Store, that may forget. Empty: none.
	Cache string `yaml:"cache"`
}

// Store says how the store of rows is kept.
type Store struct {
	History History `yaml:"history"`
}

// History is what is kept of rows beside their present values: versions that were superseded, and the list of commits that
// watches resume from.
type History struct {
	// Keep is how long it is kept, within MaxMiB.
	Keep time.Duration `yaml:"keep"`
	// MaxMiB is about how much is kept of each database; the oldest goes first, however young it is.
	MaxMiB int `yaml:"max_mib"`
}

// Memory bounds what the daemon holds in memory, its plugins not counted.
type Memory struct {
	// MaxMiB is about how much is resident at the most. A quarter of it caches what lies on the disk.
	MaxMiB int `yaml:"max_mib"`
}

// Sync paces the exchange with peers.
type Sync struct {
	// Interval is how often a peer is asked what it holds: the safety net below the pulls that are held open. While nothing is
	// lacking it grows to eight times as long.
	Interval time.Duration `yaml:"interval"`
}

// Clock says where to learn what time it is, beside the clock of the machine.
type Clock struct {
	// Servers are time servers (NTP) as host or host:port, asked one after the other until one answers. Empty: none is
	// asked, and the machine's clock is believed unless a peer has asked one.
	Servers []string `yaml:"servers"`
	// Interval is how often they are asked.
	Interval time.Duration `yaml:"interval"`
	// Development lets the owner shift the clock by which the daemon stamps what it writes, to test what time does.
	Development bool `yaml:"development"`
}

// Log says how much is logged, and in which form.
type Log struct {
	// Level is one of trace, debug, info, warn, error.
	Level string `yaml:"level"`
	// Format is text or json.
	Format string `yaml:"format"`
}
