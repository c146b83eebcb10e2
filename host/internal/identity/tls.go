package identity

import (
	"crypto/tls"
	"errors"
	"slices"

	"github.com/syncbase/syncbase/host/internal/id"
)

// What both sides speak inside TLS; agreeing on it keeps other protocols' clients out. After protocol whoever dialled makes the
// requests, after callbackProtocol whoever was dialled.
const (
	protocol         = "h2"
	callbackProtocol = "syncbase-callback/1"
)

// ServerTLS returns the configuration of a listener: TLS 1.3, a certificate of a trusted authority required. Each
// connection that is not trusted is told to refused, which may be nil and must be safe for concurrent use.
func (i *Identity) ServerTLS(refused func(Refusal)) *tls.Config {
	return i.serverTLS(refused, protocol)
}

func (i *Identity) serverTLS(refused func(Refusal), protocols ...string) *tls.Config {
	config := i.config(protocols...)
	config.ClientAuth = tls.RequestClientCert // a missing certificate is refused below, with an explanation
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		own := i.config(protocols...)
		own.ClientAuth = tls.RequestClientCert
		own.VerifyConnection = i.verifier(hello.Conn.RemoteAddr().String(), refused, protocols...)
		return own, nil
	}
	// Unreachable while GetConfigForClient is set; a copy that loses it must not become an open door.
	config.VerifyConnection = i.verifier("client", refused, protocols...)
	return config
}

// ClientTLS returns the configuration for one connection to address, which is used for explanations only: who answers
// is known from its certificate, whatever the address. refused is as for ServerTLS.
func (i *Identity) ClientTLS(address string, refused func(Refusal)) *tls.Config {
	return i.clientTLS(address, refused, protocol)
}

func (i *Identity) clientTLS(address string, refused func(Refusal), protocol string) *tls.Config {
	config := i.config(protocol)
	config.InsecureSkipVerify = true // host names prove nothing here; VerifyConnection verifies chain and SPIFFE ID
	config.VerifyConnection = i.verifier(address, refused, protocol)
	return config
}

func (i *Identity) config(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             protocols,
		Time:                   i.opts.Now,
		SessionTicketsDisabled: true, // every connection proves itself against what is trusted now
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return &i.credential().tls, nil
		},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &i.credential().tls, nil
		},
	}
}

func (i *Identity) verifier(address string, refused func(Refusal), protocols ...string) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		if err := i.admit(state, address, refused); err != nil {
			return err
		}
		if !slices.Contains(protocols, state.NegotiatedProtocol) {
			return errors.New("identity: the other side does not speak HTTP/2 inside TLS")
		}
		return nil
	}
}

// PeerPrincipal returns who is at the other end of a connection that was made with one of this identity's configurations.
func (i *Identity) PeerPrincipal(state tls.ConnectionState) (id.Principal, error) {
	if !state.HandshakeComplete {
		return "", errors.New("identity: the handshake is not complete")
	}
	return i.verify(state.PeerCertificates)
}
