package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/syncbase/syncbase/host/internal/api"
	"github.com/syncbase/syncbase/host/internal/blobs"
	"github.com/syncbase/syncbase/host/internal/conf"
	"github.com/syncbase/syncbase/host/internal/plug"
	"github.com/syncbase/syncbase/host/internal/plug/runner"
)

func (h *Host) pluginOptions() plug.Options {
	dir := h.opts.Config.Node.DataDir
	return plug.Options{
		RunDir:      runDir(dir),
		DataDir:     filepath.Join(dir, "plugins"),
		Log:         h.log,
		HostVersion: h.opts.Version,
		Events: plug.Events{
			CrashLoop: func(name, reason string) { h.log.Error("plugin keeps crashing", "plugin", name, "reason", reason) },
		},
	}
}

// runDir is where the sockets of plugins lie: in the data directory, or in a place of its own below the system's
// temporary directory when the data directory's path is too long for sockets.
func runDir(dataDir string) string {
	dir := filepath.Join(dataDir, "run")
	if runner.CheckRunDir(dir) == nil {
		return dir
	}
	sum := sha256.Sum256([]byte(dataDir))
	return filepath.Join(os.TempDir(), "syncbase-"+strconv.Itoa(os.Getuid())+"-"+hex.EncodeToString(sum[:6]))
}

// instances translates the configuration. A plugin whose secrets cannot be resolved is left to fail at its start, with
// the reason in the log.
func (h *Host) instances() []plug.Instance {
	var list []plug.Instance
	for _, name := range slices.Sorted(maps.Keys(h.opts.Config.Plugins)) {
		in, err := instance(name, h.opts.Config.Plugins[name])
		if err != nil {
			h.log.Error("plugin is left out", "plugin", name, "error", err)
			continue
		}
		list = append(list, in)
	}
	return list
}

func instance(name string, p conf.Plugin) (plug.Instance, error) {
	config, err := p.ConfigJSON()
	if err != nil {
		return plug.Instance{}, fmt.Errorf("configuration: %w", err)
	}
	env, err := p.Environ()
	if err != nil {
		return plug.Instance{}, fmt.Errorf("environment: %w", err)
	}
	vars := make(map[string]string, len(env))
	for _, pair := range env {
		key, value, _ := strings.Cut(pair, "=")
		vars[key] = value
	}
	return plug.Instance{
		Name: name, Kind: plug.Kind(p.Kind), Path: p.Path, Args: p.Args, SHA256: p.SHA256,
		AllowUnpinned: p.AllowUnpinned, Env: vars, Config: config, Required: p.Required,
	}, nil
}

// pluginList tells clients what runs.
type pluginList struct{ h *Host }

func (l pluginList) List(context.Context) ([]api.Plugin, error) {
	var list []api.Plugin
	for _, s := range l.h.plugins.Status() {
		list = append(list, api.Plugin{
			Name: s.Name, Kind: string(s.Kind), State: string(s.State), PID: s.PID,
			Restarts: uint64(s.Restarts), Version: s.Version, Message: s.Message,
		})
	}
	return list, nil
}

// storePatience is how long a blob call waits for a store that is not ready: longer than a restart takes, and short enough
// for somebody who looks on.
const storePatience = 20 * time.Second

// objects keeps packs in a blob-store plugin.
type objects struct {
	h     *Host
	name  string
	store *plug.BlobStore
}

func (o objects) Put(ctx context.Context, key, data []byte) error {
	if err := o.ready(ctx); err != nil {
		return err
	}
	return o.translate(o.store.Put(ctx, key, data))
}

func (o objects) Get(ctx context.Context, key []byte, offset, length uint64) ([]byte, error) {
	if err := o.ready(ctx); err != nil {
		return nil, err
	}
	data, err := o.store.Read(ctx, key, offset, length)
	return data, o.translate(err)
}

func (o objects) Delete(ctx context.Context, keys ...[]byte) error {
	if err := o.ready(ctx); err != nil {
		return err
	}
	return o.translate(o.store.Delete(ctx, keys...))
}

// ready waits a while for the store; the error says what is wrong with it.
func (o objects) ready(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	err := o.h.plugins.WaitReady(waiting, o.name)
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: the blob store is not ready: %w%s", api.ErrUnavailable, err, o.h.pluginMessage(o.name, err))
}

// translate adds what clients branch on to the errors of a plugin.
func (o objects) translate(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, plug.ErrFull):
		return fmt.Errorf("%w: %w", api.ErrExhausted, err)
	case errors.Is(err, plug.ErrCorrupt), errors.Is(err, plug.ErrNotFound):
		return fmt.Errorf("%w: %w", blobs.ErrCorrupt, err)
	case errors.Is(err, plug.ErrDown), errors.Is(err, plug.ErrTransient), errors.Is(err, plug.ErrUnknown):
		return fmt.Errorf("%w: %w", api.ErrUnavailable, err)
	}
	return err
}

// noObjects stands in where no blob store is configured.
type noObjects struct{}

var errNoStore = fmt.Errorf("%w: this daemon has no blob store: set blobs.store to a plugin instance", api.ErrPrecondition)

func (noObjects) Put(context.Context, []byte, []byte) error { return errNoStore }
func (noObjects) Get(context.Context, []byte, uint64, uint64) ([]byte, error) {
	return nil, errNoStore
}
func (noObjects) Delete(context.Context, ...[]byte) error { return errNoStore }
