package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/syncbase/syncbase/plugins/blobstore-fs/blobstorefs"
	"github.com/syncbase/syncbase/plugins/discovery-mdns/discoverymdns"
	"github.com/syncbase/syncbase/sdk/plugin"
)

// What the command line takes from package host. Nothing else in this program knows the daemon.
var (
	// serve runs a daemon until the context ends and everything is closed.
	serve func(context.Context, serveOptions) error = notYet2

	// configCheck validates a file by itself; the error lists all faults.
	configCheck func(file string) error = func(string) error { return errNotYet }
	// configPrint gives the effective configuration as YAML, secrets masked.
	configPrint func(serveOptions) ([]byte, error) = func(serveOptions) ([]byte, error) { return nil, errNotYet }
	// defaultDataDir is where a daemon keeps its data when nothing is said.
	defaultDataDir func() (string, error) = func() (string, error) {
		home, err := os.UserHomeDir()
		return filepath.Join(home, ".local", "share", "syncbase"), err
	}

	// The functions on identities work on a directory, without a daemon.
	identityShow  func(dir string) (identityFacts, error)                                                     = func(string) (identityFacts, error) { return identityFacts{}, errNotYet }
	identityInit  func(dir, name string) (identityFacts, error)                                               = func(_, _ string) (identityFacts, error) { return identityFacts{}, errNotYet }
	identityIssue func(dir, name, out string) (principal string, err error)                                   = func(_, _, _ string) (string, error) { return "", errNotYet }
	identityTrust func(dir, file string) (trustDomain string, err error)                                      = func(_, _ string) (string, error) { return "", errNotYet }
	checkPlugin   func(ctx context.Context, path string, config []byte, report func(checkResult) error) error = func(context.Context, string, []byte, func(checkResult) error) error { return errNotYet }
)

var errNotYet = errors.New("not wired")

func notYet2(context.Context, serveOptions) error { return errNotYet }

// runPlugin serves a bundled plugin and does not return.
func runPlugin(args []string) {
	if len(args) != 2 || args[0] != "plugin" {
		fmt.Fprintf(os.Stderr, "syncbase: started as a plugin with the arguments %q, want: plugin NAME\n", args)
		os.Exit(exitUsage)
	}
	plugin.Dispatch(args[1], blobstorefs.Plugin(version()), discoverymdns.Plugin(version()))
}

// release is set by the linker in releases.
var release string

// version is the release, or what the build knows of itself.
func version() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}
