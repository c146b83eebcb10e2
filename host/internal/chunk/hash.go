package chunk

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/zeebo/blake3"
)

// ErrInvalid is wrapped by every error of this package that refuses input.
var ErrInvalid = errors.New("invalid blob data")

// HashSize is the length of every hash.
const HashSize = 32

// Hash is the BLAKE3-256 of a chunk, or of another sequence of bytes.
type Hash [HashSize]byte

// Sum hashes data.
func Sum(data []byte) Hash { return blake3.Sum256(data) }

// String returns 64 lower-case hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Ref names a blob: the hash of its encoded recipe.
type Ref Hash

// refPrefix tells references from other texts, and recipe version 1 from later ones.
const refPrefix = "blob1-"

// RefLen is the length of every reference in text form.
const RefLen = len(refPrefix) + 2*HashSize

// String returns the text form, which ParseRef reads back.
func (r Ref) String() string { return refPrefix + hex.EncodeToString(r[:]) }

// ParseRef reads the text form and nothing else: no upper case, no spaces, no other version.
func ParseRef(text string) (Ref, error) {
	digits, found := strings.CutPrefix(text, refPrefix)
	if !found || len(text) != RefLen || strings.Trim(digits, "0123456789abcdef") != "" {
		return Ref{}, fmt.Errorf("%w: reference %.80q, want %q and %d lower-case hexadecimal digits",
			ErrInvalid, text, refPrefix, 2*HashSize)
	}
	var r Ref
	if _, err := hex.Decode(r[:], []byte(digits)); err != nil {
		return Ref{}, fmt.Errorf("%w: reference %.80q: %v", ErrInvalid, text, err)
	}
	return r, nil
}
