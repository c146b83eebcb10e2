package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// httpClient speaks to a daemon over HTTP as a program without a client of ours does.
type httpClient struct {
	t    *testing.T
	base string
	http *http.Client
	// header is sent with every request.
	header http.Header
}

func newHTTPClient(t *testing.T, base string, transport *http.Transport) *httpClient {
	t.Cleanup(transport.CloseIdleConnections)
	return &httpClient{t: t, base: base, http: &http.Client{Transport: transport}, header: http.Header{}}
}

// overSocket is the owner at the socket.
func (d *daemon) overSocket() *httpClient {
	return newHTTPClient(d.t, "http://localhost", &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(d.data, "syncbase-http.sock"))
	}})
}

func (c *httpClient) send(method, path, body string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header = c.header.Clone()
	return c.http.Do(req)
}

// ask makes a request and returns status and body.
func (c *httpClient) ask(method, path, body string) (int, string) {
	c.t.Helper()
	resp, err := c.send(method, path, body)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(text))
}

func (c *httpClient) must(method, path, body string) string {
	c.t.Helper()
	status, text := c.ask(method, path, body)
	if status != http.StatusOK {
		c.t.Fatalf("%s %s: %d %s", method, path, status, text)
	}
	return text
}

const citiesPath = "/v1/db/places/collections/cities/rows"

// TestHTTPWatchAcrossRestarts kills the daemon while a client watches over HTTP. The client connects again with the marker
// that it has seen last, and sees every change once.
func TestHTTPWatchAcrossRestarts(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	a := n.start("a")
	c := a.overSocket()
	c.must("POST", "/v1/db", `{"database":"places"}`)
	c.must("POST", "/v1/db/places/collections", `{"collection":"cities"}`)
	if st, err := os.Stat(filepath.Join(a.data, "syncbase-http.sock")); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", st, err)
	}
	var seen []string
	last := ""
	written := 0
	for round := range 3 {
		c.header.Set("Last-Event-ID", last)
		resp, err := c.send("GET", "/v1/db/places/watch?collection=cities", "")
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(resp.Body)
		next := func() bool {
			id, keys, ok := nextEvent(t, lines)
			if ok {
				last, seen = id, append(seen, keys...)
			}
			return ok
		}
		for last == "" && next() { // the first marker comes without data
		}
		for range 20 {
			c.must("PUT", fmt.Sprintf("%s/k%03d", citiesPath, written), "1")
			written++
		}
		for len(seen) < written-5*round && next() {
		}
		a.kill()
		for next() {
		}
		_ = resp.Body.Close()
		c.http.CloseIdleConnections()
		a.serve(loopback)
	}
	c.header.Del("Last-Event-ID") // it would count, as it is the newer one where a browser connects again
	resp, err := c.send("GET", "/v1/db/places/watch?collection=cities&resume="+last, "")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for len(seen) < written {
		_, keys, ok := nextEvent(t, lines)
		if !ok {
			break
		}
		seen = append(seen, keys...)
	}
	for i, key := range seen {
		if want := fmt.Sprintf("k%03d", i); key != want {
			t.Fatalf("change %d is of %s, want %s", i, key, want)
		}
	}
	if len(seen) != written {
		t.Errorf("%d changes seen of %d", len(seen), written)
	}
}

// nextEvent reads a server-sent event. One that is cut off before its empty line never was, as for any client.
func nextEvent(t *testing.T, lines *bufio.Scanner) (id string, keys []string, ok bool) {
	t.Helper()
	for lines.Scan() {
		line := lines.Text()
		if line == "" && id != "" {
			return id, keys, true
		}
		if marker, found := strings.CutPrefix(line, "id: "); found {
			id = marker
		}
		if data, found := strings.CutPrefix(line, "data: "); found {
			keys = append(keys, keysOf(t, data)...)
		}
	}
	return "", nil, false
}

// keysOf are the keys that an event is about.
func keysOf(t *testing.T, data string) (keys []string) {
	t.Helper()
	var m struct {
		Changes []struct{ Row struct{ Key string } }
	}
	if err := json.Unmarshal([]byte(data), &m); err != nil {
		t.Fatalf("%q: %v", data, err)
	}
	for _, ch := range m.Changes {
		keys = append(keys, ch.Row.Key)
	}
	return keys
}

// TestHTTPDoors comes through each door, with its proof and without.
func TestHTTPDoors(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	a := n.newDaemon("a")
	a.env = append(a.env, "SYNCBASE_NODE__HTTP__LISTEN="+loopback, "SYNCBASE_NODE__HTTP__LOCAL="+loopback)
	a.serve(loopback)
	a.run("db", "create", "places")
	addresses := a.run("status", "-o", "json")
	address := func(scheme string) string {
		return regexp.MustCompile(scheme + `://127\.0\.0\.1:\d+`).FindString(addresses)
	}

	token, err := os.ReadFile(filepath.Join(a.data, "http.token"))
	if err != nil {
		t.Fatal(err)
	}
	local := newHTTPClient(t, address("http"), &http.Transport{})
	if status, body := local.ask("GET", "/v1/db", ""); status != 401 || !strings.Contains(body, "ANONYMOUS") {
		t.Errorf("without the token: %d %s", status, body)
	}
	local.header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	if body := local.must("GET", "/v1/db", ""); !strings.Contains(body, ":places") {
		t.Errorf("with the token: %s", body)
	}
	local.header.Set("Origin", "https://evil.example")
	if status, body := local.ask("GET", "/v1/db", ""); status != 403 || !strings.Contains(body, "ORIGIN") {
		t.Errorf("from a page: %d %s", status, body)
	}

	// The owner's phone, a stranger, and nobody.
	n.syncbase("identity", "issue", "phone", "--data", a.data, "--out", n.path("phone")).must(t)
	n.syncbase("identity", "init", "stranger", "--identity", n.path("stranger")).must(t)
	phone := newHTTPClient(t, address("https"), withCertificate(t, n.path("phone")))
	if body := phone.must("POST", "/v1/db", `{"database":"phones"}`); !strings.Contains(body, "/owner:phones") {
		t.Errorf("the owner's phone: %s", body)
	}
	for who, transport := range map[string]*http.Transport{
		"stranger": withCertificate(t, n.path("stranger")),
		"nobody":   {TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
	} {
		resp, err := newHTTPClient(t, address("https"), transport).send("GET", "/v1/db", "")
		if err == nil {
			_ = resp.Body.Close()
			t.Errorf("%s: %s", who, resp.Status)
		}
	}
	a.stop()
	if _, err := os.Stat(filepath.Join(a.data, "syncbase-http.sock")); err == nil {
		t.Error("the socket is still there")
	}
}

// withCertificate presents the certificate of an identity, and takes the daemon for whoever it says it is.
func withCertificate(t *testing.T, identity string) *http.Transport {
	t.Helper()
	certificate, err := tls.LoadX509KeyPair(filepath.Join(identity, "cert.pem"), filepath.Join(identity, "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, InsecureSkipVerify: true}}
}
