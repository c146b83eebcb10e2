// Package arch holds the import graph of the module against the picture in ARCHITECTURE.md, so that the picture stays
// true.
//
// It guarantees nothing by itself: its test runs the checks over `go list`. It must not know what any package does, only
// where it stands. To add a package, add one line to rooms, below; to allow an import that the rules refuse, add a line to
// sideways or to importers, with the reason that makes it right.
//
// Read first: rooms, sideways, importers.
package arch

// module is the path of this module.
const module = "github.com/syncbase/syncbase"

// A room is a package with everything below it. Inside a room, packages import each other as they like.
type room struct {
	path  string // below the module
	floor int    // imports between rooms go to a lower floor
	about string
}

// Floors beside the house: the sdk is below all of it and sees nothing; tests are above all of it and see everything.
const (
	floorSDK     = -1
	floorPlugins = 6
	floorMain    = 7
	floorTests   = 8
)

var rooms = []room{
	{"host/internal/id", 0, "names, versions and vectors"},
	{"host/internal/hlc", 0, "hybrid time"},
	{"host/internal/perm", 0, "principal patterns"},
	{"host/internal/like", 0, "patterns with % and _"},

	{"host/internal/delta", 1, "what to send, in which order to apply"},
	{"host/internal/history", 1, "version graph, merge base, conflicts"},
	{"host/internal/merge", 1, "policies and batch closure"},
	{"host/internal/sched", 1, "which piece of which blob from which peer"},
	{"host/internal/skew", 1, "how wrong a clock is"},
	{"host/internal/share", 1, "ownership arithmetic"},
	{"host/internal/chunk", 1, "content-defined chunks"},
	{"host/internal/wire", 1, "encodings that last"},

	{"host/internal/kv", 2, "ordered keys on disk"},
	{"host/internal/rows", 2, "databases, collections, rows, the commit log"},
	{"host/internal/acl", 2, "access lists on disk"},
	{"host/internal/blobs", 2, "recipes, packs, references, signposts"},

	{"host/internal/engine", 3, "initiator and responder"},
	{"host/internal/fetch", 3, "fetching of blobs"},
	{"host/internal/syncgroup", 3, "membership"},
	{"host/internal/resolve", 3, "who decides conflicts"},

	{"host/internal/api", 4, "the service for clients"},
	{"host/internal/conf", 4, "configuration"},
	{"host/internal/plug", 4, "plugin processes"},
	{"host/internal/discover", 4, "sightings of peers"},
	{"host/internal/peer", 4, "sessions between daemons"},
	{"host/internal/identity", 4, "keys and trust"},

	{"host", 5, "the daemon, composed"},
	{"host/hosttest", floorMain, "many daemons in one test, with the bundled plugins"},

	{"internal/strictjson", floorSDK, "JSON that is taken as it is or not at all"},

	{"sdk/api", floorSDK, "protocols and generated code"},
	{"sdk/client", floorSDK, "for authors of applications"},
	{"sdk/plugin", floorSDK, "for authors of plugins"},

	{"plugins/blobstore-fs", floorPlugins, "blobs in a directory"},
	{"plugins/blobstore-s3", floorPlugins, "blobs in a bucket"},
	{"plugins/discovery-mdns", floorPlugins, "sightings by mDNS"},

	{"cmd/syncbase", floorMain, "the binary"},

	{"test", floorTests, "end-to-end tests, simulation, benchmarks"},
}

// An edge is an import between two rooms.
type edge struct {
	from, to string
	why      string
}

// sideways are the imports that do not go down and are right all the same.
var sideways = []edge{
	{"host/internal/perm", "host/internal/id", "a pattern is held against the names of principals"},
	{"host/internal/history", "host/internal/wire", "the graph is made of the nodes that are stored and sent"},
	{"host/internal/merge", "host/internal/history", "a policy decides between the heads that the graph found in conflict"},
	{"host/internal/rows", "host/internal/kv", "the rooms of floor 2 stand on one store"},
	{"host/internal/acl", "host/internal/kv", "the rooms of floor 2 stand on one store"},
	{"host/internal/blobs", "host/internal/kv", "the rooms of floor 2 stand on one store"},
	{"host/internal/engine", "host/internal/syncgroup", "a syncgroup says who may have what; it knows nothing of how that is exchanged"},
	{"host/internal/peer", "host/internal/identity", "a session begins with a proof; identity knows nothing of sessions"},
	{"host/internal/api", "host/internal/identity", "a call begins with who calls; identity knows nothing of calls"},
	{"sdk/client", "sdk/api", "a client speaks the protocol"},
	{"sdk/plugin", "sdk/api", "a plugin speaks the protocol"},
}

// A ban refuses imports that go down and are wrong all the same.
type ban struct {
	from   func(room) bool
	to     string // the room that is not to be imported
	except []string
	why    string
}

var bans = []ban{
	{house, "sdk/api", []string{"host/internal/plug", "host/internal/api", "host/internal/peer"},
		"generated types stop at the facades, so that a change of a protocol touches one room"},
	{house, "sdk/plugin", []string{"host/internal/plug", "host"},
		"only the plugin host speaks to plugins; everyone else has an interface of its own"},
	{house, "sdk/client", nil, "the daemon is not a client of itself"},
	{isPlugin, "host", nil, "bundled plugins have no privilege that a third-party plugin lacks"},
	{isMain, "sdk/api", nil, "the command line is a thin layer over the Go client"},
}

// An importer rule keeps a library in the rooms that are made to hold it.
type importer struct {
	library string // a path, with everything below it
	allowed func(room) bool
	why     string
}

var importers = []importer{
	{"github.com/cockroachdb/pebble", only("host/internal/kv"), "swapping the store touches one room"},
	{"github.com/knadh/koanf", only("host/internal/conf"), "below conf nobody knows where a value came from"},
	{"github.com/go-viper/mapstructure", only("host/internal/conf"), "below conf nobody knows where a value came from"},
	{"go.yaml.in/yaml", only("host/internal/conf"), "configuration is the only YAML there is"},
	{"github.com/hashicorp/go-plugin", only("host/internal/plug", "sdk/plugin"), "its traps are cured in one place on each side"},
	{"github.com/minio/minio-go", only("plugins/blobstore-s3"), "the host knows objects, not where they lie"},
	{"github.com/pion/mdns", only("plugins/discovery-mdns"), "the host knows sightings, not how they come about"},
	{"github.com/beevik/ntp", only("host"), "who asks for the time is composed at the top; below it is arithmetic"},
	{"github.com/grpc-ecosystem/grpc-gateway", only("host/internal/api", "sdk/api"), "HTTP for clients is made of the protocol of clients, beside it"},
	{"github.com/spf13/cobra", only("cmd/syncbase"), "the command line is the binary's"},
	{"github.com/hashicorp/go-hclog", notFloors(0, 3), "inner rooms take a listener for events, not a logger"},
	{"google.golang.org/grpc", notFloors(0, 3), "inner rooms return errors; status codes are made at the edge"},
	{"google.golang.org/protobuf", notFloors(0, 3), "generated types stop at the facades"},
}

// pure lists what floors 0 and 1 may import besides the standard library and each other.
var pure = []edge{
	{"host/internal/chunk", "github.com/zeebo/blake3", "chunks are named by their hash, which is arithmetic, not I/O"},
	{"host/internal/wire", "github.com/zeebo/blake3", "encodings carry hashes, which are arithmetic, not I/O"},
}

// impure lists the standard packages that have no place on floors 0 and 1: the cores do no I/O.
var impure = []string{"log", "net", "os", "plugin", "runtime", "syscall", "testing"}

// chance lists the sources of randomness; on floors 0 to 2 it is an input.
var chance = []string{"crypto/rand", "math/rand", "math/rand/v2"}

// clock lists the functions of package time that read or await it; on floors 0 to 2 time is an input.
var clock = []string{"After", "AfterFunc", "NewTicker", "NewTimer", "Now", "Since", "Sleep", "Tick", "Until"}

// clocked lists the files of floors 0 to 2 that may use the clock all the same, and why.
var clocked = []edge{
	{"host/internal/kv", "compactions.go", "when a compaction is looked at again changes nothing that anybody reads; Pebble's own scheduler does it by the clock"},
}

// badNames say nothing about what a package is for.
var badNames = []string{"base", "common", "helper", "helpers", "lib", "misc", "shared", "types", "util", "utils"}

// house tells whether a room is part of the daemon.
func house(r room) bool { return r.floor >= 0 && r.floor <= 5 }

func isPlugin(r room) bool { return r.floor == floorPlugins }

func isMain(r room) bool { return r.path == "cmd/syncbase" }

func only(paths ...string) func(room) bool {
	return func(r room) bool {
		for _, p := range paths {
			if r.path == p {
				return true
			}
		}
		return r.floor == floorTests
	}
}

func notFloors(lowest, highest int) func(room) bool {
	return func(r room) bool { return r.floor < lowest || r.floor > highest }
}
