package runner

import (
	"os"
	"slices"
	"strings"
)

// inherited names the variables of the host that a plugin sees: what programs need to find files, tools, time zones,
// certificates and proxies. Everything else, and with it every secret of the host, stays behind.
var inherited = []string{
	"PATH", "HOME", "TMPDIR", "TZ", "LANG", "LC_ALL",
	"SSL_CERT_FILE", "SSL_CERT_DIR",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
	"http_proxy", "https_proxy", "no_proxy", "all_proxy",
}

// Environment returns the environment of a plugin: the allowed part of the host's, then what its configuration adds,
// then what the protocol needs. Where a name occurs twice, the later one holds.
func Environment(entry map[string]string, protocol []string) []string {
	merged := make(map[string]string)
	for _, name := range inherited {
		if value, ok := os.LookupEnv(name); ok {
			merged[name] = value
		}
	}
	for name, value := range entry {
		merged[name] = value
	}
	for _, pair := range protocol {
		name, value, _ := strings.Cut(pair, "=")
		merged[name] = value
	}
	env := make([]string, 0, len(merged))
	for name, value := range merged {
		env = append(env, name+"="+value)
	}
	slices.Sort(env)
	return env
}
