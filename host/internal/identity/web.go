package identity

import (
	"crypto/tls"

	"google.golang.org/grpc/credentials"
)

// WebTLS is ServerTLS for clients that speak HTTP, of whatever version.
func (i *Identity) WebTLS(refused func(Refusal)) *tls.Config {
	config := i.webConfig("client", refused)
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		return i.webConfig(hello.Conn.RemoteAddr().String(), refused), nil
	}
	return config
}

func (i *Identity) webConfig(address string, refused func(Refusal)) *tls.Config {
	config := i.config(protocol, "http/1.1")
	config.ClientAuth = tls.RequestClientCert // a missing certificate is refused below, with an explanation
	config.VerifyConnection = func(state tls.ConnectionState) error {
		return i.admit(state, address, refused)
	}
	return config
}

// admit verifies who is at the other end, and tells refused, if it is not nil, about those who are not trusted.
func (i *Identity) admit(state tls.ConnectionState, address string, refused func(Refusal)) error {
	_, err := i.verify(state.PeerCertificates)
	if err == nil {
		return nil
	}
	r := i.refusal(address, state.PeerCertificates, err)
	if refused != nil {
		refused(r)
	}
	return r
}

// WebProof is the proof of who is at the other end of a connection that was made with WebTLS, if it still holds.
func (i *Identity) WebProof(state tls.ConnectionState) (credentials.AuthInfo, error) {
	principal, err := i.PeerPrincipal(state)
	if err != nil {
		return nil, err
	}
	return proven(principal, false), nil
}

// OwnerProof is the proof of the owner, for a caller that has shown in another way that it is the owner.
func (i *Identity) OwnerProof() credentials.AuthInfo { return proven(i.Owner(), true) }
