package conf

import (
	"encoding/hex"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxName      = 63
	maxInstance  = 32
	maxPlugins   = 64
	maxAddresses = 256

	minSyncInterval = 100 * time.Millisecond
	maxSyncInterval = 24 * time.Hour

	maxTimeServers   = 8
	minClockInterval = time.Minute
	maxClockInterval = 7 * 24 * time.Hour
	maxKeep          = 10 * 365 * 24 * time.Hour
	maxHistoryMiB    = 1 << 20
	minMemoryMiB     = 128
	maxMemoryMiB     = 1 << 20
)

// validate reports every value that has the right type and still makes no sense.
func (c *Config) validate(r *report) {
	if !validName(c.Node.Name) {
		r.key([]string{"node", "name"}, "%q is not a name: 1 to %d letters, digits, '.', '_' or '-', a letter or digit at both ends", c.Node.Name, maxName)
	}
	addresses(c.Node.Listen, []string{"node", "listen"}, listenAddress, r)
	addresses(c.Node.Peers, []string{"node", "peers"}, peerAddress, r)
	c.Node.HTTP.validate(r)
	if d := c.Sync.Interval; d < minSyncInterval || d > maxSyncInterval {
		r.key([]string{"sync", "interval"}, "%s is not between %s and %s", d, minSyncInterval, maxSyncInterval)
	}
	c.Clock.validate(r)
	if d := c.Store.History.Keep; d < 0 || d > maxKeep {
		r.key([]string{"store", "history", "keep"}, "%s is not between 0s and %s", d, maxKeep)
	}
	if n := c.Store.History.MaxMiB; n < 1 || n > maxHistoryMiB {
		r.key([]string{"store", "history", "max_mib"}, "%d is not between 1 and %d", n, maxHistoryMiB)
	}
	if n := c.Memory.MaxMiB; n < minMemoryMiB || n > maxMemoryMiB {
		r.key([]string{"memory", "max_mib"}, "%d is not between %d and %d", n, minMemoryMiB, maxMemoryMiB)
	}
	oneOf(c.Log.Level, []string{"trace", "debug", "info", "warn", "error"}, []string{"log", "level"}, r)
	oneOf(c.Log.Format, []string{"text", "json"}, []string{"log", "format"}, r)

	if len(c.Plugins) > maxPlugins {
		r.key([]string{"plugins"}, "%d instances are more than the %d that a daemon runs", len(c.Plugins), maxPlugins)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Plugins)) {
		c.Plugins[name].validate([]string{"plugins", name}, r)
	}
	c.validateRoles(r)
}

func (c Clock) validate(r *report) {
	path := []string{"clock", "servers"}
	if len(c.Servers) > maxTimeServers {
		r.key(path, "%d servers are more than the %d that are asked", len(c.Servers), maxTimeServers)
	}
	for i, server := range c.Servers {
		host, port, err := net.SplitHostPort(server)
		if err != nil {
			host, port = server, "123"
		}
		if n, bad := strconv.ParseUint(port, 10, 16); host == "" || strings.ContainsAny(host, " /\t") || bad != nil || n == 0 {
			r.key(append(path[:2:2], strconv.Itoa(i)), "%q is not a time server: want host or host:port", server)
		}
	}
	if d := c.Interval; d < minClockInterval || d > maxClockInterval {
		r.key([]string{"clock", "interval"}, "%s is not between %s and %s", d, minClockInterval, maxClockInterval)
	}
}

// validateRoles holds every role against the instances.
func (c *Config) validateRoles(r *report) {
	if c.Blobs.Store != "" {
		c.role(c.Blobs.Store, KindBlobStore, []string{"blobs", "store"}, r)
	}
	if c.Blobs.Cache != "" {
		c.role(c.Blobs.Cache, KindBlobStore, []string{"blobs", "cache"}, r)
		if c.Blobs.Cache == c.Blobs.Store {
			r.key([]string{"blobs", "cache"}, "%q is the store already; leave the cache empty or name another instance", c.Blobs.Cache)
		}
	}
	for i, name := range c.Discovery {
		path := []string{"discovery", strconv.Itoa(i)}
		c.role(name, KindDiscovery, path, r)
		if slices.Index(c.Discovery, name) < i {
			r.key(path, "%q is listed twice", name)
		}
	}
}

func (c *Config) role(name string, want Kind, path []string, r *report) {
	p, ok := c.Plugins[name]
	if !ok && r.unreadable("plugins", name) {
		return
	}
	if !ok {
		var fitting []string
		for other, q := range c.Plugins {
			if q.Kind == want {
				fitting = append(fitting, other)
			}
		}
		slices.Sort(fitting)
		advice := fmt.Sprintf("add a plugin of kind %s", want)
		if len(fitting) > 0 {
			advice = "there is " + strings.Join(fitting, ", ")
		}
		r.key(path, "no plugin is named %q; %s", name, advice)
		return
	}
	if p.Kind != want && p.Kind.known() {
		r.key(path, "plugin %q is of kind %s, this role needs a %s", name, p.Kind, want)
	}
}

func (k Kind) known() bool {
	return k == KindBlobStore || k == KindDiscovery || k == KindResolver
}

func (p Plugin) validate(path []string, r *report) {
	below := func(key string) []string { return append(path[:len(path):len(path)], key) }
	if !validInstance(path[1]) {
		r.key(path, "an instance is named with a lower-case letter and then letters, digits or '_', at most %d, so that a variable can reach it", maxInstance)
	}
	if !p.Kind.known() {
		oneOf(string(p.Kind), []string{string(KindBlobStore), string(KindDiscovery), string(KindResolver)}, below("kind"), r)
	}
	p.validateExecutable(below, r)
	for name := range p.Env {
		if !validVariable(name) {
			r.key(append(below("env"), name), "is not the name of an environment variable")
		}
	}
	p.eachReference(func(at []string, err error) {
		r.key(append(path[:len(path):len(path)], at...), "%v", err)
	})
}

func (p Plugin) validateExecutable(below func(string) []string, r *report) {
	if p.Bundled() {
		p.validateBundled(below, r)
		return
	}
	switch {
	case p.Path == "":
		r.key(below("path"), "is missing: an absolute path, or %q for a bundled plugin", PathSelf)
	case !filepath.IsAbs(p.Path):
		r.key(below("path"), "%q is neither absolute nor %q; plugins are not searched for", p.Path, PathSelf)
	case p.SHA256 == "" && !p.AllowUnpinned:
		r.key(below("sha256"), "is missing: pin the executable with \"sha256:\" and the output of sha256sum, or set allow_unpinned: true while developing it")
	case p.SHA256 != "" && !validPin(p.SHA256):
		r.key(below("sha256"), "%q is not \"sha256:\" followed by 64 hexadecimal digits", p.SHA256)
	}
}

func (p Plugin) validateBundled(below func(string) []string, r *report) {
	if name, ok := strings.CutPrefix(p.Path, PathSelf+"/"); ok && !validBundled(name) {
		r.key(below("path"), "%q does not name a bundled plugin, as in %q", p.Path, PathSelf+"/blobstore-fs")
	}
	if p.SHA256 != "" {
		r.key(below("sha256"), "a bundled plugin is the daemon itself and takes no pin")
	}
	if len(p.Args) > 0 {
		r.key(below("args"), "a bundled plugin takes no arguments; what it has to know stands in config")
	}
}

func validBundled(name string) bool {
	for i, c := range name {
		if !isLower(c) && (i == 0 || !isDigit(c) && c != '-') {
			return false
		}
	}
	return name != "" && len(name) <= maxName
}

func validPin(pin string) bool {
	digits, ok := strings.CutPrefix(pin, "sha256:")
	sum, err := hex.DecodeString(digits)
	return ok && err == nil && len(sum) == 32
}

func validName(name string) bool {
	if name == "" || len(name) > maxName {
		return false
	}
	for _, c := range name {
		if !isNameByte(c) {
			return false
		}
	}
	return isAlphanumeric(rune(name[0])) && isAlphanumeric(rune(name[len(name)-1]))
}

func isNameByte(c rune) bool {
	return isAlphanumeric(c) || c == '.' || c == '_' || c == '-'
}

func isAlphanumeric(c rune) bool {
	return isLower(c) || c >= 'A' && c <= 'Z' || isDigit(c)
}

func isLower(c rune) bool { return c >= 'a' && c <= 'z' }

func isDigit(c rune) bool { return c >= '0' && c <= '9' }

func validInstance(name string) bool {
	for i, c := range name {
		if !isLower(c) && (i == 0 || !isDigit(c) && c != '_') {
			return false
		}
	}
	// Two underscores are how a variable separates levels.
	return name != "" && len(name) <= maxInstance && !strings.Contains(name, envSeparator)
}

func validVariable(name string) bool {
	for i, c := range name {
		if !isAlphanumeric(c) && c != '_' || i == 0 && isDigit(c) {
			return false
		}
	}
	return name != ""
}

func oneOf(value string, allowed, path []string, r *report) {
	if !slices.Contains(allowed, value) {
		r.key(path, "%q is not one of %s", value, strings.Join(allowed, ", "))
	}
}

func addresses(list, path []string, check func(string) error, r *report) {
	if len(list) > maxAddresses {
		r.key(path, "%d addresses are more than %d", len(list), maxAddresses)
		return
	}
	for i, address := range list {
		if err := check(address); err != nil {
			r.key(append(path[:len(path):len(path)], strconv.Itoa(i)), "%v", err)
		}
	}
}

func listenAddress(address string) error {
	_, _, err := splitAddress(address)
	return err
}

func peerAddress(address string) error {
	host, port, err := splitAddress(address)
	if err != nil {
		return err
	}
	if host == "" || port == 0 {
		return fmt.Errorf("%q cannot be dialled: it needs a host and a port other than 0", address)
	}
	return nil
}

func splitAddress(address string) (host string, port uint16, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not HOST:PORT", address)
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("%q has no port number from 0 to 65535", address)
	}
	return host, uint16(n), nil
}
