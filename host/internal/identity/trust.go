package identity

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// maxTrusted bounds the authorities in a bundle.
const maxTrusted = 1024

// trust is the set of authorities believed, each for its own trust domain.
type trust struct {
	certs []*x509.Certificate
	set   *x509bundle.Set
}

// newTrust checks every authority; two for one trust domain are refused.
func newTrust(certs []*x509.Certificate) (*trust, error) {
	if len(certs) > maxTrusted {
		return nil, fmt.Errorf("%d authorities, the limit is %d", len(certs), maxTrusted)
	}
	t := &trust{certs: certs, set: x509bundle.NewSet()}
	for _, cert := range certs {
		domain, err := checkAuthority(cert)
		if err != nil {
			return nil, err
		}
		if t.set.Has(domain) {
			return nil, fmt.Errorf("there are two authorities for the trust domain %s; remove the one that is wrong", domain)
		}
		t.set.Add(x509bundle.FromX509Authorities(domain, []*x509.Certificate{cert}))
	}
	return t, nil
}

func (t *trust) domains() []string {
	var names []string
	for _, b := range t.set.Bundles() {
		names = append(names, b.TrustDomain().Name())
	}
	slices.Sort(names)
	return names
}

func (t *trust) has(domain string) bool {
	td, err := spiffeid.TrustDomainFromString(domain)
	return err == nil && t.set.Has(td)
}

// checkAuthority returns the trust domain that a certificate is the authority of. A domain with a name of our making
// must carry the key that the name was derived from, so nobody can put his own authority in its place.
func checkAuthority(cert *x509.Certificate) (spiffeid.TrustDomain, error) {
	none := spiffeid.TrustDomain{}
	if !cert.IsCA || !cert.BasicConstraintsValid || cert.KeyUsage&x509.KeyUsageCertSign == 0 {
		return none, errors.New("the certificate is not that of an authority (a device's cert.pem was given in place of the authority's ca.pem?)")
	}
	spiffe, err := x509svid.IDFromCert(cert)
	if err != nil {
		return none, fmt.Errorf("the certificate names no SPIFFE trust domain: %w", err)
	}
	domain := spiffe.TrustDomain()
	if spiffe.Path() != "" {
		return none, fmt.Errorf("the certificate names %s, want a trust domain without a path", spiffe)
	}
	if strings.HasPrefix(domain.Name(), domainPrefix) && domain.Name() != domainOf(cert) {
		return none, fmt.Errorf("the certificate claims the trust domain %s, but its key belongs to %s: it is forged", domain, domainOf(cert))
	}
	return domain, nil
}

// Trust adds the authority in the PEM file to those this device believes and returns its trust domain. The file must
// hold exactly one certificate: trust is not passed on. Adding what is there already changes nothing.
func (i *Identity) Trust(file string) (domain string, err error) {
	certs, err := readCertificates(file)
	if err != nil {
		return "", fmt.Errorf("trust: %w", err)
	}
	if len(certs) != 1 {
		return "", fmt.Errorf("trust: %s holds %d certificates; give the one ca.pem of the authority to trust, since the others would be trusted too", file, len(certs))
	}
	td, err := checkAuthority(certs[0])
	if err != nil {
		return "", fmt.Errorf("trust: %s: %w", file, err)
	}
	if now := i.opts.Now(); now.After(certs[0].NotAfter) {
		return "", fmt.Errorf("trust: %s: the certificate expired on %s", file, certs[0].NotAfter)
	}
	return td.Name(), i.addTrust(certs[0])
}

func (i *Identity) addTrust(cert *x509.Certificate) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	// Another process may have added one since; what counts is the file.
	certs, err := readCertificates(path(i.dir, trustFile))
	if err != nil {
		return fmt.Errorf("trust: %w", err)
	}
	if slices.ContainsFunc(certs, cert.Equal) {
		return nil
	}
	t, err := newTrust(append(certs, cert))
	if err != nil {
		return fmt.Errorf("trust: %w", err)
	}
	if err := writeFile(i.dir, trustFile, encodeCertificates(t.certs...)); err != nil {
		return fmt.Errorf("trust: %w", err)
	}
	next := *i.current
	next.trust = t
	i.current = &next
	i.stamp = stampOf(i.dir)
	return nil
}
