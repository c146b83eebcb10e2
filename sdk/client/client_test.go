package client

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// AtEnd is called after all tests, in the order of the list.
var AtEnd []func()

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		for _, f := range AtEnd {
			f()
		}
		os.Exit(code)
	}))
}

func TestFailure(t *testing.T) {
	c := &Client{address: "unix:///s"}
	for code, want := range kinds {
		st, err := status.New(code, "said").WithDetails(&errdetails.ErrorInfo{Domain: "syncbase", Reason: "WHY"})
		if err != nil {
			t.Fatal(err)
		}
		got := c.failure(st.Err())
		var e *Error
		if !errors.Is(got, want) || !errors.As(got, &e) || e.Reason != "WHY" || got.Error() != "said" {
			t.Errorf("%s: %v (%+v), want %v", code, got, e, want)
		}
	}
	got := c.failure(status.Error(codes.Unavailable, "connection refused"))
	if want := "no Syncbase daemon answers at unix:///s: connection refused"; got.Error() != want {
		t.Errorf("%q, want %q", got, want)
	}
	dialing := func(why string) error {
		return status.Error(codes.Unavailable, `connection error: desc = "transport: Error while dialing: dial unix /s: connect: `+why+`"`)
	}
	if got, want := c.failure(dialing("no such file")), "no Syncbase daemon answers at unix:///s: dial unix /s: connect: no such file"; got.Error() != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := c.failure(dialing("permission denied")); !errors.Is(got, ErrNoAccess) || errors.Is(got, ErrUnavailable) {
		t.Errorf("a socket of somebody else: %v", got)
	}
	for why, want := range map[string]bool{
		"error reading server preface: raw-read unix @->/s: use of closed network connection":     true,
		"authentication handshake failed: context deadline exceeded":                              true,
		"transport: Error while dialing: dial unix /s: connect: resource temporarily unavailable": true,
		"error reading server preface: EOF":                                                       false,
		"transport: Error while dialing: dial tcp 192.0.2.1:1: i/o timeout":                       false,
	} {
		got := c.failure(status.Error(codes.Unavailable, `connection error: desc = "`+why+`"`))
		if is := errors.Is(got, ErrSilent); is != want || !errors.Is(got, ErrUnavailable) {
			t.Errorf("%s: silent %v, want %v; %v", why, is, want, got)
		}
	}
	if got := c.failure(status.Error(codes.Canceled, "stream terminated by RST_STREAM")); got.Error() != "the call was canceled" {
		t.Errorf("a canceled call: %q", got)
	}
	if got := c.failure(status.Error(codes.Internal, "oh")); errors.Unwrap(got) != nil {
		t.Errorf("an internal error unwraps to %v", errors.Unwrap(got))
	}
	if c.failure(nil) != nil {
		t.Error("no error is a failure")
	}
}

func TestValues(t *testing.T) {
	for want, v := range map[string]any{
		`{"a":"<"}`: json.RawMessage(`{"a":"<"}`), `[1, 2]`: Value{Bytes: []byte(`[1, 2]`)}, `"x"`: "x", `null`: nil, `{"N":1}`: struct{ N int }{1},
	} {
		got, err := valueOf(v)
		if err != nil || string(got.Bytes) != want {
			t.Errorf("%v: %s, %v; want %s", v, got.Bytes, err, want)
		}
	}
	if _, err := valueOf(func() {}); !errors.Is(err, ErrInvalid) {
		t.Errorf("a function as a value: %v", err)
	}
}

func TestAddresses(t *testing.T) {
	for _, address := range []string{"", "nonsense", "unix://relative", "unix:", "host:", "host/path:1", "http://host:1", "host:1", "unix:///" + strings.Repeat("a", 103)} {
		c, err := Dial(t.Context(), address, Options{})
		if !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v, want it refused", address, err)
		}
		if c != nil {
			_ = c.Close()
		}
	}
	if _, err := Dial(t.Context(), "unix://"+filepath.Join(t.TempDir(), "none"), Options{}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("nobody there: %v", err)
	}
}

// authority signs certificates for a trust domain.
type authority struct {
	t      *testing.T
	domain string
	key    ed25519.PrivateKey
	cert   *x509.Certificate
	serial int64
}

func newAuthority(t *testing.T, domain string) *authority {
	a := &authority{t: t, domain: domain}
	a.cert, a.key = a.sign("", true)
	return a
}

func (a *authority) sign(path string, isCA bool) (*x509.Certificate, ed25519.PrivateKey) {
	a.t.Helper()
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		a.t.Fatal(err)
	}
	a.serial++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		URIs: []*url.URL{{Scheme: "spiffe", Host: a.domain, Path: path}}, BasicConstraintsValid: true, IsCA: isCA,
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	parent, signer := template, key
	if isCA {
		template.KeyUsage = x509.KeyUsageCertSign
	} else {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(nil, template, parent, public, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// issue writes an identity and returns options that use it.
func (a *authority) issue(path string, believed ...*authority) Options {
	a.t.Helper()
	dir := a.t.TempDir()
	cert, key := a.sign(path, false)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	var bundle []byte
	for _, b := range believed {
		bundle = append(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b.cert.Raw})...)
	}
	o := Options{Cert: filepath.Join(dir, "c"), Key: filepath.Join(dir, "k"), CA: filepath.Join(dir, "t")}
	for file, data := range map[string][]byte{
		o.Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}),
		o.Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
		o.CA:   bundle,
	} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	return o
}

// daemon lists no databases to whoever its authority admits.
type daemon struct {
	nodev1.UnimplementedNodeServiceServer
}

func (daemon) ListDatabases(*nodev1.ListDatabasesRequest, grpc.ServerStreamingServer[nodev1.ListDatabasesResponse]) error {
	return nil
}

func (a *authority) serve(path string, versions uint16) string {
	a.t.Helper()
	cert, key := a.sign(path, false)
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	creds := credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: pool, MaxVersion: versions,
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		a.t.Fatal(err)
	}
	s := grpc.NewServer(grpc.Creds(creds))
	nodev1.RegisterNodeServiceServer(s, daemon{})
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	a.t.Cleanup(func() {
		s.Stop()
		if err := <-served; err != nil {
			a.t.Error(err)
		}
	})
	return l.Addr().String()
}

func TestTLS(t *testing.T) {
	home, other := newAuthority(t, "home.local"), newAuthority(t, "other.local")
	address := home.serve("/owner/device/server", tls.VersionTLS13)
	old := home.serve("/owner/device/old", tls.VersionTLS12)
	phone := home.issue("/owner/device/phone", home)
	meant, wrong := phone, phone
	meant.Server, wrong.Server = "home.local/owner/device/server", "spiffe://home.local/owner/device/another"
	missing := phone
	missing.Key = filepath.Join(t.TempDir(), "none")
	for _, c := range []struct {
		what    string
		address string
		opts    Options
		want    error
	}{
		{"a device of the same authority", address, phone, nil},
		{"the server that is meant", address, meant, nil},
		{"another server than is meant", address, wrong, ErrUnavailable},
		{"a server that is not believed", address, home.issue("/owner/device/phone", other), ErrUnavailable},
		{"a stranger", address, other.issue("/owner", home), ErrUnavailable},
		{"a server of yesterday", old, phone, ErrUnavailable},
		{"no key", address, missing, ErrInvalid},
		{"nobody to believe", address, home.issue("/owner/device/phone"), ErrInvalid},
		{"no credentials", address, Options{}, ErrInvalid},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		client, err := Dial(ctx, c.address, c.opts)
		cancel()
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
		if client != nil {
			_ = client.Close()
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for attempts, want := range map[int]time.Duration{1: firstRetry, 2: 2 * firstRetry, 4: 8 * firstRetry, 8: lastRetry, 100: lastRetry, 1 << 40: lastRetry} {
		if got := retryAfter(attempts, 1); got != want {
			t.Errorf("at most %v after %d attempts, want %v", got, attempts, want)
		}
		if got := retryAfter(attempts, 0); got != 0 {
			t.Errorf("at least %v after %d attempts", got, attempts)
		}
	}
}
