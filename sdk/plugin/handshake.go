package plugin

import (
	"context"
	"os"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

const (
	// ProtocolVersion is the version of the handshake. It stays 1 for as long as syncbase.plugin.v1 exists; kinds have
	// versions of their own.
	ProtocolVersion = 1

	// CookieKey and CookieValue form the environment variable that tells a program that it was started as a plugin. It
	// keeps people from starting plugins by hand and protects nothing.
	CookieKey   = "SYNCBASE_PLUGIN"
	CookieValue = "8f1c2b6e-syncbase-plugin-v1"

	// LogLevelKey names the environment variable with the level of the plugin's logger: trace, debug, info, warn, error.
	LogLevelKey = "SYNCBASE_PLUGIN_LOG_LEVEL"

	// ReattachKey names the environment variable in which the line printed by -debug is handed to a host.
	ReattachKey = "SYNCBASE_REATTACH"

	// ServiceSet is the one name under which both sides of go-plugin register and dispense.
	ServiceSet = "syncbase"
)

const (
	// MaxMessageBytes bounds every message in both directions.
	MaxMessageBytes = 8 << 20

	// DefaultFrameBytes is the largest payload of a stream frame unless Configure says otherwise. Larger frames gain
	// little, since HTTP/2 cuts everything into pieces of 16 KiB.
	DefaultFrameBytes = 256 << 10

	// MaxFrameBytes and MinFrameBytes bound what Configure may ask for.
	MaxFrameBytes = 4 << 20
	MinFrameBytes = 1 << 10

	// MaxConfigBytes bounds the configuration of one instance.
	MaxConfigBytes = 1 << 20
)

// Handshake is what the host and its plugins have to agree on before they talk.
func Handshake() goplugin.HandshakeConfig {
	return goplugin.HandshakeConfig{
		ProtocolVersion:  ProtocolVersion,
		MagicCookieKey:   CookieKey,
		MagicCookieValue: CookieValue,
	}
}

// HostSets is the VersionedPlugins of the host's go-plugin client. Dispensing [ServiceSet] gives the *grpc.ClientConn,
// which the host's stubs for PluginService and the kinds share.
func HostSets() map[int]goplugin.PluginSet {
	return map[int]goplugin.PluginSet{ProtocolVersion: {ServiceSet: serviceSet{}}}
}

// IsPlugin reports whether this process was started by a host as a plugin. A program that contains plugins beside other
// things asks this first thing in main; see [Dispatch].
func IsPlugin() bool { return startedAsPlugin }

// startedAsPlugin is read once, since the variable is taken out of the environment when the plugin serves.
var startedAsPlugin = os.Getenv(CookieKey) == CookieValue

// serviceSet carries all services of one plugin through go-plugin as if they were a single one.
type serviceSet struct {
	goplugin.NetRPCUnsupportedPlugin
	register func(grpc.ServiceRegistrar)
}

var _ goplugin.GRPCPlugin = serviceSet{}

func (s serviceSet) GRPCServer(_ *goplugin.GRPCBroker, server *grpc.Server) error {
	s.register(server)
	return nil
}

func (s serviceSet) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return conn, nil
}
