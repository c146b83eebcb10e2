// Command syncbase is the one binary of Syncbase: the daemon, the command line, and every bundled plugin.
//
// The command line is a thin layer over package client: it reads words and flags, calls the daemon, and prints text for
// people or, with -o json, one object a line for scripts. Exit codes are part of its contract: 0 done, 1 failed, 2 wrong
// usage, 3 not found, 4 a check of a batch failed.
//
// Started by a daemon as a plugin, it is the bundled plugin named by its argument and nothing else. What it takes from
// the daemon's own packages is listed in wiring.go. Read main.go, app.go and wiring.go first.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/syncbase/syncbase/sdk/plugin"
)

func main() {
	if plugin.IsPlugin() {
		runPlugin(os.Args[1:])
	}
	os.Exit(realMain())
}

func realMain() int {
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	defer stop()
	// Who asks twice does not want to wait for an orderly end.
	context.AfterFunc(ctx, stop)
	a := &app{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv}
	return a.run(ctx, os.Args[1:])
}
