package runner

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Command says what to run.
type Command struct {
	// Path is the absolute path of the executable. Nothing is searched in PATH.
	Path string
	// Argv0 is the name the process sees as its own; Path if empty.
	Argv0 string
	// Args follow the name.
	Args []string
	// Env is the whole environment of the process, as returned by Environment.
	Env []string
	// Pin is the SHA-256 that the executable must have; the zero Pin checks nothing.
	Pin Pin
}

// Pin is the digest that an executable must have. The zero value pins nothing.
type Pin struct {
	sum [sha256.Size]byte
	set bool
}

const pinScheme = "sha256:"

// ErrPin means that an executable is not the one that was pinned.
var ErrPin = errors.New("executable does not match its pin")

// ParsePin reads "sha256:" followed by 64 hexadecimal digits. The empty string is the zero Pin.
func ParsePin(s string) (Pin, error) {
	if s == "" {
		return Pin{}, nil
	}
	digits, ok := strings.CutPrefix(s, pinScheme)
	if !ok {
		return Pin{}, fmt.Errorf("sha256 %q must start with %q", s, pinScheme)
	}
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) != sha256.Size {
		return Pin{}, fmt.Errorf("sha256 %q must have 64 hexadecimal digits after %q", s, pinScheme)
	}
	pin := Pin{set: true}
	copy(pin.sum[:], raw)
	return pin, nil
}

// IsZero reports whether the pin checks nothing.
func (p Pin) IsZero() bool { return !p.set }

func (p Pin) String() string {
	if !p.set {
		return ""
	}
	return pinScheme + hex.EncodeToString(p.sum[:])
}

// Check opens the command's executable, compares it with the pin and closes it again.
func (c Command) Check() error {
	f, err := c.open()
	if err != nil {
		return err
	}
	return f.Close()
}

// open returns the executable, verified if it is pinned. The caller runs exactly this file.
func (c Command) open() (*os.File, error) {
	if !filepath.IsAbs(c.Path) {
		return nil, fmt.Errorf("path %q must be absolute", c.Path)
	}
	f, err := os.Open(c.Path)
	if err != nil {
		return nil, err
	}
	if err := c.inspect(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (c Command) inspect(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", c.Path)
	}
	if info.Mode().Perm()&0o111 == 0 {
		return fmt.Errorf("%s is not executable (mode %04o)", c.Path, info.Mode().Perm())
	}
	if c.Pin.IsZero() {
		return nil
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%w: %s may be written by others (mode %04o); chmod go-w it", ErrPin, c.Path, info.Mode().Perm())
	}
	digest := sha256.New()
	if _, err := io.Copy(digest, f); err != nil {
		return err
	}
	got := Pin{set: true}
	digest.Sum(got.sum[:0])
	if got != c.Pin {
		return fmt.Errorf("%w: %s has %v, want %v", ErrPin, c.Path, got, c.Pin)
	}
	return nil
}
