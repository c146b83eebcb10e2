package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// ErrRefused is wrapped by every Refusal.
var ErrRefused = errors.New("refused")

// Refusal is a connection that one side would not trust. As an error it says who, why, and what to do about it.
type Refusal struct {
	// Address of the other side.
	Address string
	// Remote reports that the other side refused us; otherwise we refused it.
	Remote bool
	// Claimed is the SPIFFE ID that the other side presented, unproven; empty if it presented none or refused before.
	Claimed string
	// Domain is the trust domain of Claimed.
	Domain string
	// Reason is what was wrong and what to do.
	Reason string
}

func (r Refusal) Error() string {
	if r.Remote {
		return fmt.Sprintf("refused: %s does not accept this device: %s", r.Address, r.Reason)
	}
	if r.Claimed == "" {
		return fmt.Sprintf("refused: %s: %s", r.Address, r.Reason)
	}
	return fmt.Sprintf("refused: %s, which claims to be %s: %s", r.Address, r.Claimed, r.Reason)
}

// Unwrap makes errors.Is(err, ErrRefused) true.
func (r Refusal) Unwrap() error { return ErrRefused }

// refusal explains why a chain of certificates that failed with err is not accepted from address.
func (i *Identity) refusal(address string, chain []*x509.Certificate, err error) Refusal {
	r := Refusal{Address: address}
	if len(chain) == 0 {
		r.Reason = "it presents no certificate; a daemon needs the directory that `syncbase identity issue` makes, a client --cert and --key"
		return r
	}
	spiffe, idErr := x509svid.IDFromCert(chain[0])
	if idErr != nil {
		r.Reason = fmt.Sprintf("its certificate proves no SPIFFE ID (%v); issue it one with `syncbase identity issue`", idErr)
		return r
	}
	r.Claimed, r.Domain = spiffe.String(), spiffe.TrustDomain().Name()
	expired := x509.CertificateInvalidError{}
	switch {
	case !i.credential().trust.has(r.Domain):
		r.Reason = fmt.Sprintf("this device does not trust the authority of the trust domain %s. If the device is yours, give it a certificate with "+
			"`syncbase identity issue NAME --out DIR`; if it belongs to somebody you trust, add the ca.pem of that authority with `syncbase identity trust FILE`", r.Domain)
	case errors.As(err, &expired) && expired.Reason == x509.Expired:
		r.Reason = fmt.Sprintf("its certificate is valid from %s to %s; set the clock, or renew it with `syncbase identity issue` at its authority",
			chain[0].NotBefore.Format(time.DateOnly), chain[0].NotAfter.Format(time.DateOnly))
	default:
		r.Reason = fmt.Sprintf("its certificate is not signed by the authority of the trust domain %s that this device knows (%v)", r.Domain, err)
	}
	return r
}

// RemoteRefusal returns the refusal behind a TLS alert with which the other side ended the connection; ok is false when
// err is something else. In TLS 1.3 a client whose certificate is refused learns it from its first read.
func (i *Identity) RemoteRefusal(address string, err error) (r Refusal, ok bool) {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return Refusal{}, false
	}
	if !isCertificateAlert(op.Err) {
		return Refusal{}, false
	}
	domain := i.Principal().TrustDomain()
	return Refusal{
		Address: address,
		Remote:  true,
		Reason: fmt.Sprintf("it answers %q to the certificate of trust domain %s. If both devices are yours, both need certificates of one authority "+
			"(`syncbase identity issue NAME --out DIR`); otherwise run `syncbase identity trust FILE` there with the ca.pem of this one", op.Err, domain),
	}, true
}

// isCertificateAlert reports whether a TLS alert is about our certificate. crypto/tls keeps the alert's type to itself,
// but prints it as AlertError prints the same number.
func isCertificateAlert(err error) bool {
	const badCertificate, unknownAuthority, accessDenied, certificateRequired = 42, 48, 49, 116
	alerts := []tls.AlertError{accessDenied, certificateRequired, unknownAuthority}
	for a := tls.AlertError(badCertificate); a < badCertificate+5; a++ {
		alerts = append(alerts, a)
	}
	for _, a := range alerts {
		if err.Error() == a.Error() {
			return true
		}
	}
	return false
}
