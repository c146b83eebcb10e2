package identity

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
)

func mustOpen(t *testing.T, dir string, opts Options) *Identity {
	t.Helper()
	i, err := Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestOpenCreatesThenLoads(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "identity")
	first := mustOpen(t, dir, Options{Name: "laptop"})
	domain := first.Principal().TrustDomain()
	if len(domain) != len("syncbase-")+16 || !strings.HasPrefix(domain, "syncbase-") {
		t.Errorf("trust domain %q", domain)
	}
	if want := id.Principal(domain + "/owner/device/laptop"); first.Principal() != want {
		t.Errorf("principal %q, want %q", first.Principal(), want)
	}
	if want := id.Principal(domain + "/owner"); first.Owner() != want {
		t.Errorf("owner %q, want %q", first.Owner(), want)
	}
	again := mustOpen(t, dir, Options{Name: "other"})
	if again.Principal() != first.Principal() {
		t.Errorf("second start is %q, first was %q", again.Principal(), first.Principal())
	}
	if d := again.Describe(); !d.Authority || len(d.Trusted) != 1 || d.Trusted[0] != domain {
		t.Errorf("description %+v", d)
	}
	for _, file := range []string{keyFile, certFile, trustFile, caKeyFile, caFile} {
		st, err := os.Stat(path(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		if st.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %#o", file, st.Mode().Perm())
		}
	}
	if st, _ := os.Stat(dir); st.Mode().Perm() != 0o700 {
		t.Errorf("directory has mode %#o", st.Mode().Perm())
	}
}

func TestOpenRefuses(t *testing.T) {
	replace := func(file, with string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.WriteFile(path(dir, file), []byte(with), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	foreign := func(file string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			other := t.TempDir()
			mustOpen(t, filepath.Join(other, "x"), Options{})
			data, err := os.ReadFile(path(filepath.Join(other, "x"), file))
			if err != nil {
				t.Fatal(err)
			}
			replace(file, string(data))(t, dir)
		}
	}
	mode := func(file string, mode os.FileMode) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Chmod(path(dir, file), mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove := func(file string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Remove(path(dir, file)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, tc := range map[string]struct {
		spoil func(*testing.T, string)
		want  string
	}{
		"readable key":       {mode(keyFile, 0o640), "chmod"},
		"readable ca key":    {mode(caKeyFile, 0o604), "chmod"},
		"writable trust":     {mode(trustFile, 0o620), "chmod"},
		"writable directory": {mode(".", 0o770), "chmod"},
		"garbage key":        {replace(keyFile, "garbage"), "no private key"},
		"garbage cert":       {replace(certFile, "garbage"), "no certificate"},
		"empty trust":        {replace(trustFile, ""), "no certificate"},
		"another's key":      {foreign(keyFile), "do not belong together"},
		"another's cert":     {foreign(certFile), "do not belong together"},
		"another's trust":    {foreign(trustFile), "lacks the authority"},
		"another's ca":       {foreign(caFile), "do not belong together"},
		"no cert":            {remove(certFile), "cert.pem"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "identity")
			mustOpen(t, dir, Options{})
			tc.spoil(t, dir)
			_, err := Open(dir, Options{})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}

func TestInitRefusesExisting(t *testing.T) {
	dir := t.TempDir()
	if _, err := Init(dir, "a", Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := Init(dir, "b", Options{}); err == nil {
		t.Fatal("a second identity replaced the first")
	}
}

func TestDeviceNames(t *testing.T) {
	for _, name := range []string{"a b", "a/b", "..", "ü", strings.Repeat("x", MaxDeviceName+1)} {
		if _, err := Init(t.TempDir(), name, Options{}); err == nil {
			t.Errorf("name %q was accepted", name)
		}
	}
}

func TestIssue(t *testing.T) {
	root := t.TempDir()
	authority := mustOpen(t, filepath.Join(root, "a"), Options{Name: "a"})
	out := filepath.Join(root, "b")
	principal, err := authority.Issue("b", out)
	if err != nil {
		t.Fatal(err)
	}
	device := mustOpen(t, out, Options{})
	if device.Principal() != principal || device.Owner() != authority.Owner() || principal == authority.Principal() {
		t.Errorf("issued %q, opened %q, owner %q", principal, device.Principal(), device.Owner())
	}
	entries, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 3 {
		t.Errorf("the directory holds %v, want key, certificate and trust bundle alone", entries)
	}
	if _, err := device.Issue("c", filepath.Join(root, "c")); err == nil || !strings.Contains(err.Error(), "not the authority") {
		t.Errorf("a plain device issued a certificate: %v", err)
	}
	if _, err := authority.Issue("d", out); err == nil {
		t.Error("an identity was overwritten")
	}
	if _, err := authority.Issue("a", filepath.Join(root, "e")); err == nil {
		t.Error("the authority's own name was issued again")
	}
}

func TestRenewal(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	opts := Options{Now: func() time.Time { return now }}
	root := t.TempDir()
	authority := mustOpen(t, filepath.Join(root, "a"), opts)
	if _, err := authority.Issue("b", filepath.Join(root, "b")); err != nil {
		t.Fatal(err)
	}
	before := authority.Describe().Expires
	now = now.Add(deviceLife / 2)
	if got := authority.Describe().Expires; got != before {
		t.Errorf("renewed with half of its life left: %s", got)
	}
	now = now.Add(deviceLife / 4)
	renewed := authority.Describe().Expires
	if !renewed.After(before) {
		t.Fatalf("not renewed with a quarter of its life left: %s", renewed)
	}
	if got := mustOpen(t, filepath.Join(root, "a"), opts).Describe().Expires; got != renewed {
		t.Errorf("the renewed certificate was not kept: %s, want %s", got, renewed)
	}
	now = now.Add(deviceLife)
	if _, err := Open(filepath.Join(root, "b"), opts); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("an expired identity was opened: %v", err)
	}
}

func TestTrust(t *testing.T) {
	root := t.TempDir()
	a := mustOpen(t, filepath.Join(root, "a"), Options{})
	b := mustOpen(t, filepath.Join(root, "b"), Options{})
	for range 2 { // the second time changes nothing
		domain, err := a.Trust(path(b.dir, caFile))
		if err != nil {
			t.Fatal(err)
		}
		if domain != b.Principal().TrustDomain() {
			t.Errorf("trusted %q", domain)
		}
	}
	if got := a.Describe().Trusted; len(got) != 2 {
		t.Errorf("trusted domains %v", got)
	}
	if got := mustOpen(t, a.dir, Options{}).Describe().Trusted; len(got) != 2 {
		t.Errorf("trusted domains after a restart %v", got)
	}
	if _, err := a.Trust(path(b.dir, certFile)); err == nil || !strings.Contains(err.Error(), "ca.pem") {
		t.Errorf("a device certificate was trusted as an authority: %v", err)
	}
	if _, err := b.Trust(path(a.dir, trustFile)); err == nil {
		t.Error("a bundle of two authorities was trusted as a whole")
	}
	if _, err := a.Trust(filepath.Join(root, "missing")); err == nil {
		t.Error("a missing file was trusted")
	}
}

func TestTrustRefusesForgedDomain(t *testing.T) {
	a := mustOpen(t, filepath.Join(t.TempDir(), "a"), Options{})
	b := mustOpen(t, filepath.Join(t.TempDir(), "b"), Options{})
	forged := *b.current.ca.cert
	forged.URIs = a.current.ca.cert.URIs
	cert, err := signCertificate(&forged, &forged, b.current.ca.key.Public(), b.current.ca.key, a.opts.Rand)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "forged.pem")
	if err := os.WriteFile(file, encodeCertificates(cert), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Trust(file); err == nil || !strings.Contains(err.Error(), "forged") {
		t.Errorf("another key was trusted for our own domain: %v", err)
	}
}

func TestChangesOnDiskAreSeen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	var problems []error
	running := mustOpen(t, dir, Options{Problem: func(err error) { problems = append(problems, err) }})
	other := mustOpen(t, filepath.Join(t.TempDir(), "b"), Options{})
	if _, err := mustOpen(t, dir, Options{}).Trust(path(other.dir, caFile)); err != nil {
		t.Fatal(err)
	}
	if got := running.Describe().Trusted; len(got) != 2 {
		t.Errorf("the running identity trusts %v", got)
	}
	if err := os.WriteFile(path(dir, trustFile), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := running.Describe().Trusted; len(got) != 2 {
		t.Errorf("a broken file took effect: %v", got)
	}
	if len(problems) != 1 || !strings.Contains(problems[0].Error(), "stay in force") {
		t.Errorf("problems %v", problems)
	}
}
