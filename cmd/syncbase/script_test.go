package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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

// TestScripts runs the program as scripts and people do.
// reference: store-310 the command line prints tables and JSON, reads JSON lines and CSV and its own export, and prints watches; there is no
// debug page, and a scan goes on from a key with --start and --max.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await": await, "fields": fields,
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("XDG_DATA_HOME", filepath.Join(env.WorkDir, "share"))
			return nil
		},
	})
}

// fields NAMES wants every line of the last output to be a JSON object with these fields, and at least one line. A name may
// lead into objects and lists: versions.0.time.
func fields(ts *testscript.TestScript, neg bool, names []string) {
	if neg || len(names) == 0 {
		ts.Fatalf("usage: fields NAMES")
	}
	lines := strings.Split(strings.TrimSpace(ts.ReadFile("stdout")), "\n")
	for _, line := range lines {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			ts.Fatalf("%q is no JSON object: %v", line, err)
		}
		for _, name := range names {
			if !leadsTo(object, strings.Split(name, ".")) {
				ts.Fatalf("no field %s in %s", name, line)
			}
		}
	}
}

// leadsTo reports whether there is something at the end of a path.
func leadsTo(value any, path []string) bool {
	if len(path) == 0 {
		return true
	}
	switch value := value.(type) {
	case map[string]any:
		inner, found := value[path[0]]
		return found && leadsTo(inner, path[1:])
	case []any:
		i, err := strconv.Atoi(path[0])
		return err == nil && i < len(value) && leadsTo(value[i], path[1:])
	}
	return false
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
