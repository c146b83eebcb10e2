// Package identity says who this device is and whom it believes: its key and certificate, the private trust domain it
// belongs to, the authorities of other domains it trusts, and the proofs of identity on the two transports (mutual
// TLS 1.3 between devices, peer credentials on the local socket).
//
// A trust domain is one certificate authority. Its name is derived from the authority's public key, so nobody can
// present another authority under the same name. Devices are principals below the domain's owner,
// "DOMAIN/owner/device/NAME", proven by an X.509 SVID with the SPIFFE ID of that name; subject and common name mean
// nothing. A certificate counts only in the domain of the authority that signed it.
//
// An identity is a directory:
//
//	key.pem     private key of this device (PKCS #8)
//	cert.pem    its certificate
//	trust.pem   the authorities it believes, its own domain's among them
//	ca.key.pem  only where new devices are admitted: private key of the authority
//	ca.pem      with it: the authority's certificate; the one file to hand to others
//
// Private keys never leave the directory but by Issue, which makes a directory for another device. Files are replaced
// atomically and read again when they change, so trust and certificates are renewed without a restart. The package knows
// nothing of permissions, sessions or logging; what it refuses, it tells to a hook.
//
// Read Identity, Refusal and Caller first.
package identity
