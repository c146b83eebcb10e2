package host

import (
	"github.com/syncbase/syncbase/host/internal/conf"
	"github.com/syncbase/syncbase/host/internal/identity"
)

// Config is the effective configuration of a daemon.
type Config = conf.Config

// PluginConfig is one configured plugin instance.
type PluginConfig = conf.Plugin

// ConfigSources says where a configuration comes from.
type ConfigSources = conf.Options

// ConfigFaults is everything that is wrong with a configuration.
type ConfigFaults = conf.Faults

// LoadConfig returns the effective configuration.
func LoadConfig(sources ConfigSources) (Config, error) { return conf.Load(sources) }

// CheckConfig validates a file and returns ConfigFaults when something in it is wrong.
func CheckConfig(file string) error { return conf.Check(file) }

// PrintConfig returns the configuration as YAML with secrets masked.
func PrintConfig(c Config) ([]byte, error) { return conf.Print(c) }

// PrintConfigJSON returns the configuration as a JSON object with secrets masked.
func PrintConfigJSON(c Config) ([]byte, error) { return conf.PrintJSON(c) }

// DefaultDataDir is where the daemon of this user keeps its data.
func DefaultDataDir() (string, error) { return conf.DefaultDataDir() }

// IdentityInfo describes the identity of a daemon.
type IdentityInfo = identity.Description

// ShowIdentity describes the identity in a directory.
func ShowIdentity(dir string) (IdentityInfo, error) {
	i, err := identity.Open(dir, identity.Options{})
	if err != nil {
		return IdentityInfo{}, err
	}
	return i.Describe(), nil
}

// InitIdentity makes a new trust domain in a directory, with a device of this name as its authority.
func InitIdentity(dir, name string) (IdentityInfo, error) {
	i, err := identity.Init(dir, name, identity.Options{})
	if err != nil {
		return IdentityInfo{}, err
	}
	return i.Describe(), nil
}

// IssueIdentity makes an identity for another device of the same owner, in a directory that can be carried there.
func IssueIdentity(dir, name, out string) (principal string, err error) {
	i, err := identity.Open(dir, identity.Options{})
	if err != nil {
		return "", err
	}
	p, err := i.Issue(name, out)
	return string(p), err
}

// TrustIdentity makes the identity in a directory believe another authority, and returns that authority's domain.
func TrustIdentity(dir, file string) (domain string, err error) {
	i, err := identity.Open(dir, identity.Options{})
	if err != nil {
		return "", err
	}
	return i.Trust(file)
}
