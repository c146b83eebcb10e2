package identity

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
)

const (
	authorityLife = 20 * 365 * 24 * time.Hour
	deviceLife    = 2 * 365 * 24 * time.Hour
	// skew is how far the clock of a device may lag behind that of the authority when a new certificate arrives.
	skew = 24 * time.Hour

	domainPrefix = "syncbase-"
	// MaxDeviceName bounds the name of a device, in bytes.
	MaxDeviceName = 64
)

// authority can sign certificates for its trust domain.
type authority struct {
	cert *x509.Certificate
	key  ed25519.PrivateKey
}

// domainOf derives the name of a trust domain from the public key of its authority.
func domainOf(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return domainPrefix + hex.EncodeToString(sum[:8])
}

func newKey(random io.Reader) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(random)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return key, nil
}

// newAuthority makes an authority for a new trust domain.
func newAuthority(now time.Time, random io.Reader) (*authority, error) {
	key, err := newKey(random)
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	domain := domainOf(&x509.Certificate{RawSubjectPublicKeyInfo: spki})
	serial, err := newSerial(random)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{Organization: []string{"Syncbase"}, CommonName: domain},
		URIs:                  []*url.URL{{Scheme: "spiffe", Host: domain}},
		NotBefore:             now.Add(-skew),
		NotAfter:              now.Add(authorityLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
		// The authority speaks for its own domain alone, even where a verifier looks at nothing else.
		PermittedDNSDomainsCritical: true, // covers constraints of every kind
		PermittedURIDomains:         []string{domain},
	}
	cert, err := signCertificate(template, template, key.Public(), key, random)
	if err != nil {
		return nil, err
	}
	return &authority{cert: cert, key: key}, nil
}

// sign returns a certificate that proves principal to be the holder of the key.
func (a *authority) sign(principal id.Principal, public any, now time.Time, random io.Reader) (*x509.Certificate, error) {
	uri, err := url.Parse(principal.URI())
	if err != nil {
		return nil, err
	}
	serial, err := newSerial(random)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{Organization: []string{"Syncbase"}},
		URIs:                  []*url.URL{uri},
		NotBefore:             now.Add(-skew),
		NotAfter:              earlier(now.Add(deviceLife), a.cert.NotAfter),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	return signCertificate(template, a.cert, public, a.key, random)
}

func signCertificate(template, parent *x509.Certificate, public any, key ed25519.PrivateKey, random io.Reader) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(random, template, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

func newSerial(random io.Reader) (*big.Int, error) {
	raw := make([]byte, 16)
	if _, err := io.ReadFull(random, raw); err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	raw[0] = raw[0]&0x7f | 0x40
	return new(big.Int).SetBytes(raw), nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// device returns the principal of the device of that name.
func (a *authority) device(name string) (id.Principal, error) {
	if name == "" || len(name) > MaxDeviceName || strings.Contains(name, "/") {
		return "", fmt.Errorf("device name %q: want 1 to %d letters, digits, dots, dashes or underscores", name, MaxDeviceName)
	}
	p, err := id.ParsePrincipal(domainOf(a.cert) + "/owner/device/" + name)
	if err != nil {
		return "", fmt.Errorf("device name %q: %w", name, err)
	}
	return p, nil
}

// create fills dir with a new identity. The device's key is written last: without it the directory counts as empty, so a
// creation that was cut short is simply begun anew.
func create(dir string, opts Options) error {
	if err := makeDir(dir); err != nil {
		return err
	}
	if _, err := os.Stat(path(dir, keyFile)); err == nil {
		return fmt.Errorf("%s: %w", path(dir, keyFile), ErrExists)
	}
	now := opts.Now()
	ca, err := newAuthority(now, opts.Rand)
	if err != nil {
		return err
	}
	caKey, err := encodeKey(ca.key)
	if err != nil {
		return err
	}
	if err := writeFile(dir, caFile, encodeCertificates(ca.cert)); err != nil {
		return err
	}
	if err := writeFile(dir, caKeyFile, caKey); err != nil {
		return err
	}
	return ca.equip(dir, opts.Name, []*x509.Certificate{ca.cert}, opts)
}

// equip writes key, certificate and trust bundle of a device to dir, the key last.
func (a *authority) equip(dir, name string, trusted []*x509.Certificate, opts Options) error {
	principal, err := a.device(name)
	if err != nil {
		return err
	}
	key, err := newKey(opts.Rand)
	if err != nil {
		return err
	}
	leaf, err := a.sign(principal, key.Public(), opts.Now(), opts.Rand)
	if err != nil {
		return err
	}
	encoded, err := encodeKey(key)
	if err != nil {
		return err
	}
	if err := writeFile(dir, trustFile, encodeCertificates(trusted...)); err != nil {
		return err
	}
	if err := writeFile(dir, certFile, encodeCertificates(leaf)); err != nil {
		return err
	}
	return writeFile(dir, keyFile, encoded)
}

// Issue makes an identity for another device of the same owner in outDir, which must hold none: key, certificate, and
// the authorities that this device believes. It returns the new device's principal.
func (i *Identity) Issue(name, outDir string) (id.Principal, error) {
	c := i.credential()
	if c.ca == nil {
		return "", fmt.Errorf("issue a certificate for %q: %w: %s is missing in %s; run the command on the device that created the trust domain %s",
			name, ErrNotAuthority, caKeyFile, i.dir, c.principal.TrustDomain())
	}
	principal, err := c.ca.device(name)
	if err != nil {
		return "", err
	}
	if principal == c.principal {
		return "", fmt.Errorf("issue a certificate for %q: that is the name of this device; every device needs its own", name)
	}
	if err := makeDir(outDir); err != nil {
		return "", fmt.Errorf("issue a certificate for %q: %w", name, err)
	}
	for _, file := range []string{keyFile, certFile, trustFile} {
		if _, err := os.Lstat(path(outDir, file)); !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("issue a certificate for %q: %s: %w; choose another directory", name, path(outDir, file), ErrExists)
		}
	}
	if err := c.ca.equip(outDir, name, c.trust.certs, i.opts); err != nil {
		return "", fmt.Errorf("issue a certificate for %q: %w", name, err)
	}
	return principal, nil
}
