package identity

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/syncbase/syncbase/host/internal/id"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// refusals collects what hooks are told.
type refusals struct {
	mu  sync.Mutex
	all []Refusal
}

func (r *refusals) hook(refusal Refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, refusal)
}

func (r *refusals) only(t *testing.T) Refusal {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all) != 1 {
		t.Fatalf("%d refusals, want one: %v", len(r.all), r.all)
	}
	return r.all[0]
}

// callerServer tells on seen who called.
type callerServer struct {
	healthv1.HealthServer
	seen chan id.Principal
}

func (s callerServer) Check(ctx context.Context, req *healthv1.HealthCheckRequest) (*healthv1.HealthCheckResponse, error) {
	p, err := Caller(ctx)
	if err != nil {
		return nil, err
	}
	s.seen <- p
	return s.HealthServer.Check(ctx, req)
}

// serve runs a gRPC server until the test ends.
func serve(t *testing.T, network, address string, creds credentials.TransportCredentials) (string, chan id.Principal) {
	t.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan id.Principal, 1)
	server := grpc.NewServer(grpc.Creds(creds))
	healthv1.RegisterHealthServer(server, callerServer{health.NewServer(), seen})
	done := make(chan error)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		<-done
	})
	return listener.Addr().String(), seen
}

func call(t *testing.T, target string, creds credentials.TransportCredentials) error {
	t.Helper()
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{})
	return err
}

// handshake connects without gRPC, for the plain error.
func handshake(t *testing.T, address string, creds credentials.TransportCredentials) error {
	t.Helper()
	raw, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, _, err := creds.ClientHandshake(ctx, address, raw)
	if err == nil {
		conn.Close()
	}
	return err
}

func TestDevicesOfOneAuthorityMeet(t *testing.T) {
	root := t.TempDir()
	a := mustOpen(t, filepath.Join(root, "a"), Options{Name: "a"})
	if _, err := a.Issue("b", filepath.Join(root, "b")); err != nil {
		t.Fatal(err)
	}
	b := mustOpen(t, filepath.Join(root, "b"), Options{})
	var told refusals
	address, seen := serve(t, "tcp", "127.0.0.1:0", a.ServerCredentials(told.hook))
	if err := call(t, address, b.ClientCredentials(told.hook)); err != nil {
		t.Fatal(err)
	}
	if got := <-seen; got != b.Principal() {
		t.Errorf("the server saw %q, want %q", got, b.Principal())
	}
	if len(told.all) != 0 {
		t.Errorf("refusals %v", told.all)
	}
}

func TestStrangersRefuseEachOther(t *testing.T) {
	a := mustOpen(t, filepath.Join(t.TempDir(), "a"), Options{})
	b := mustOpen(t, filepath.Join(t.TempDir(), "b"), Options{})
	var server, client refusals
	address, _ := serve(t, "tcp", "127.0.0.1:0", a.ServerCredentials(server.hook))

	err := handshake(t, address, b.ClientCredentials(client.hook))
	if !errors.Is(err, ErrRefused) {
		t.Fatalf("got %v, want a refusal", err)
	}
	refusal := client.only(t)
	if refusal.Domain != a.Principal().TrustDomain() || refusal.Address != address || refusal.Remote {
		t.Errorf("client was told %+v", refusal)
	}
	for _, want := range []string{address, refusal.Domain, "identity trust", "identity issue"} {
		if !strings.Contains(refusal.Error(), want) {
			t.Errorf("%q lacks %q", refusal, want)
		}
	}
}

func TestServerRefusesStranger(t *testing.T) {
	a := mustOpen(t, filepath.Join(t.TempDir(), "a"), Options{})
	b := mustOpen(t, filepath.Join(t.TempDir(), "b"), Options{})
	if _, err := b.Trust(path(a.dir, caFile)); err != nil { // b trusts a, but a does not trust b
		t.Fatal(err)
	}
	var server, client refusals
	address, seen := serve(t, "tcp", "127.0.0.1:0", a.ServerCredentials(server.hook))
	err := handshake(t, address, b.ClientCredentials(client.hook))
	if !errors.Is(err, ErrRefused) {
		t.Fatalf("got %v, want a refusal", err)
	}
	if got := server.only(t); got.Domain != b.Principal().TrustDomain() || got.Remote {
		t.Errorf("server was told %+v", got)
	}
	if got := client.only(t); !got.Remote || !strings.Contains(got.Error(), "identity trust") {
		t.Errorf("client was told %+v", got)
	}

	if _, err := a.Trust(path(b.dir, caFile)); err != nil {
		t.Fatal(err)
	}
	if err := call(t, address, b.ClientCredentials(client.hook)); err != nil {
		t.Fatalf("after trust was added, without a restart: %v", err)
	}
	if got := <-seen; got != b.Principal() {
		t.Errorf("the server saw %q", got)
	}
}

// TestAuthorityCannotSpeakForAnother lets a trusted authority sign a certificate in the trust domain of the other.
func TestAuthorityCannotSpeakForAnother(t *testing.T) {
	a := mustOpen(t, filepath.Join(t.TempDir(), "a"), Options{})
	b := mustOpen(t, filepath.Join(t.TempDir(), "b"), Options{})
	for _, pair := range [][2]*Identity{{a, b}, {b, a}} {
		if _, err := pair[0].Trust(path(pair[1].dir, caFile)); err != nil {
			t.Fatal(err)
		}
	}
	forged := *b.current
	leaf, err := forged.ca.sign(a.Principal()+"2", forged.leaf.PublicKey, time.Now(), b.opts.Rand)
	if err != nil {
		t.Fatal(err)
	}
	forged.tls.Certificate, forged.tls.Leaf = [][]byte{leaf.Raw}, leaf
	b.current = &forged

	var server refusals
	address, _ := serve(t, "tcp", "127.0.0.1:0", a.ServerCredentials(server.hook))
	if err := handshake(t, address, b.ClientCredentials(nil)); !errors.Is(err, ErrRefused) {
		t.Fatalf("got %v, want a refusal", err)
	}
	if got := server.only(t); !strings.Contains(got.Reason, "not signed by the authority") {
		t.Errorf("server was told %q", got)
	}
}

func TestServerRefusesNoCertificate(t *testing.T) {
	a := mustOpen(t, filepath.Join(t.TempDir(), "a"), Options{})
	var server refusals
	address, _ := serve(t, "tcp", "127.0.0.1:0", a.ServerCredentials(server.hook))
	raw, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}})
	if _, err = conn.Read(make([]byte, 1)); err == nil {
		t.Fatal("a client without a certificate was served")
	}
	if r, ok := a.RemoteRefusal(address, err); !ok {
		t.Errorf("got %v (%v), want an alert about the certificate", err, r)
	}
	if got := server.only(t); got.Claimed != "" || !strings.Contains(got.Reason, "no certificate") {
		t.Errorf("server was told %+v", got)
	}
}

func TestServerSpeaksOnlyTLS13(t *testing.T) {
	a := mustOpen(t, filepath.Join(t.TempDir(), "a"), Options{})
	address, _ := serve(t, "tcp", "127.0.0.1:0", a.ServerCredentials(nil))
	raw, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	config := a.ClientTLS(address, nil)
	config.MinVersion, config.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if err := tls.Client(raw, config).Handshake(); err == nil {
		t.Error("TLS 1.2 was accepted")
	}
}

func TestExpiredCertificateIsRefused(t *testing.T) {
	now := time.Now()
	opts := Options{Now: func() time.Time { return now }}
	root := t.TempDir()
	a := mustOpen(t, filepath.Join(root, "a"), opts)
	if _, err := a.Issue("b", filepath.Join(root, "b")); err != nil {
		t.Fatal(err)
	}
	b := mustOpen(t, filepath.Join(root, "b"), opts)
	now = now.Add(deviceLife + time.Hour)
	var server refusals
	address, _ := serve(t, "tcp", "127.0.0.1:0", a.ServerCredentials(server.hook))
	if err := handshake(t, address, b.ClientCredentials(nil)); !errors.Is(err, ErrRefused) {
		t.Fatalf("got %v, want a refusal", err)
	}
	if got := server.only(t); !strings.Contains(got.Reason, "valid from") {
		t.Errorf("server was told %q", got)
	}
}

func TestLocalSocketIsTheOwner(t *testing.T) {
	a := mustOpen(t, filepath.Join(t.TempDir(), "a"), Options{})
	address, seen := serve(t, "unix", filepath.Join(t.TempDir(), "s"), a.LocalCredentials())
	if err := call(t, "unix:"+address, insecure.NewCredentials()); err != nil {
		t.Fatal(err)
	}
	if got := <-seen; got != a.Owner() {
		t.Errorf("the server saw %q, want the owner %q", got, a.Owner())
	}
}

func TestLocalCredentialsRefuseTCP(t *testing.T) {
	a := mustOpen(t, filepath.Join(t.TempDir(), "a"), Options{})
	address, _ := serve(t, "tcp", "127.0.0.1:0", a.LocalCredentials())
	if err := call(t, address, insecure.NewCredentials()); err == nil {
		t.Error("a TCP connection passed for a local one")
	}
}

func TestCallerOfNothing(t *testing.T) {
	if _, err := Caller(t.Context()); !errors.Is(err, ErrAnonymous) {
		t.Errorf("got %v, want ErrAnonymous", err)
	}
}
