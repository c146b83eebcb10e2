package identity

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"
)

// web serves the name of the caller over HTTP until the test ends.
func web(t *testing.T, i *Identity, refused func(Refusal)) string {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proof, err := i.WebProof(*r.TLS)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, string(proof.(*AuthInfo).Principal()))
	}))
	server.TLS, server.EnableHTTP2 = i.WebTLS(refused), true
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

func ask(t *testing.T, url string, config *tls.Config) (string, error) {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true, DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: transport}).Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}

// TestWebTLS admits over HTTP whom it admits elsewhere, whatever version of HTTP they speak.
func TestWebTLS(t *testing.T) {
	now := time.Now()
	opts := Options{Now: func() time.Time { return now }}
	root := t.TempDir()
	a := mustOpen(t, filepath.Join(root, "a"), opts)
	if _, err := a.Issue("b", filepath.Join(root, "b")); err != nil {
		t.Fatal(err)
	}
	b := mustOpen(t, filepath.Join(root, "b"), opts)
	stranger := mustOpen(t, filepath.Join(root, "c"), opts)
	var told refusals
	url := web(t, a, told.hook)
	present := func(i *Identity, protocols ...string) *tls.Config {
		c := &tls.Config{InsecureSkipVerify: true, NextProtos: protocols}
		if i != nil {
			c.Certificates = []tls.Certificate{i.credential().tls}
		}
		return c
	}
	for _, config := range []*tls.Config{present(b), present(b, "http/1.1"), present(b, "h2")} {
		got, err := ask(t, url, config)
		if want := string(b.Describe().Principal); got != want || err != nil {
			t.Errorf("%v: %q, %v; want %s", config.NextProtos, got, err, want)
		}
	}
	for who, config := range map[string]*tls.Config{"stranger": present(stranger), "nobody": present(nil)} {
		if got, err := ask(t, url, config); err == nil {
			t.Errorf("%s was admitted: %s", who, got)
		}
	}
	told.mu.Lock()
	if len(told.all) != 2 {
		t.Errorf("told of %v, want two refusals", told.all)
	}
	told.mu.Unlock()
	old := present(b)
	old.MaxVersion = tls.VersionTLS12
	if _, err := ask(t, url, old); err == nil {
		t.Error("TLS 1.2 was accepted")
	}
}

// TestWebProofEnds asks again for the proof of a connection that was made while the certificate held.
func TestWebProofEnds(t *testing.T) {
	now := time.Now()
	opts := Options{Now: func() time.Time { return now }}
	root := t.TempDir()
	a := mustOpen(t, filepath.Join(root, "a"), opts)
	if _, err := a.Issue("b", filepath.Join(root, "b")); err != nil {
		t.Fatal(err)
	}
	b := mustOpen(t, filepath.Join(root, "b"), opts)
	state := tls.ConnectionState{HandshakeComplete: true, PeerCertificates: []*x509.Certificate{b.credential().leaf}}
	if _, err := a.WebProof(state); err != nil {
		t.Errorf("while it holds: %v", err)
	}
	now = now.Add(deviceLife + time.Hour)
	if _, err := a.WebProof(state); err == nil {
		t.Error("the proof holds longer than the certificate")
	}
}

func TestOwnerProof(t *testing.T) {
	a := mustOpen(t, filepath.Join(t.TempDir(), "a"), Options{})
	if got := a.OwnerProof().(*AuthInfo).Principal(); got != a.Owner() {
		t.Errorf("%s, want %s", got, a.Owner())
	}
}
