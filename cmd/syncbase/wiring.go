package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/hashicorp/go-hclog"

	"github.com/syncbase/syncbase/host"
	"github.com/syncbase/syncbase/plugins/blobstore-fs/blobstorefs"
	"github.com/syncbase/syncbase/plugins/discovery-mdns/discoverymdns"
	"github.com/syncbase/syncbase/sdk/client"
	"github.com/syncbase/syncbase/sdk/plugin"
)

// This file is all that the program knows of the daemon: the commands that run one or work on its files, and the plugins
// that it brings along.

// What to do about a damaged store, and where it cannot be repaired.
const (
	whatNow   = host.WhatNow
	otherwise = host.Otherwise
)

// serve runs a daemon until the context ends and everything is closed.
func serve(ctx context.Context, opts serveOptions) error {
	cfg, err := host.LoadConfig(opts.sources())
	if err != nil {
		return err
	}
	host.BoundMemory(cfg)
	h, err := host.New(host.Options{Config: cfg, Version: opts.version, Log: logger(cfg.Log.Level, cfg.Log.Format, opts.log)})
	if err != nil {
		return err
	}
	me, err := host.ShowIdentity(cfg.Identity.Dir)
	if err != nil {
		return fmt.Errorf("%w; %w", err, h.Close())
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	select {
	case <-h.Ready():
		r := running{dataDir: cfg.Node.DataDir, socket: h.Socket(), principal: string(me.Principal)}
		if addresses := h.PeerAddresses(); len(addresses) > 0 {
			r.peerAddress = addresses[0]
		}
		opts.ready(r)
		return <-ended
	case err := <-ended:
		return err
	}
}

func (o serveOptions) sources() host.ConfigSources {
	return host.ConfigSources{File: o.configFile, Environ: o.environ, Flags: o.flags}
}

func logger(level, format string, out io.Writer) hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{
		Name: "syncbase", Level: hclog.LevelFromString(level), JSONFormat: format == "json", Output: out,
	})
}

// configPrint gives the effective configuration as YAML and as JSON, secrets masked.
func configPrint(opts serveOptions) (text []byte, object json.RawMessage, err error) {
	cfg, err := host.LoadConfig(opts.sources())
	if err != nil {
		return nil, nil, err
	}
	if text, err = host.PrintConfig(cfg); err != nil {
		return nil, nil, err
	}
	object, err = host.PrintConfigJSON(cfg)
	return text, object, err
}

// configCheck validates a file by itself; the error lists all faults.
func configCheck(file string) error { return host.CheckConfig(file) }

// defaultDataDir is where a daemon keeps its data when nothing is said.
func defaultDataDir() (string, error) { return host.DefaultDataDir() }

// restoreStore makes the store of a data directory from a backup.
func restoreStore(ctx context.Context, backup, dataDir string) (restored, error) {
	r, err := host.RestoreStore(ctx, backup, dataDir)
	return restored{
		copied: copied{Directory: dataDir, Backup: client.Backup{Files: uint64(r.Files), Bytes: uint64(r.Bytes)}},
		Owners: append([]string{}, r.Owners...), Identity: r.Identity,
	}, err
}

// checkStore looks through the store of a data directory that no daemon has open.
func checkStore(ctx context.Context, dataDir string, steps func(doing string, done, of int), report func(findingObject)) (client.Checkup, error) {
	opts := host.CheckOptions{Progress: func(p host.Progress) { steps(p.Doing, p.Done, p.Of) }}
	sum, err := host.CheckStore(ctx, dataDir, opts, func(f host.Finding) { report(findingOf(f)) })
	return checkupOf(sum), err
}

// repairStore mends the store of a data directory that no daemon has open.
func repairStore(ctx context.Context, dataDir string, acceptLoss bool, steps func(doing string, done, of int), report func(findingObject)) (repairObject, error) {
	opts := host.RepairOptions{AcceptLoss: acceptLoss, Progress: func(p host.Progress) { steps(p.Doing, p.Done, p.Of) }}
	r, err := host.RepairStore(ctx, dataDir, opts, func(f host.Finding) {
		found := findingOf(f)
		found.Repaired = &f.Repaired
		report(found)
	})
	return repairObject{Repaired: r.Repaired, Copy: r.Copy, Saved: r.Saved, Blind: r.Blind, checkupObject: checkupObject(checkupOf(r.Left))}, err
}

func findingOf(f host.Finding) findingObject {
	return findingObject{Database: f.Database, Rule: f.Rule, Key: hex.EncodeToString(f.Key), Text: f.Text, Remedy: f.Remedy, Loses: f.Loses}
}

func checkupOf(sum host.Checkup) client.Checkup {
	return client.Checkup{
		Databases: uint64(sum.Databases), Collections: uint64(sum.Collections), Rows: uint64(sum.Rows), Tombstones: uint64(sum.Tombstones),
		Records: uint64(sum.Records), Commits: uint64(sum.Commits), Findings: uint64(sum.Findings),
	}
}

func factsOf(dir string, i host.IdentityInfo) identityFacts {
	return identityFacts{
		Principal: string(i.Principal), Owner: string(i.Owner), TrustDomain: i.TrustDomain, NotAfter: i.Expires,
		Authority: i.Authority, Trusted: append([]string{}, i.Trusted...), Dir: dir,
	}
}

// haveIdentity keeps commands that look at an identity from making one.
func haveIdentity(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "key.pem")); err != nil {
		return fmt.Errorf("%w: no identity in %s; make one with 'syncbase identity init NAME', or start the daemon once", client.ErrNotFound, dir)
	}
	return nil
}

func identityShow(dir string) (identityFacts, error) {
	if err := haveIdentity(dir); err != nil {
		return identityFacts{}, err
	}
	i, err := host.ShowIdentity(dir)
	return factsOf(dir, i), err
}

func identityInit(dir, name string) (identityFacts, error) {
	i, err := host.InitIdentity(dir, name)
	return factsOf(dir, i), err
}

func identityIssue(dir, name, out string) (principal string, err error) {
	if err := haveIdentity(dir); err != nil {
		return "", err
	}
	return host.IssueIdentity(dir, name, out)
}

func identityTrust(dir, file string) (trustDomain string, err error) {
	if err := haveIdentity(dir); err != nil {
		return "", err
	}
	return host.TrustIdentity(dir, file)
}

// bundled are the plugins that the program brings along.
func bundled() []plugin.Spec {
	return []plugin.Spec{blobstorefs.Plugin(version()), discoverymdns.Plugin(version())}
}

// runPlugin serves a bundled plugin and does not return.
func runPlugin(args []string) {
	if len(args) != 2 || args[0] != "plugin" {
		fmt.Fprintf(os.Stderr, "syncbase: started as a plugin with the arguments %q, want: plugin NAME\n", args)
		os.Exit(exitUsage)
	}
	plugin.Dispatch(args[1], bundled()...)
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
