package identity

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/spiffe/go-spiffe/v2/svid/x509svid"

	"github.com/syncbase/syncbase/host/internal/id"
)

// ErrExists is returned by Init when the directory already holds an identity.
var ErrExists = errors.New("an identity exists already")

// ErrNotAuthority is returned where the authority's private key is needed and this directory has none.
var ErrNotAuthority = errors.New("this device is not the authority of its trust domain")

// Options of an identity. The zero value works.
type Options struct {
	// Name of this device, a single path segment; used only when the identity is created. Default "device".
	Name string
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Rand is where keys and serial numbers come from; default crypto/rand.
	Rand io.Reader
	// Problem is told when files that changed on disk cannot be used (the last good ones stay in force) or a renewal
	// fails. It may be called during any handshake, from several goroutines. Default: nobody is told.
	Problem func(error)
}

func (o Options) withDefaults() Options {
	if o.Name == "" {
		o.Name = "device"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Problem == nil {
		o.Problem = func(error) {}
	}
	return o
}

// Identity is an open identity directory. Safe for concurrent use.
type Identity struct {
	dir  string
	opts Options

	// mu guards the fields below it.
	mu sync.Mutex
	// current is never changed once stored, only replaced.
	current *credential
	stamp   stamp
}

// credential is one consistent reading of the directory.
type credential struct {
	principal id.Principal
	leaf      *x509.Certificate
	tls       tls.Certificate
	trust     *trust
	// ca is nil where the authority's key is not at hand.
	ca *authority
}

// Open opens the identity in dir, and creates one, with a trust domain of its own, when dir is missing or holds none.
// It refuses a directory whose private files others may read. A device certificate of which less than a third of its
// life is left is renewed if the authority's key is at hand.
func Open(dir string, opts Options) (*Identity, error) {
	opts = opts.withDefaults()
	if _, err := os.Stat(path(dir, keyFile)); errors.Is(err, fs.ErrNotExist) {
		if err := create(dir, opts); err != nil {
			return nil, fmt.Errorf("create identity in %s: %w", dir, err)
		}
	}
	return load(dir, opts)
}

// Init creates an identity for a device of that name in dir, with a trust domain of its own. ErrExists if there is one.
func Init(dir, name string, opts Options) (*Identity, error) {
	opts.Name = name
	opts = opts.withDefaults()
	if err := create(dir, opts); err != nil {
		return nil, fmt.Errorf("create identity in %s: %w", dir, err)
	}
	return load(dir, opts)
}

func load(dir string, opts Options) (*Identity, error) {
	i := &Identity{dir: dir, opts: opts}
	i.stamp = stampOf(dir)
	c, err := readCredential(dir)
	if err != nil {
		return nil, fmt.Errorf("identity in %s: %w", dir, err)
	}
	if i.current, err = i.renewed(c); err != nil {
		return nil, fmt.Errorf("identity in %s: %w", dir, err)
	}
	now := opts.Now()
	if now.After(i.current.leaf.NotAfter) {
		return nil, fmt.Errorf("identity in %s: the certificate of %s expired on %s and the authority's key is not here to renew it; run `syncbase identity issue` at the authority",
			dir, c.principal, c.leaf.NotAfter.Format(time.DateOnly))
	}
	return i, nil
}

// credential returns what is in force, after looking whether the files have changed or the certificate needs renewal.
func (i *Identity) credential() *credential {
	c, err := i.refresh()
	if err != nil {
		i.opts.Problem(fmt.Errorf("identity in %s: %w", i.dir, err))
	}
	return c
}

// refresh always returns a usable credential; the error says why it may be an old one.
func (i *Identity) refresh() (*credential, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	var unusable error
	if s := stampOf(i.dir); s != i.stamp {
		i.stamp = s
		c, err := readCredential(i.dir)
		if err == nil {
			i.current = c
		} else {
			unusable = fmt.Errorf("the files changed, but cannot be used, so the previous ones stay in force: %w", err)
		}
	}
	c, err := i.renewed(i.current)
	if err != nil {
		return i.current, errors.Join(unusable, err)
	}
	i.current = c
	return c, unusable
}

// renewed returns c, or a credential with a new certificate for the same key where that is due and possible. mu is held,
// or nobody else has i yet.
func (i *Identity) renewed(c *credential) (*credential, error) {
	now := i.opts.Now()
	life := c.leaf.NotAfter.Sub(c.leaf.NotBefore)
	if c.ca == nil || c.leaf.NotAfter.Sub(now) >= life/3 {
		return c, nil
	}
	leaf, err := c.ca.sign(c.principal, c.leaf.PublicKey, now, i.opts.Rand)
	if err != nil {
		return nil, fmt.Errorf("renew certificate: %w", err)
	}
	if err := writeFile(i.dir, certFile, encodeCertificates(leaf)); err != nil {
		return nil, fmt.Errorf("renew certificate: %w", err)
	}
	i.stamp = stampOf(i.dir)
	next := *c
	next.leaf = leaf
	next.tls.Certificate = [][]byte{leaf.Raw}
	next.tls.Leaf = leaf
	return &next, nil
}

// Principal is this device.
func (i *Identity) Principal() id.Principal { return i.credential().principal }

// Owner is the principal on whose behalf this device acts.
func (i *Identity) Owner() id.Principal { return i.Principal().Owner() }

// Description is what there is to show of an identity.
type Description struct {
	Principal   id.Principal
	Owner       id.Principal
	TrustDomain string
	// Expires is when the device certificate ends.
	Expires time.Time
	// Authority reports whether this device can issue certificates.
	Authority bool
	// Trusted lists the trust domains believed, in order, this device's own among them.
	Trusted []string
}

// Describe returns what is in force now.
func (i *Identity) Describe() Description {
	c := i.credential()
	return Description{
		Principal:   c.principal,
		Owner:       c.principal.Owner(),
		TrustDomain: c.principal.TrustDomain(),
		Expires:     c.leaf.NotAfter,
		Authority:   c.ca != nil,
		Trusted:     c.trust.domains(),
	}
}

// verify returns the principal that a certificate chain proves now.
func (i *Identity) verify(chain []*x509.Certificate) (id.Principal, error) {
	spiffe, _, err := x509svid.Verify(chain, i.credential().trust.set, x509svid.WithTime(i.opts.Now()))
	if err != nil {
		return "", err
	}
	if spiffe.Path() == "" {
		return "", fmt.Errorf("the certificate names the trust domain %s, not a principal in it", spiffe)
	}
	return id.ParsePrincipal(spiffe.String())
}
