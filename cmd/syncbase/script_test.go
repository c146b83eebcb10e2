package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/syncbase/syncbase/sdk/client"
	"github.com/syncbase/syncbase/sdk/plugin"
)

// TestMain lets the test binary be the program, for scripts, and the bundled plugins, for the daemons in them.
func TestMain(m *testing.M) {
	if plugin.IsPlugin() {
		runPlugin(os.Args[1:])
	}
	testscript.Main(m, map[string]func(){"syncbase": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await": await,
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("XDG_DATA_HOME", filepath.Join(env.WorkDir, "share"))
			return nil
		},
	})
}

// await DIR waits until the daemon with this data directory answers.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await DIR")
	}
	address := "unix://" + filepath.Join(ts.MkAbs(args[0]), "syncbase.sock")
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		c, err := client.Dial(ctx, address, client.Options{})
		if err == nil {
			ts.Check(c.Close())
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("no daemon at %s: %v", address, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
