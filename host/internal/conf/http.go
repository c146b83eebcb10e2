package conf

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// HTTP says where clients are served over HTTP, beside gRPC.
type HTTP struct {
	// Socket serves the owner at the socket syncbase-http.sock in the data directory.
	Socket bool `yaml:"socket"`
	// Listen holds host:port addresses for clients with a certificate, over mutual TLS; port 0 takes a free one.
	Listen []string `yaml:"listen"`
	// Local holds host:port addresses of the loopback interface, without TLS, for whoever can read the file http.token in
	// the data directory, and is the owner then.
	Local []string `yaml:"local"`
	// Origins are those of web pages that may use it, such as "https://app.example.org". Empty: no page may.
	Origins []string `yaml:"origins"`
	// Hosts are names under which it may be addressed besides localhost and any IP address.
	Hosts []string `yaml:"hosts"`
}

func (h *HTTP) validate(r *report) {
	path := func(key string) []string { return []string{"node", "http", key} }
	addresses(h.Listen, path("listen"), listenAddress, r)
	addresses(h.Local, path("local"), loopbackAddress, r)
	addresses(h.Origins, path("origins"), webOrigin, r)
	addresses(h.Hosts, path("hosts"), webHost, r)
}

func loopbackAddress(address string) error {
	host, _, err := splitAddress(address)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%q is not on the loopback interface, 127.0.0.1, and has no TLS; others connect to an address of node.http.listen", address)
	}
	return nil
}

func webOrigin(text string) error {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || text != u.Scheme+"://"+u.Host || strings.ContainsAny(text, "*@") {
		return fmt.Errorf("%q is not an origin: scheme, host and port if it is not the usual one, as in %q; there is no *", text, "https://app.example.org")
	}
	return nil
}

func webHost(text string) error {
	if len(text) > 253 || text == "" || strings.ContainsAny(text, "/:@* \t") || strconv.Quote(text) != `"`+text+`"` {
		return fmt.Errorf("%q is not the name of a host, without port, as in %q", text, "laptop.home.arpa")
	}
	return nil
}
