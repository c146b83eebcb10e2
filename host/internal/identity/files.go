package identity

import (
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/syncbase/syncbase/host/internal/id"
)

const (
	keyFile   = "key.pem"
	certFile  = "cert.pem"
	trustFile = "trust.pem"
	caKeyFile = "ca.key.pem"
	caFile    = "ca.pem"

	// maxFile bounds what is read of any file of an identity.
	maxFile = 4 << 20
)

func path(dir, file string) string { return filepath.Join(dir, file) }

// stamp tells whether one of the files has been replaced.
type stamp [4]struct {
	size     int64
	modified time.Time
}

func stampOf(dir string) (s stamp) {
	for n, file := range []string{keyFile, certFile, trustFile, caKeyFile} {
		if st, err := os.Stat(path(dir, file)); err == nil {
			s[n].size, s[n].modified = st.Size(), st.ModTime()
		}
	}
	return s
}

// readCredential reads a whole identity and checks that its parts belong together.
func readCredential(dir string) (*credential, error) {
	if err := checkPrivate(dir, dir, 0o022); err != nil {
		return nil, err
	}
	for file, forbidden := range map[string]fs.FileMode{keyFile: 0o077, caKeyFile: 0o077, certFile: 0o022, trustFile: 0o022} {
		if err := checkPrivate(dir, path(dir, file), forbidden); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	key, err := readKey(path(dir, keyFile))
	if err != nil {
		return nil, err
	}
	leaf, principal, err := readLeaf(path(dir, certFile))
	if err != nil {
		return nil, err
	}
	if !key.Public().(ed25519.PublicKey).Equal(leaf.PublicKey) {
		return nil, fmt.Errorf("%s and %s do not belong together", keyFile, certFile)
	}
	trusted, err := readTrust(path(dir, trustFile), principal.TrustDomain())
	if err != nil {
		return nil, err
	}
	ca, err := readAuthority(dir, principal.TrustDomain())
	if err != nil {
		return nil, err
	}
	return &credential{
		principal: principal,
		leaf:      leaf,
		tls:       tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf},
		trust:     trusted,
		ca:        ca,
	}, nil
}

// checkPrivate refuses a file that grants others one of the forbidden rights.
func checkPrivate(dir, name string, forbidden fs.FileMode) error {
	st, err := os.Stat(name)
	if err != nil {
		return err
	}
	if mode := st.Mode().Perm(); mode&forbidden != 0 {
		return fmt.Errorf("%s has mode %#o, so others than its owner can read or change it; run `chmod -R go= %s`", name, mode, dir)
	}
	return nil
}

func readLeaf(file string) (*x509.Certificate, id.Principal, error) {
	certs, err := readCertificates(file)
	if err != nil {
		return nil, "", err
	}
	if len(certs) != 1 {
		return nil, "", fmt.Errorf("%s holds %d certificates, want one", file, len(certs))
	}
	spiffe, err := x509svid.IDFromCert(certs[0])
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", file, err)
	}
	principal, err := id.ParsePrincipal(spiffe.String())
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", file, err)
	}
	return certs[0], principal, nil
}

func readTrust(file, own string) (*trust, error) {
	certs, err := readCertificates(file)
	if err != nil {
		return nil, err
	}
	t, err := newTrust(certs)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if !t.has(own) {
		return nil, fmt.Errorf("%s lacks the authority of this device's own trust domain %s; copy it again from the directory that `identity issue` made", file, own)
	}
	return t, nil
}

// readAuthority returns nil when dir has no authority's key.
func readAuthority(dir, domain string) (*authority, error) {
	key, err := readKey(path(dir, caKeyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	certs, err := readCertificates(path(dir, caFile))
	if err != nil {
		return nil, err
	}
	if len(certs) != 1 || !key.Public().(ed25519.PublicKey).Equal(certs[0].PublicKey) || domainOf(certs[0]) != domain {
		return nil, fmt.Errorf("%s and %s do not belong together, or to the trust domain %s", caKeyFile, caFile, domain)
	}
	return &authority{cert: certs[0], key: key}, nil
}

func readBounded(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", file, maxFile)
	}
	return data, nil
}

func readCertificates(file string) ([]*x509.Certificate, error) {
	data, err := readBounded(file)
	if err != nil {
		return nil, err
	}
	var certs []*x509.Certificate
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%s holds a %q, want certificates alone", file, block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", file)
	}
	return certs, nil
}

func readKey(file string) (ed25519.PrivateKey, error) {
	data, err := readBounded(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("%s holds no private key in PEM form", file)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds a %T, want an Ed25519 key", file, parsed)
	}
	return key, nil
}

func encodeKey(key ed25519.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func encodeCertificates(certs ...*x509.Certificate) []byte {
	var out []byte
	for _, cert := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)
	}
	return out
}

// makeDir makes dir, for its owner alone, if it is missing.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return checkPrivate(dir, dir, 0o022)
}

// writeFile replaces a file atomically and durably. It is readable by its owner alone.
func writeFile(dir, name string, data []byte) (err error) {
	f, err := os.CreateTemp(dir, "."+name+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path(dir, name), err)
	}
	if err := os.Rename(f.Name(), path(dir, name)); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
