package plug

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	blobstorev1 "github.com/syncbase/syncbase/sdk/api/blobstore/v1"
	discoveryv1 "github.com/syncbase/syncbase/sdk/api/discovery/v1"
	resolverv1 "github.com/syncbase/syncbase/sdk/api/resolver/v1"
	sdk "github.com/syncbase/syncbase/sdk/plugin"

	"github.com/syncbase/syncbase/host/internal/plug/runner"
)

// Kind is what a plugin is for.
type Kind string

// The kinds a host knows.
const (
	KindBlobStore Kind = "blobstore"
	KindDiscovery Kind = "discovery"
	KindResolver  Kind = "resolver"
)

// kinds holds what the catalog has to know about each kind.
var kinds = map[Kind]struct {
	service string // full name of the gRPC service
	bundled string // what `path: self` means; empty if nothing is bundled
}{
	KindBlobStore: {blobstorev1.BlobStoreService_ServiceDesc.ServiceName, "blobstore-fs"},
	KindDiscovery: {discoveryv1.DiscoveryService_ServiceDesc.ServiceName, "discovery-mdns"},
	KindResolver:  {resolverv1.ResolverService_ServiceDesc.ServiceName, ""},
}

// Instance is one entry of the catalog: a plugin, its configuration, and the process they run in.
type Instance struct {
	// Name is unique among the instances: a lower-case letter, then up to 31 of [a-z0-9_].
	Name string
	Kind Kind
	// Path is "self" for the bundled plugin of the kind, "self/<name>" for another bundled one, or the absolute path of
	// an executable.
	Path string
	// Args are passed to an executable; a bundled plugin takes none.
	Args []string
	// SHA256 is "sha256:" and the digest of the executable. Required unless the plugin is bundled or AllowUnpinned.
	SHA256 string
	// AllowUnpinned lets an executable run that has no SHA256.
	AllowUnpinned bool
	// Env is added to the few variables that a plugin inherits.
	Env map[string]string
	// Config is a JSON object; empty means {}.
	Config json.RawMessage
	// Required says that the node is not ready without this instance. The host only reports it.
	Required bool
}

var (
	nameRE    = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)
	bundledRE = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)
	envRE     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

const self = "self"

// Check lists all faults that can be found without running the plugin.
func (in Instance) Check() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }

	if !nameRE.MatchString(in.Name) {
		fault("name %q: want a lower-case letter and then up to 31 of a-z, 0-9 and _", in.Name)
	}
	if _, ok := kinds[in.Kind]; !ok {
		fault("kind %q: want blobstore, discovery or resolver", in.Kind)
	}
	if err := in.checkPath(); err != nil {
		faults = append(faults, err)
	}
	if _, err := runner.ParsePin(in.SHA256); err != nil {
		faults = append(faults, err)
	}
	for _, name := range slices.Sorted(maps.Keys(in.Env)) {
		if !envRE.MatchString(name) || strings.HasPrefix(name, "PLUGIN_") || strings.ContainsRune(in.Env[name], 0) {
			fault("env %q: want a variable name that does not start with PLUGIN_, and a value without zero bytes", name)
		}
	}
	if _, err := in.config(); err != nil {
		faults = append(faults, err)
	}
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("plugin %q: %w", in.Name, errors.Join(faults...))
}

func (in Instance) checkPath() error {
	if name, ok := in.bundled(); ok {
		switch {
		case name == "":
			return fmt.Errorf("path %q: no plugin of kind %q is bundled; name an executable", in.Path, in.Kind)
		case !bundledRE.MatchString(name):
			return fmt.Errorf("path %q: %q is not the name of a bundled plugin", in.Path, name)
		case len(in.Args) > 0:
			return errors.New("args: a bundled plugin takes none; use config")
		}
		return nil
	}
	if !filepath.IsAbs(in.Path) {
		return fmt.Errorf(`path %q: want "self" or an absolute path`, in.Path)
	}
	if in.SHA256 == "" && !in.AllowUnpinned {
		return fmt.Errorf("sha256 is missing: pin %s with the output of sha256sum as \"sha256:...\", or set allow_unpinned", in.Path)
	}
	return nil
}

// bundled returns the name of the bundled plugin that the path means, if it means one.
func (in Instance) bundled() (string, bool) {
	if in.Path == self {
		return kinds[in.Kind].bundled, true
	}
	return strings.CutPrefix(in.Path, self+"/")
}

// config returns the configuration in compact form.
func (in Instance) config() ([]byte, error) {
	if len(in.Config) == 0 {
		return []byte("{}"), nil
	}
	if len(in.Config) > sdk.MaxConfigBytes {
		return nil, fmt.Errorf("config has %d bytes, more than %d", len(in.Config), sdk.MaxConfigBytes)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(in.Config, &object); err != nil || object == nil {
		return nil, errors.New("config: want a JSON object")
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, in.Config); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return compact.Bytes(), nil
}

// spec is a checked Instance in the form in which a process is run.
type spec struct {
	Instance
	json    []byte
	command runner.Command // without environment
	// process and config tell apart what needs a new process from what may only need a new Configure.
	process, config [sha256.Size]byte
}

// same reports whether a process of this spec is what the other one asks for.
func (sp spec) same(other spec) bool { return sp.process == other.process && sp.config == other.config }

func (o Options) spec(in Instance) (spec, error) {
	if err := in.Check(); err != nil {
		return spec{}, err
	}
	sp := spec{Instance: in}
	var err error
	if sp.json, err = in.config(); err != nil {
		return spec{}, err
	}
	if sp.command, err = o.command(in); err != nil {
		return spec{}, fmt.Errorf("plugin %q: %w", in.Name, err)
	}
	sp.config = sha256.Sum256(sp.json)
	sp.process = sha256.Sum256(fmt.Appendf(nil, "%q %q %q %v %q", in.Kind, sp.command.Path, sp.command.Args, sp.command.Pin, sortedEnv(in.Env)))
	return sp, nil
}

func sortedEnv(env map[string]string) []string {
	pairs := make([]string, 0, len(env))
	for name, value := range env {
		pairs = append(pairs, name+"="+value)
	}
	slices.Sort(pairs)
	return pairs
}

func (o Options) command(in Instance) (runner.Command, error) {
	pin, err := runner.ParsePin(in.SHA256)
	if err != nil {
		return runner.Command{}, err
	}
	name, ok := in.bundled()
	if !ok {
		return runner.Command{Path: in.Path, Args: in.Args, Pin: pin}, nil
	}
	argv := o.Self
	if len(argv) == 0 {
		if argv, err = ownArgv(); err != nil {
			return runner.Command{}, err
		}
	}
	args := append(slices.Clone(argv[1:]), "plugin", name)
	return runner.Command{Path: argv[0], Argv0: o.selfName(), Args: args, Pin: pin}, nil
}

// ownArgv names the running executable. On Linux that is the very file this process was started from, even if another
// version lies at its path by now.
func ownArgv() ([]string, error) {
	if runtime.GOOS == "linux" {
		return []string{"/proc/self/exe"}, nil
	}
	path, err := os.Executable()
	return []string{path}, err
}

func (o Options) selfName() string {
	if len(o.Self) > 0 {
		return o.Self[0]
	}
	if path, err := os.Executable(); err == nil {
		return path
	}
	return os.Args[0]
}
