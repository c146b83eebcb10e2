package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"

	"github.com/spf13/cobra"
)

// serveOptions are what the command line says about the daemon; the configuration comes from the file, the environment
// and these, later ones winning.
type serveOptions struct {
	configFile string
	environ    []string
	// flags holds what was given, by the dotted key of the configuration.
	flags   map[string]any
	version string
	// log is where the daemon logs.
	log io.Writer
	// ready is told once, when clients and peers can connect.
	ready func(running)
}

// running describes a daemon that is up.
type running struct {
	dataDir, socket, peerAddress, principal string
}

func (a *app) serveCommand() *cobra.Command {
	var config, peerListen, identity string
	cmd := command("serve", "Run the daemon in the foreground", `
syncbase serve
syncbase serve --data /srv/syncbase --peer-listen 0.0.0.0:4001
syncbase serve --config /etc/syncbase/server.yaml`, cobra.NoArgs, func(ctx context.Context, _ []string) error {
		opts := serveOptions{
			configFile: config, environ: os.Environ(), flags: map[string]any{}, version: version(), log: a.err, ready: a.greet,
		}
		if err := a.overrides(opts.flags, peerListen, identity); err != nil {
			return err
		}
		if dir, given := opts.flags["identity.dir"].(string); given {
			// Making an identity where one was expected would make a stranger of a device that was to join others.
			if err := haveIdentity(dir); err != nil {
				return err
			}
		}
		defer outliveReaders()()
		err := serve(ctx, opts)
		if errors.Is(err, context.Canceled) && ctx.Err() != nil {
			return nil // a signal is how a daemon ends
		}
		return err
	})
	cmd.Long = `Run the daemon in the foreground until SIGTERM or SIGINT, on which it finishes what is under way and exits with 0.

Without a configuration it comes up on embedded defaults. Values come from the file, then from variables such as
SYNCBASE_NODE__NAME, then from flags; later ones win. 'syncbase config print' shows what is in force.`
	cmd.Flags().StringVar(&config, "config", "", "configuration file, YAML")
	cmd.Flags().StringVar(&peerListen, "peer-listen", "", "host:port where peers connect; port 0 takes a free one")
	cmd.Flags().StringVar(&identity, "identity", "", "directory of the identity (default DATA/identity)")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml")
	_ = cmd.MarkFlagDirname("identity")
	return cmd
}

// outliveReaders keeps the daemon alive when nobody reads its log any more, as behind a pager; writing then fails. The
// signal is caught, not ignored, since plugins would inherit that. What it returns ends it.
func outliveReaders() func() {
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	return func() { signal.Stop(broken) }
}

// overrides enters what flags say into the keys of the configuration.
func (a *app) overrides(flags map[string]any, peerListen, identity string) error {
	if a.data != "" {
		dir, err := a.dataDir()
		if err != nil {
			return err
		}
		flags["node.data_dir"] = dir
	}
	if peerListen != "" {
		if err := checkListen(peerListen); err != nil {
			return err
		}
		flags["node.listen"] = []string{peerListen}
	}
	if identity != "" {
		dir, err := a.identityDir(identity)
		if err != nil {
			return err
		}
		flags["identity.dir"] = dir
	}
	return nil
}

// checkListen checks the form of an address to listen at.
func checkListen(text string) error {
	_, port, err := net.SplitHostPort(text)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return usagef("--peer-listen %q: want host:port with a port from 0 to 65535, such as 0.0.0.0:4001", text)
	}
	return nil
}

// greet says where the daemon is and what to do next. Nobody need listen.
func (a *app) greet(r running) {
	var text bytes.Buffer
	defer func() { offer(a.out, text.Bytes()) }()
	if a.json() {
		_ = encoder(&text).Encode(map[string]string{
			"data_dir": r.dataDir, "socket": r.socket, "peer_address": r.peerAddress, "principal": r.principal,
		})
		return
	}
	address := ""
	if dir, err := defaultDataDir(); err != nil || dir != r.dataDir {
		address = " --data " + r.dataDir
	}
	fmt.Fprintf(&text, `Syncbase is ready as %s.
  data    %s
  socket  %s
  peers   %s

Next, in another terminal:
  syncbase%s db create notes
  syncbase%s collection create notes todo
  syncbase%s put notes todo milk '{"done": false}'
  syncbase%s status
`, r.principal, r.dataDir, r.socket, dash(r.peerAddress), address, address, address, address)
}

func (a *app) configCommand() *cobra.Command {
	var config, peerListen, identity string
	show := command("print", "Show the effective configuration, secrets masked", "syncbase config print --config server.yaml", cobra.NoArgs,
		func(context.Context, []string) error {
			opts := serveOptions{configFile: config, environ: os.Environ(), flags: map[string]any{}}
			if err := a.overrides(opts.flags, peerListen, identity); err != nil {
				return err
			}
			text, object, err := configPrint(opts)
			if err != nil {
				return err
			}
			return a.show(object, func(w io.Writer) { _, _ = w.Write(text) })
		})
	show.Flags().StringVar(&config, "config", "", "configuration file, YAML")
	check := command("check FILE", "Check a configuration file; faults are told with file and line", "syncbase config check server.yaml", cobra.ExactArgs(1),
		func(_ context.Context, args []string) error {
			if err := configCheck(args[0]); err != nil {
				return err
			}
			return a.say(map[string]string{"file": args[0], "result": "ok"}, "%s is fine", args[0])
		})
	return group("config", "Check and show configuration", check, show)
}
