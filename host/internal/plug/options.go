package plug

import (
	"errors"
	"math/rand/v2"
	"path/filepath"
	"time"

	hclog "github.com/hashicorp/go-hclog"

	"github.com/syncbase/syncbase/host/internal/plug/runner"
)

// Options configure a Host.
type Options struct {
	// RunDir holds the sockets of plugins. It must be private to this host and its path short; see runner.CheckRunDir.
	RunDir string
	// DataDir holds one directory for each instance.
	DataDir string
	// Log receives what the host has to say and what plugins write. Default: nothing is logged.
	Log hclog.Logger
	// HostVersion is told to plugins, for their logs.
	HostVersion string
	// Self is how this executable is run again as a bundled plugin: its path and first arguments, to which
	// "plugin <name>" is added. Default: the running executable.
	Self []string
	// DrainGrace is how long calls in flight may take when a process is stopped. Default: 10 s.
	DrainGrace time.Duration
	// Events are told what operators want to know. The functions must return soon. Default: nobody is told.
	Events Events
	// Now is the clock of the supervisors. Default: time.Now.
	Now func() time.Time
	// Rand yields numbers in [0, 1) that spread restarts. Default: math/rand/v2.
	Rand func() float64
}

// Events are called by the goroutine of the instance.
type Events struct {
	// Ready is called each time a process of the instance can be used.
	Ready func(name string)
	// Down is called each time a process of the instance has ended or could not be started, and why.
	Down func(name, reason string)
	// CrashLoop is called when an instance was restarted five times within a minute, once until it has been ready for a
	// minute.
	CrashLoop func(name, reason string)
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	if o.DrainGrace == 0 {
		o.DrainGrace = 10 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	if o.Events.Ready == nil {
		o.Events.Ready = func(string) {}
	}
	if o.Events.Down == nil {
		o.Events.Down = func(string, string) {}
	}
	if o.Events.CrashLoop == nil {
		o.Events.CrashLoop = func(string, string) {}
	}
	return o
}

// Validate lists all faults of the options.
func (o Options) Validate() error {
	var faults []error
	if err := runner.CheckRunDir(o.RunDir); err != nil {
		faults = append(faults, err)
	}
	if !filepath.IsAbs(o.DataDir) {
		faults = append(faults, errors.New("data directory must be an absolute path"))
	}
	if o.DrainGrace < 0 {
		faults = append(faults, errors.New("drain grace must not be negative"))
	}
	if len(o.Self) > 0 && !filepath.IsAbs(o.Self[0]) {
		faults = append(faults, errors.New("self must start with an absolute path"))
	}
	return errors.Join(faults...)
}
