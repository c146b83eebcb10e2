package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/syncbase/syncbase/sdk/client"
)

// daemon is a process of the program under measurement.
type daemon struct {
	*client.Client
	binary, dir, name string
	cmd               *exec.Cmd
	log               bytes.Buffer
}

const startLimit = 30 * time.Second

// Where a daemon accepts peers: at a free port of loopback, or nowhere, so that it has to dial and nobody else reaches it.
const (
	listening = `["127.0.0.1:0"]`
	deaf      = `[]`
)

// start runs a daemon on loopback with one plugin, the blob store, and waits until it answers and the plugin is ready.
func start(ctx context.Context, binary, dir, name string) (*daemon, error) {
	return startAt(ctx, binary, dir, name, listening)
}

// startAt is start where it matters whether others reach the daemon.
func startAt(ctx context.Context, binary, dir, name, listen string) (*daemon, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "syncbase.yaml")
	text := fmt.Sprintf("node: {name: %s, data_dir: %q, listen: %s}\n"+
		"plugins: {disk: {kind: blobstore, path: self, required: true}}\nblobs: {store: disk}\ndiscovery: []\n", name, dir, listen)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	d := &daemon{binary: binary, dir: dir, name: name, cmd: exec.Command(binary, "serve", "--config", config)}
	d.cmd.Stdout, d.cmd.Stderr = &d.log, &d.log
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		err := d.ready(ctx)
		if err == nil {
			return d, nil
		}
		select {
		case <-ctx.Done():
			d.stop()
			return nil, fmt.Errorf("daemon %s does not come up: %w\n%s", name, err, d.log.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// socket is the address at which clients reach the daemon.
func (d *daemon) socket() string { return "unix://" + filepath.Join(d.dir, "syncbase.sock") }

func (d *daemon) ready(ctx context.Context) (err error) {
	if d.Client == nil {
		if d.Client, err = client.Dial(ctx, d.socket(), client.Options{}); err != nil {
			return err
		}
	}
	status, err := d.Status(ctx)
	if err != nil {
		return err
	}
	for _, p := range status.Plugins {
		if p.State != "ready" {
			return fmt.Errorf("plugin %s is %s", p.Name, p.State)
		}
	}
	return nil
}

// issue makes an identity for another daemon under this one's authority.
func (d *daemon) issue(ctx context.Context, name, out string) error {
	if err := os.MkdirAll(filepath.Dir(out), 0o700); err != nil {
		return err
	}
	return command(ctx, d.binary, "--data", d.dir, "identity", "issue", name, "--out", out)
}

// stop ends the process and waits for it.
func (d *daemon) stop() {
	if d.Client != nil {
		d.Close()
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	_ = d.cmd.Wait()
}

// peakMiB is the most memory that the process has had resident so far.
func (d *daemon) peakMiB() (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("no VmHWM for process %d", d.cmd.Process.Pid)
}

// cpuSeconds is the processor time that the daemon and its plugins have used so far.
func (d *daemon) cpuSeconds(ctx context.Context) (float64, error) {
	status, err := d.Status(ctx)
	if err != nil {
		return 0, err
	}
	sum, err := cpuSeconds(d.cmd.Process.Pid)
	for _, p := range status.Plugins {
		used, pluginErr := cpuSeconds(int(p.PID))
		sum, err = sum+used, errors.Join(err, pluginErr)
	}
	return sum, err
}

// plugins returns the processes of the daemon's plugins.
func (d *daemon) plugins(ctx context.Context) (pids []int, err error) {
	status, err := d.Status(ctx)
	for _, p := range status.Plugins {
		pids = append(pids, int(p.PID))
	}
	return pids, err
}

// threadSeconds is the processor time that the threads of processes have used, to the nanosecond: a process that does next to nothing
// uses less in a minute than the tick in which the kernel counts for whole processes.
func threadSeconds(pids ...int) (sum float64, err error) {
	for _, pid := range pids {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		if err != nil {
			return 0, err
		}
		if len(threads) == 0 {
			return 0, fmt.Errorf("no threads of process %d", pid)
		}
		for _, file := range threads {
			data, err := os.ReadFile(file)
			if err != nil {
				return 0, err
			}
			running, _, _ := strings.Cut(string(data), " ")
			ns, err := strconv.ParseFloat(running, 64)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", file, err)
			}
			sum += ns / 1e9
		}
	}
	return sum, nil
}

func cpuSeconds(pid int) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name, in parentheses, may hold anything; utime and stime are the 12th and 13th fields after it.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("unexpected /proc/%d/stat", pid)
	}
	user, err := strconv.ParseFloat(fields[11], 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseFloat(fields[12], 64)
	const ticks = 100 // per second, on every Linux
	return (user + system) / ticks, err
}

// meter takes the time of something, and what processor time the daemons use for it.
type meter struct {
	daemons []*daemon
	began   time.Time
	before  []float64
}

func startMeter(ctx context.Context, daemons ...*daemon) (*meter, error) {
	m := &meter{daemons: daemons}
	for _, d := range daemons {
		used, err := d.cpuSeconds(ctx)
		if err != nil {
			return nil, err
		}
		m.before = append(m.before, used)
	}
	m.began = time.Now()
	return m, nil
}

// stop adds the rate at which the amount was dealt with, and the processor time of each daemon.
func (m *meter) stop(ctx context.Context, t *table, name, unit string, amount float64) error {
	t.add(name, unit, amount/time.Since(m.began).Seconds())
	for i, d := range m.daemons {
		used, err := d.cpuSeconds(ctx)
		if err != nil {
			return err
		}
		t.add(name+": processor time of "+d.name+" with its plugins", "s", used-m.before[i])
	}
	return nil
}
