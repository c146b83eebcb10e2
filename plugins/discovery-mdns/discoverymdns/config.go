package discoverymdns

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/syncbase/syncbase/sdk/plugin"
	"github.com/syncbase/syncbase/sdk/plugin/discovery"
)

const (
	defaultQueryInterval = "10s"
	minQueryInterval     = 100 * time.Millisecond
	maxQueryInterval     = time.Hour
	// leaseIntervals is how many query intervals a sighting outlives the last packet.
	leaseIntervals = 3
	// maxLinks bounds the interfaces in use.
	maxLinks = 32
)

// Config is the configuration of an instance.
type Config struct {
	Interfaces      []string `json:"interfaces" doc:"Names of the network interfaces to use; by default all that are up and know multicast, or the loopback interface if there is none."`
	IncludeLoopback bool     `json:"include_loopback" doc:"Use the loopback interface too, to find other daemons of this machine."`
	QueryInterval   string   `json:"query_interval" doc:"How often to ask who is there, such as 10s; a node is given up after three of it."`
}

// Validate refuses what cannot work anywhere.
func (c Config) Validate() error {
	if _, err := c.interval(); err != nil {
		return err
	}
	if n := len(c.Interfaces); n > maxLinks {
		return &plugin.ConfigError{Path: "/interfaces", Summary: fmt.Sprintf("%d interfaces; at most %d are allowed", n, maxLinks)}
	}
	for i, name := range c.Interfaces {
		if name == "" {
			return &plugin.ConfigError{Path: fmt.Sprintf("/interfaces/%d", i), Summary: "the name is empty"}
		}
		if slices.Contains(c.Interfaces[:i], name) {
			return &plugin.ConfigError{Path: fmt.Sprintf("/interfaces/%d", i), Summary: fmt.Sprintf("%q is there twice", name)}
		}
	}
	return nil
}

func (c Config) interval() (time.Duration, error) {
	d, err := time.ParseDuration(c.QueryInterval)
	if err != nil || d < minQueryInterval || d > maxQueryInterval {
		return 0, &plugin.ConfigError{
			Path:    "/query_interval",
			Summary: fmt.Sprintf("%q is not a duration from %v to %v", c.QueryInterval, minQueryInterval, maxQueryInterval),
			Detail:  "write it like 10s or 1m",
		}
	}
	return d, nil
}

// Plugin is multicast DNS as a whole plugin, for its own main and for programs that bundle it.
func Plugin(version string) plugin.Spec {
	return plugin.Spec{Name: "discovery-mdns", Version: version, Kinds: []plugin.Kind{Kind()}}
}

// Kind is multicast DNS as a kind of plugin.
func Kind() plugin.Kind {
	return discovery.Kind(open).WithConfig(Config{QueryInterval: defaultQueryInterval})
}

func open(_ context.Context, setup plugin.Setup) (discovery.Plugin, error) {
	config := Config{QueryInterval: defaultQueryInterval}
	if err := setup.Decode(&config); err != nil {
		return nil, err
	}
	interval, err := config.interval()
	if err != nil {
		return nil, err
	}
	return start(interval, system(config), setup.Log), nil
}
