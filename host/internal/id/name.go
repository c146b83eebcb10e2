package id

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of names, in bytes. They bound what a client or a peer can make this process keep for a name.
const (
	MaxNameLen      = 1024
	MaxPrincipalLen = 1024
	MaxKeyLen       = 4096
	MaxTypeLen      = 256
)

// ErrInvalid is wrapped by every error of this package that refuses a name.
var ErrInvalid = errors.New("invalid name")

// refusal is ErrInvalid of a text that says enough without that word.
type refusal struct{ text string }

func (r refusal) Error() string { return r.text }

func (refusal) Unwrap() error { return ErrInvalid }

func refuse(format string, args ...any) error { return refusal{fmt.Sprintf(format, args...)} }

// Principal is who somebody is: a SPIFFE ID without its scheme, that is a trust domain followed by path segments, such as
// "syncbase-3f9a.local/owner/device/laptop". A principal extends another when it continues its path; devices extend
// their owner.
type Principal string

// ParsePrincipal accepts a principal with or without the "spiffe://" scheme.
func ParsePrincipal(text string) (Principal, error) {
	p := Principal(strings.TrimPrefix(text, "spiffe://"))
	if err := p.Validate(); err != nil {
		return "", err
	}
	return p, nil
}

// Validate reports whether p keeps to the SPIFFE ID grammar (lower-case trust domain, path segments of letters, digits,
// dots, dashes and underscores, none of dots alone) and to MaxPrincipalLen.
func (p Principal) Validate() error {
	if p == "" || len(p) > MaxPrincipalLen {
		return fmt.Errorf("%w: principal of %d bytes, want 1 to %d", ErrInvalid, len(p), MaxPrincipalLen)
	}
	for i, segment := range strings.Split(string(p), "/") {
		if strings.Trim(segment, ".") == "" {
			return fmt.Errorf("%w: principal %q has a segment that is empty or all dots", ErrInvalid, p)
		}
		for _, c := range segment {
			upper := c >= 'A' && c <= 'Z'
			if i == 0 && upper || !upper && !isLowerAlnum(c) && !strings.ContainsRune(".-_", c) {
				return fmt.Errorf("%w: principal %q has the character %q in segment %q", ErrInvalid, p, c, segment)
			}
		}
	}
	return nil
}

func isLowerAlnum(c rune) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }

// URI returns the SPIFFE ID as it stands in a certificate.
func (p Principal) URI() string { return "spiffe://" + string(p) }

// TrustDomain returns the first segment.
func (p Principal) TrustDomain() string {
	domain, _, _ := strings.Cut(string(p), "/")
	return domain
}

// Extends reports whether p is q or continues q's path.
func (p Principal) Extends(q Principal) bool {
	return p == q || strings.HasPrefix(string(p), string(q)+"/")
}

// Owner returns the principal on whose behalf p acts: for "domain/NAME/device/..." the part before "/device/", otherwise
// p itself. What a device creates belongs to its owner, so that all devices of one person name it alike.
func (p Principal) Owner() Principal {
	domain, path, _ := strings.Cut(string(p), "/")
	owner, _, found := strings.Cut(path, "/device/")
	if !found {
		return p
	}
	return Principal(domain + "/" + owner)
}

// Name names a database, a collection or a syncgroup: unique as the pair, so names of different owners never collide.
type Name struct {
	Owner Principal
	Local string
}

// ParseName reads "owner:name", where the owner may be written with the "spiffe://" scheme. A text without a colon, or with
// nothing before the first one, is a name of the given owner; a name that itself contains a colon therefore needs the
// colon in front.
func ParseName(text string, self Principal) (Name, error) {
	rest, scheme := strings.CutPrefix(text, "spiffe://")
	owner, local, found := strings.Cut(rest, ":")
	n := Name{Owner: Principal(owner), Local: local}
	switch {
	case scheme && (!found || owner == ""):
		return Name{}, fmt.Errorf("%w: %q, want OWNER:NAME after the scheme", ErrInvalid, text)
	case !found:
		n = Name{Owner: self, Local: text}
	case owner == "":
		n.Owner = self
	}
	if err := n.Validate(); err != nil {
		return Name{}, err
	}
	return n, nil
}

// String returns "owner:name", which ParseName reads back whoever self is.
func (n Name) String() string { return string(n.Owner) + ":" + n.Local }

// Validate checks both parts.
func (n Name) Validate() error {
	if err := n.Owner.Validate(); err != nil {
		return err
	}
	return checkText("name", n.Local, MaxNameLen)
}

// Compare orders names by owner, then by local name.
func (n Name) Compare(o Name) int {
	if c := strings.Compare(string(n.Owner), string(o.Owner)); c != 0 {
		return c
	}
	return strings.Compare(n.Local, o.Local)
}

// ValidateKey checks a row key: 1 to MaxKeyLen bytes of UTF-8 without control characters.
func ValidateKey(key string) error { return checkText("row key", key, MaxKeyLen) }

// ValidateType checks a type name: like a row key, but it may be empty, up to MaxTypeLen bytes.
func ValidateType(name string) error {
	if name == "" {
		return nil
	}
	return checkText("type name", name, MaxTypeLen)
}

func checkText(what, text string, limit int) error {
	if text == "" {
		return refuse("%s is empty", what)
	}
	if len(text) > limit {
		return refuse("%s of %d bytes, the limit is %d", what, len(text), limit)
	}
	if isPlain(text) {
		return nil
	}
	if !utf8.ValidString(text) {
		return refuse("%s %q is not UTF-8", what, text)
	}
	for i, c := range text {
		if unicode.IsControl(c) {
			return refuse("%s %q has a control character at byte %d", what, text, i)
		}
	}
	return nil
}

// isPlain reports whether text is ASCII without control characters, as most names are, so that they are checked fast.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' {
			return false
		}
	}
	return true
}
