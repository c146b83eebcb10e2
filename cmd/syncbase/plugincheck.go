package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/syncbase/syncbase/sdk/plugin/blobstore/blobstoretest"
	"github.com/syncbase/syncbase/sdk/plugin/discovery/discoverytest"
	"github.com/syncbase/syncbase/sdk/plugin/plugintest"
	"github.com/syncbase/syncbase/sdk/plugin/resolver/resolvertest"
)

// checkPlugin runs the conformance kits of the plugin's kinds against it and reports each check as it is done. The path
// self/NAME is a bundled plugin.
func checkPlugin(ctx context.Context, path string, config []byte, report func(checkResult) error) error {
	dir, err := os.MkdirTemp("", "sbc") // short, since the path of a socket is limited to about 100 bytes
	if err != nil {
		return err
	}
	c := checker{path: path, config: config, dir: dir, report: report}
	return errors.Join(c.run(ctx), os.RemoveAll(dir))
}

// What a program may take to describe itself.
const (
	describeLimit  = 5 * time.Second
	maxDescription = 1 << 20
)

type checker struct {
	path   string
	config []byte
	dir    string
	report func(checkResult) error
	// started counts the processes, each of which has a directory for its socket and one for its data.
	started int
}

func (c *checker) run(ctx context.Context) error {
	kinds, features, err := c.describe(ctx)
	if err != nil {
		return err
	}
	for _, kind := range kinds {
		if err := c.kind(ctx, kind, features); err != nil {
			return err
		}
	}
	return nil
}

// command runs the plugin with arguments of its own.
func (c *checker) command(ctx context.Context, args ...string) (*exec.Cmd, error) {
	path := c.path
	if name, isBundled := strings.CutPrefix(path, "self/"); isBundled {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		path, args = self, append([]string{"plugin", name}, args...)
	} else if !strings.ContainsRune(path, filepath.Separator) {
		path = "." + string(filepath.Separator) + path
	}
	return exec.CommandContext(ctx, path, args...), nil
}

// describe asks the plugin what it is, as a person would.
func (c *checker) describe(ctx context.Context) (kinds, features []string, err error) {
	if name, isBundled := strings.CutPrefix(c.path, "self/"); isBundled {
		return describeBundled(name)
	}
	limited, cancel := context.WithTimeout(ctx, describeLimit)
	defer cancel()
	cmd, err := c.command(limited, "-describe")
	if err != nil {
		return nil, nil, err
	}
	text, err := describing(cmd)
	if ctx.Err() == nil && errors.Is(limited.Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("it did not end within %v", describeLimit)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s is no plugin, it does not describe itself when called with -describe: %w", c.path, err)
	}
	return parseDescription(c.path, text)
}

// describing runs a program that need not be a plugin, and may say anything for any time.
func describing(cmd *exec.Cmd) ([]byte, error) {
	var out, errs capped
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if out.full() {
		return nil, fmt.Errorf("it prints more than %d bytes", maxDescription)
	}
	if said := bytes.TrimSpace(errs.text); err != nil && len(said) > 0 {
		err = fmt.Errorf("%w: %.200q", err, said)
	}
	return out.text, err
}

// capped takes so much and then refuses, which ends the program that writes.
type capped struct{ text []byte }

func (c *capped) full() bool { return len(c.text) > maxDescription }

func (c *capped) Write(p []byte) (int, error) {
	if c.full() {
		return 0, io.ErrShortWrite
	}
	c.text = append(c.text, p...)
	return len(p), nil
}

func describeBundled(name string) (kinds, features []string, err error) {
	for _, spec := range bundled() {
		if spec.Name == name {
			for _, k := range spec.Kinds {
				kinds, features = append(kinds, kindOf(k.Service)), append(features, k.Features...)
			}
			return kinds, features, nil
		}
	}
	return nil, nil, fmt.Errorf("no plugin %q in this program", name)
}

// kindOf gives the kind of plugin that serves a service such as syncbase.blobstore.v1.BlobStoreService.
func kindOf(service string) string {
	if parts := strings.Split(service, "."); len(parts) > 1 && parts[0] == "syncbase" {
		return parts[1]
	}
	return service
}

func parseDescription(path string, text []byte) (kinds, features []string, err error) {
	var description struct {
		Plugin struct {
			Kinds []struct {
				Service  string   `json:"service"`
				Features []string `json:"features"`
			} `json:"kinds"`
		} `json:"plugin"`
	}
	if err := json.Unmarshal(text, &description); err != nil {
		return nil, nil, fmt.Errorf("%s is no plugin, what it prints with -describe is no description: %w", path, err)
	}
	for _, k := range description.Plugin.Kinds {
		kinds, features = append(kinds, kindOf(k.Service)), append(features, k.Features...)
	}
	if len(kinds) == 0 {
		return nil, nil, fmt.Errorf("%s says that it is a plugin of no kind", path)
	}
	return kinds, features, nil
}

// kind runs one kit.
func (c *checker) kind(ctx context.Context, kind string, features []string) error {
	a, err := c.launch(ctx)
	if err != nil {
		return err
	}
	defer a.Stop()
	switch kind {
	case "blobstore":
		for _, r := range blobstoretest.Verify(ctx, a.Conn, blobstoretest.Options{Features: features}) {
			if err := c.tell(kind, r.Name, r.Err, r.Skipped); err != nil {
				return err
			}
		}
	case "discovery":
		b, err := c.launch(ctx)
		if err != nil {
			return err
		}
		defer b.Stop()
		for _, r := range discoverytest.Verify(ctx, a.Conn, b.Conn, discoverytest.Options{}) {
			if err := c.tell(kind, r.Name, r.Err, ""); err != nil {
				return err
			}
		}
	case "resolver":
		for _, r := range resolvertest.Verify(ctx, a.Conn, resolvertest.Options{}) {
			if err := c.tell(kind, r.Name, r.Err, ""); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("there is no conformance kit for plugins of kind %q", kind)
	}
	return nil
}

func (c *checker) tell(kind, name string, failed error, skipped string) error {
	r := checkResult{Check: kind + ": " + name, Result: "ok"}
	switch {
	case failed != nil:
		r.Result, r.Reason = "failed", failed.Error()
	case skipped != "":
		r.Result, r.Reason = "skipped", skipped
	}
	return c.report(r)
}

// launch starts the plugin and gives it the configuration.
func (c *checker) launch(ctx context.Context) (*plugintest.Running, error) {
	cmd, err := c.command(ctx)
	if err != nil {
		return nil, err
	}
	c.started++
	base := filepath.Join(c.dir, fmt.Sprint(c.started))
	for _, dir := range []string{base, filepath.Join(base, "data")} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, err
		}
	}
	cmd.Env = append(os.Environ(), "TMPDIR="+c.dir)
	running, err := plugintest.Launch(cmd, base)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.path, err)
	}
	if err := running.Configure(ctx, plugintest.Options{Config: c.config, DataDir: filepath.Join(base, "data")}); err != nil {
		return nil, errors.Join(fmt.Errorf("configure %s: %w", c.path, err), running.Stop())
	}
	return running, nil
}
