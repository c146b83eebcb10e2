package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/spiffetls/tlsconfig"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// Options say who is calling and whom to believe. They matter for host:port addresses only: at a Unix socket the daemon
// sees which user calls.
type Options struct {
	// Cert, Key and CA are PEM files: the caller's certificate, its private key, and the authorities whose daemons are
	// believed. The directory of an identity holds them as cert.pem, key.pem and trust.pem.
	Cert, Key, CA string
	// Server is the one daemon to speak to, as a SPIFFE ID; empty for any daemon of a believed authority.
	Server string
	// Warned, if set, is told what the daemon did and the caller may not have meant: a list that takes Admin from the caller, a
	// rule for a plugin that the device does not have. It is called before the call that it is about returns, perhaps by several
	// at a time.
	Warned func(text string)
}

// maxSocketPath is how long the path of a Unix socket can be on every system.
const maxSocketPath = 103

// Client is a connection to a daemon. It reconnects by itself. Close it in the end.
type Client struct {
	address string
	// cert is the file of the caller's certificate.
	cert    string
	conn    *grpc.ClientConn
	api     nodev1.NodeServiceClient
	pipes   pipes
	batches batches
	large   largeBudget
	// closed: Close was called.
	closed atomic.Bool
}

// Dial connects to a daemon at "unix:///path/to/syncbase.sock" or "host:port", and returns when the daemon has answered.
// Whoever answers at host:port proves by its certificate, not by its host name, that it is to be trusted.
func Dial(ctx context.Context, address string, opts Options) (*Client, error) {
	target, creds, err := opts.transport(address)
	if err != nil {
		return nil, err
	}
	c := &Client{address: address, cert: opts.Cert, large: newLargeBudget()}
	dialOpts := []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageBytes), grpc.MaxCallSendMsgSize(maxMessageBytes)),
		grpc.WithReadBufferSize(64 << 10),
		grpc.WithWriteBufferSize(64 << 10),
		grpc.WithInitialWindowSize(1 << 20),
		grpc.WithInitialConnWindowSize(4 << 20),
		grpc.WithDisableServiceConfig(),
		grpc.WithChainUnaryInterceptor(opts.warnings, c.checkUnary),
		grpc.WithStreamInterceptor(c.checkStream),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: firstPause, Multiplier: 2, Jitter: 0.2, MaxDelay: lastPause},
			MinConnectTimeout: 5 * time.Second,
		}),
	}
	conn, err := grpc.NewClient(target, dialOpts...)
	if err != nil {
		return nil, &Error{Message: fmt.Sprintf("address %q: %v", address, err), kind: ErrInvalid}
	}
	c.conn, c.api = conn, nodev1.NewNodeServiceClient(conn)
	c.pipes.init()
	if err := c.hello(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// hello makes a call that everybody may make who is somebody.
func (c *Client) hello(ctx context.Context) error {
	for _, err := range c.Databases(ctx) {
		return err
	}
	return nil
}

// Close ends the connection. Open batches are aborted, and calls that are under way or made later fail with ErrClosed, as closing
// it again does.
func (c *Client) Close() error {
	if c.closed.Swap(true) {
		return errClosed()
	}
	c.pipes.close()
	c.abortAll()
	return c.conn.Close()
}

// transport chooses how to get to an address and how to prove who is there.
func (o Options) transport(address string) (target string, creds credentials.TransportCredentials, err error) {
	if path, isUnix := strings.CutPrefix(address, "unix:"); isUnix {
		path, hasSlashes := strings.CutPrefix(path, "//")
		if !hasSlashes || !filepath.IsAbs(path) {
			return "", nil, invalid("address %q: want unix:// and an absolute path", address)
		}
		if len(path) > maxSocketPath {
			return "", nil, invalid("address %q: the path of a socket has at most %d bytes, this one has %d; use a data directory with a shorter path",
				address, maxSocketPath, len(path))
		}
		return "unix://" + path, insecure.NewCredentials(), nil
	}
	if _, port, err := net.SplitHostPort(address); err != nil || port == "" || strings.Contains(address, "/") {
		return "", nil, invalid("address %q: want unix:///path/to.sock or host:port", address)
	}
	config, err := o.tls()
	if err != nil {
		return "", nil, err
	}
	return "passthrough:///" + address, credentials.NewTLS(config), nil
}

func invalid(format string, args ...any) error {
	return &Error{Message: fmt.Sprintf(format, args...), kind: ErrInvalid}
}

// tls is mutual TLS 1.3 in which certificates are SPIFFE identities.
func (o Options) tls() (*tls.Config, error) {
	if o.Cert == "" || o.Key == "" || o.CA == "" {
		return nil, invalid("a host:port address takes a certificate, a key and the authorities to believe")
	}
	svid, err := x509svid.Load(o.Cert, o.Key)
	if err != nil {
		return nil, invalid("certificate %s with key %s: %v", o.Cert, o.Key, err)
	}
	bundles, err := readBundles(o.CA)
	if err != nil {
		return nil, invalid("authorities %s: %v", o.CA, err)
	}
	authorizer := tlsconfig.AuthorizeAny()
	if o.Server != "" {
		server, err := spiffeid.FromString("spiffe://" + strings.TrimPrefix(o.Server, "spiffe://"))
		if err != nil {
			return nil, invalid("server %q: %v", o.Server, err)
		}
		authorizer = tlsconfig.AuthorizeID(server)
	}
	config := tlsconfig.MTLSClientConfig(svid, bundles, authorizer)
	config.MinVersion = tls.VersionTLS13
	return config, nil
}

// readBundles reads authorities; each speaks for the trust domain that it names and for no other.
func readBundles(file string) (*x509bundle.Set, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	set := x509bundle.NewSet()
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		if len(cert.URIs) != 1 {
			return nil, fmt.Errorf("the certificate %q names no trust domain", cert.Subject)
		}
		domain, err := spiffeid.TrustDomainFromURI(cert.URIs[0])
		if err != nil {
			return nil, err
		}
		bundle, found := set.Get(domain)
		if !found {
			bundle = x509bundle.New(domain)
			set.Add(bundle)
		}
		bundle.AddX509Authority(cert)
	}
	if set.Len() == 0 {
		return nil, errors.New("no certificate in it")
	}
	return set, nil
}
