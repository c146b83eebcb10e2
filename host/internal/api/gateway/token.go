package gateway

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"

	"google.golang.org/grpc/credentials"
)

// Token proves that its holder can read a file that is private to the owner of the daemon. It is for browsers, which cannot
// use the local socket and seldom have a certificate.
type Token struct {
	hash [sha256.Size]byte
}

// tokenBytes is how much chance is in a token.
const tokenBytes = 32

// OpenToken reads the token in a file, or makes one. The file is for its owner alone; a new token takes that the file is
// removed and the daemon started again.
func OpenToken(file string) (Token, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return makeToken(file)
	}
	if err != nil {
		return Token{}, fmt.Errorf("read the token for HTTP: %w", err)
	}
	st, err := os.Stat(file)
	if err != nil {
		return Token{}, fmt.Errorf("read the token for HTTP: %w", err)
	}
	if mode := st.Mode().Perm(); mode&0o077 != 0 {
		return Token{}, fmt.Errorf("%s has mode %#o, so that others than its owner can use it; remove it, and the daemon makes a new one", file, mode)
	}
	token := strings.TrimSpace(string(text))
	if len(token) < tokenBytes {
		return Token{}, fmt.Errorf("%s holds %d characters, fewer than a token has; remove it, and the daemon makes a new one", file, len(token))
	}
	return Token{sha256.Sum256([]byte(token))}, nil
}

func makeToken(file string) (Token, error) {
	secret := make([]byte, tokenBytes)
	_, _ = rand.Read(secret) // never fails
	text := base64.RawURLEncoding.EncodeToString(secret)
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return Token{}, fmt.Errorf("make a token for HTTP: %w", err)
	}
	_, err = f.WriteString(text + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return Token{}, fmt.Errorf("make a token for HTTP: %w", errors.Join(err, os.Remove(file)))
	}
	return Token{sha256.Sum256([]byte(text))}, nil
}

// Prove takes whoever shows the token, as "Authorization: Bearer TOKEN", for the one that whose names. It takes the same
// time whatever is shown.
func (t Token) Prove(whose func() credentials.AuthInfo) Prover {
	return func(r *http.Request, _ net.Conn) (credentials.AuthInfo, error) {
		scheme, shown, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		hash := sha256.Sum256([]byte(strings.TrimSpace(shown)))
		if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(hash[:], t.hash[:]) != 1 {
			return nil, errors.New(`say "Authorization: Bearer TOKEN" with the token in the file http.token of the data directory`)
		}
		return whose(), nil
	}
}
