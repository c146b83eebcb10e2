package conf

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// defaults is the configuration of a daemon that was given none.
//
// It listens on every interface, on a free port: peers can do nothing before both sides have proven themselves by
// mutual TLS, and a daemon that cannot be reached by the other devices in the room would sync with none of them.
func defaults(name, dataDir string) Config {
	return Config{
		Node: Node{
			Name: name, DataDir: dataDir, Listen: []string{"0.0.0.0:0"}, Peers: []string{},
			HTTP: HTTP{Socket: true, Listen: []string{}, Local: []string{}, Origins: []string{}, Hosts: []string{}},
		},
		Plugins: map[string]Plugin{
			"disk": {Kind: KindBlobStore, Path: PathSelf, Required: true},
			"lan":  {Kind: KindDiscovery, Path: PathSelf},
		},
		Blobs:     Blobs{Store: "disk"},
		Discovery: []string{"lan"},
		Store:     Store{History: History{Keep: 24 * time.Hour, MaxMiB: 24}},
		Memory:    Memory{MaxMiB: 256},
		Sync:      Sync{Interval: 30 * time.Second},
		Clock:     Clock{Servers: []string{}, Interval: time.Hour},
		Log:       Log{Level: "info", Format: "text"},
	}
}

// DefaultDataDir is where this user's daemon keeps its data when it is not told otherwise: $XDG_DATA_HOME/syncbase or
// ~/.local/share/syncbase, and the corresponding place on macOS and Windows.
func DefaultDataDir() (string, error) {
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "syncbase"), nil
	}
	if runtime.GOOS == "windows" {
		if dir := os.Getenv("LocalAppData"); filepath.IsAbs(dir) {
			return filepath.Join(dir, "syncbase"), nil
		}
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no default data directory, set node.data_dir or --data: %w", err)
	}
	if runtime.GOOS == "darwin" {
		return filepath.Join(home, "Library", "Application Support", "syncbase"), nil
	}
	return filepath.Join(home, ".local", "share", "syncbase"), nil
}

// defaultName makes a node name of the host's name: its first label, with what a name may not hold replaced.
func defaultName(hostname string) string {
	label, _, _ := strings.Cut(hostname, ".")
	clean := strings.Map(func(r rune) rune {
		if isNameByte(r) {
			return r
		}
		return '-'
	}, label)
	clean = strings.Trim(clean, "-._")
	if len(clean) > maxName {
		clean = strings.TrimRight(clean[:maxName], "-._")
	}
	return cmp.Or(clean, "syncbase")
}

// absolute expands a leading "~/" and makes a path absolute, relative to the working directory of the daemon.
func absolute(path string) (string, error) {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("expand ~ in %q: %w", path, err)
		}
		return filepath.Join(home, rest), nil
	}
	return filepath.Abs(path)
}
