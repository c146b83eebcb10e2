package gateway

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/syncbase/syncbase/host/internal/id"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// proof is that of a principal.
type proof struct {
	credentials.CommonAuthInfo
	principal id.Principal
}

func (proof) AuthType() string          { return "test" }
func (p proof) Principal() id.Principal { return p.principal }

func owner() credentials.AuthInfo { return proof{principal: "home.local/owner"} }

func newGateway(t testing.TB, opts Options) *Gateway {
	t.Helper()
	opts.Services = func(grpc.ServiceRegistrar) {}
	g, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.channels.close)
	return g
}

// TestAdmission asks for the document, which takes no call, on behalf of pages and others.
func TestAdmission(t *testing.T) {
	g := newGateway(t, Options{Origins: []string{"https://App.example.org", "http://localhost:3000"}, Hosts: []string{"Laptop.home.arpa"}})
	handler := g.handler(func(*http.Request, net.Conn) (credentials.AuthInfo, error) { return owner(), nil })
	const allowed = "https://app.example.org"
	for _, x := range []struct {
		what, method, host string
		header             []string
		status             int
		reason             string
	}{
		{"by name", "GET", "localhost", nil, 200, ""},
		{"with port", "GET", "LOCALHOST:80", nil, 200, ""},
		{"by address", "GET", "127.0.0.1:80", nil, 200, ""},
		{"by long address", "GET", "[::1]:80", nil, 200, ""},
		{"by long address without port", "GET", "[fe80::1]", nil, 200, ""},
		{"by its own name", "GET", "laptop.home.arpa:443", nil, 200, ""},
		{"rebinding", "GET", "evil.example", nil, 403, "HOST"},
		{"rebinding with port", "GET", "evil.example:4001", nil, 403, "HOST"},
		{"ends like localhost", "GET", "evil.localhost", nil, 403, "HOST"},
		{"no host", "GET", "", nil, 403, "HOST"},
		{"allowed page", "GET", "localhost", []string{"Origin", allowed}, 200, ""},
		{"allowed page, as browsers say it", "GET", "localhost", []string{"Origin", allowed, "Sec-Fetch-Site", "cross-site"}, 200, ""},
		{"another page", "GET", "localhost", []string{"Origin", "https://evil.example"}, 403, "ORIGIN"},
		{"another scheme", "GET", "localhost", []string{"Origin", "http://app.example.org"}, 403, "ORIGIN"},
		{"another port", "GET", "localhost", []string{"Origin", "http://localhost:3001"}, 403, "ORIGIN"},
		{"a file", "GET", "localhost", []string{"Origin", "null"}, 403, "ORIGIN"},
		{"an image in a page", "GET", "localhost", []string{"Sec-Fetch-Site", "cross-site"}, 403, "ORIGIN"},
		{"a sibling", "GET", "localhost", []string{"Sec-Fetch-Site", "same-site"}, 403, "ORIGIN"},
		{"typed by the user", "GET", "localhost", []string{"Sec-Fetch-Site", "none"}, 200, ""},
		{"question of an allowed page", "OPTIONS", "localhost", []string{"Origin", allowed, "Access-Control-Request-Method", "PUT"}, 204, ""},
		{"question of another page", "OPTIONS", "localhost", []string{"Origin", "https://evil.example", "Access-Control-Request-Method", "PUT"}, 403, "ORIGIN"},
		{"question by rebinding", "OPTIONS", "evil.example", []string{"Origin", allowed, "Access-Control-Request-Method", "PUT"}, 403, "HOST"},
		{"no question", "OPTIONS", "localhost", nil, 405, "METHOD"},
	} {
		r := httptest.NewRequest(x.method, "http://localhost/openapi.json", nil)
		r.Host = x.host
		origin := ""
		for i := 0; i < len(x.header); i += 2 {
			r.Header.Set(x.header[i], x.header[i+1])
			origin = r.Header.Get("Origin")
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		var f failure
		_ = json.Unmarshal(w.Body.Bytes(), &f) // not every answer is one
		if w.Code != x.status || f.Reason != x.reason {
			t.Errorf("%s: %d %s, want %d %s", x.what, w.Code, f.Reason, x.status, x.reason)
		}
		shared := w.Header().Get("Access-Control-Allow-Origin")
		if x.status < 300 && shared != origin || x.status == 403 && shared != "" {
			t.Errorf("%s: the answer is shared with %q", x.what, shared)
		}
	}
}

// TestSharingQuestion tells an allowed page what it may do, before anybody has proven anything.
func TestSharingQuestion(t *testing.T) {
	g := newGateway(t, Options{Origins: []string{"https://app.example.org"}})
	handler := g.handler(func(*http.Request, net.Conn) (credentials.AuthInfo, error) { return nil, errors.New("no proof") })
	r := httptest.NewRequest("OPTIONS", "http://127.0.0.1/v1/db", nil)
	for name, value := range map[string]string{
		"Origin": "https://app.example.org", "Access-Control-Request-Method": "PUT", "Access-Control-Request-Private-Network": "true",
	} {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	for name, want := range map[string]string{
		"Access-Control-Allow-Methods": "PUT", "Access-Control-Allow-Headers": "Authorization", "Access-Control-Allow-Private-Network": "true", "Vary": "Origin",
	} {
		if got := w.Header().Get(name); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %s in it", name, got, want)
		}
	}
	if w.Header().Get("Access-Control-Allow-Credentials") != "" {
		t.Error("a page may use what the browser knows of this daemon")
	}
	r.Method = "GET"
	w = httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	if w.Code != 401 || w.Header().Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("without a proof: %d %v", w.Code, w.Header())
	}
}

// TestProofWithoutName refuses a proof that proves nothing.
func TestProofWithoutName(t *testing.T) {
	g := newGateway(t, Options{})
	for _, nothing := range []credentials.AuthInfo{proof{}, credentials.TLSInfo{}} {
		w := httptest.NewRecorder()
		g.handler(func(*http.Request, net.Conn) (credentials.AuthInfo, error) { return nothing, nil }).
			ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/openapi.json", nil))
		if w.Code != 401 {
			t.Errorf("%T: %d", nothing, w.Code)
		}
	}
}

func TestToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "http.token")
	if _, err := OpenToken(file); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	token, err := OpenToken(file) // the one that is there
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.TrimSpace(string(text))
	for shown, want := range map[string]bool{
		"Bearer " + secret: true, "bearer " + secret: true, "Bearer  " + secret: true,
		"": false, "Bearer": false, "Bearer ": false, secret: false, "Basic " + secret: false,
		"Bearer " + secret[1:]: false, "Bearer " + secret + "x": false, "Bearer " + strings.ToUpper(secret): false,
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Authorization", shown)
		info, err := token.Prove(owner)(r, nil)
		if (err == nil) != want || want && info.(proof).principal != "home.local/owner" {
			t.Errorf("%q: %v, %v", shown, info, err)
		}
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenToken(file); err == nil {
		t.Error("a token that others can read is good")
	}
	if err := errors.Join(os.Chmod(file, 0o600), os.WriteFile(file, []byte("short\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenToken(file); err == nil {
		t.Error("a short token is good")
	}
}

func TestOptions(t *testing.T) {
	services := func(grpc.ServiceRegistrar) {}
	for _, o := range []Options{
		{}, {Services: services, Origins: []string{"*"}}, {Services: services, Origins: []string{"https://*.example.org"}},
		{Services: services, Origins: []string{"https://a.example/"}}, {Services: services, Origins: []string{"null"}},
		{Services: services, MaxBody: -1},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v is valid", o)
		}
	}
}

// TestChannels keeps one connection for all requests of a principal, and not many without requests.
func TestChannels(t *testing.T) {
	c := newChannels(newLine(), 2)
	defer c.close()
	var releases []func()
	for i := range 100 {
		who := proof{principal: id.Principal("home.local/" + strings.Repeat("x", i+1))}
		first, release, err := c.acquire(who)
		if err != nil {
			t.Fatal(err)
		}
		again, release2, err := c.acquire(who)
		if err != nil || again != first {
			t.Errorf("two connections for one principal, %v", err)
		}
		if _, _, err := c.acquire(who); failureOf(err).Reason != "TOO_MANY_REQUESTS" {
			t.Errorf("a third request at a time: %v", err)
		}
		releases = append(releases, release, release2)
	}
	for _, release := range releases {
		release()
	}
	if len(c.all) > spareChannels {
		t.Errorf("%d connections without requests are kept", len(c.all))
	}
}
