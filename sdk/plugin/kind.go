package plugin

import (
	"context"
	"errors"

	hclog "github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
)

// Setup is what the host gives to one instance of a plugin. A plugin process serves exactly one instance.
type Setup struct {
	// Config is the instance's configuration: a JSON object that has passed the checks of the kind's configuration type.
	Config []byte
	// DataDir belongs to this instance alone; it exists and is private to the user.
	DataDir string
	// Instance is the name in the host's configuration, for messages.
	Instance string
	// FrameBytes is the largest payload that one frame of a stream may carry.
	FrameBytes int
	// Log goes to the host's log under the name of the instance. It is never nil.
	Log hclog.Logger
}

// Decode reads the configuration into v, a pointer to a struct; see [Decode].
func (s Setup) Decode(v any) error { return Decode(s.Config, v) }

// Kind ties the author's implementation of one kind to the gRPC service that the host calls. Authors get theirs from a
// kind's package, such as blobstore.Kind; only who writes the package of a new kind fills in the fields.
type Kind struct {
	// Service is the full name of the gRPC service.
	Service string
	// Revision counts the additions within the version of the service.
	Revision uint32
	// Features are optional abilities of this implementation.
	Features []string
	// Config is a value of the configuration's struct type, holding the defaults; nil when the plugin takes none.
	Config any
	// Exclusive says that two processes must not hold the same configuration at the same time.
	Exclusive bool
	// Open makes the author's implementation. It runs within Configure; the context ends with that call. The returned
	// value may also implement Reconfigurer, HealthChecker and io.Closer.
	Open func(ctx context.Context, setup Setup) (any, error)
	// Register adds the service to a server. The function live gives what Open returned; it must only be called from
	// within a call of the service.
	Register func(r grpc.ServiceRegistrar, live func() Live)
	// Endless reports whether calls of the method, named in full, last until somebody ends them, so that draining ends
	// them at once instead of waiting for them.
	Endless func(method string) bool
}

// Live is a configured implementation.
type Live struct {
	Instance any
	Setup    Setup
}

// WithConfig declares the type and the defaults of the configuration: a struct with `json` tags, and `doc` tags that
// end up in the schema. If it has a method Validate() error, that method judges values that decode well.
func (k Kind) WithConfig(defaults any) Kind {
	k.Config = defaults
	return k
}

// WithFeatures adds optional abilities that the kind's protocol names.
func (k Kind) WithFeatures(features ...string) Kind {
	k.Features = append(append([]string(nil), k.Features...), features...)
	return k
}

// AsExclusive declares that two processes must not hold the same configuration at the same time: on replacement the host
// stops the old one before it starts the new one.
func (k Kind) AsExclusive() Kind {
	k.Exclusive = true
	return k
}

// Reconfigurer is implemented by an instance that can take a new configuration while it works. It may answer
// ErrRestartRequired, which is also what the host is told of instances without this method.
type Reconfigurer interface {
	Reconfigure(ctx context.Context, setup Setup) error
}

// HealthChecker is implemented by an instance that can tell more than that its process answers. It must take the same
// locks as real work and return within a second: nil for healthy, an error that wraps ErrDegraded for working with
// limits, any other error for not working.
type HealthChecker interface {
	Health(ctx context.Context) error
}

var (
	// ErrRestartRequired is returned by Reconfigure when only a new process can take the configuration.
	ErrRestartRequired = errors.New("plugin: the new configuration needs a new process")
	// ErrDegraded is wrapped by the result of Health when the instance works, but not as it should.
	ErrDegraded = errors.New("degraded")
)
