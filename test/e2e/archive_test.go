package e2e

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// archiveSize is how large the archive has to be at least, in bytes.
const archiveSize = 110e6

// toolchain finds the Go toolchain that runs the test.
var toolchain = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	return strings.TrimSpace(string(out)), err
})

// archive packs files of the Go toolchain, its programs first, and returns the path of the archive. The same toolchain
// makes the same bytes.
func (n *network) archive() string {
	n.t.Helper()
	root, err := toolchain()
	if err != nil {
		n.t.Fatalf("find the Go toolchain: %v", err)
	}
	path := n.path("toolchain.tar")
	out, err := os.Create(path)
	if err != nil {
		n.t.Fatal(err)
	}
	defer out.Close()
	w := tar.NewWriter(out)
	size := 0.0
	for _, part := range []string{"bin", "pkg", "src"} {
		err := filepath.WalkDir(filepath.Join(root, part), func(file string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			if size >= archiveSize {
				return fs.SkipAll
			}
			added, err := pack(w, root, file)
			size += float64(added)
			return err
		})
		if err != nil {
			n.t.Fatalf("pack the Go toolchain: %v", err)
		}
	}
	if err := errors.Join(w.Close(), out.Sync()); err != nil {
		n.t.Fatal(err)
	}
	if size < archiveSize {
		n.t.Fatalf("the Go toolchain in %s has only %.0f bytes in bin, pkg and src, the test needs %.0f", root, size, archiveSize)
	}
	return path
}

// pack adds a file of the directory root, without what differs from one installation to another.
func pack(w *tar.Writer, root, file string) (int64, error) {
	name, err := filepath.Rel(root, file)
	if err != nil {
		return 0, err
	}
	in, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	facts, err := in.Stat()
	if err != nil {
		return 0, err
	}
	header := &tar.Header{Name: filepath.ToSlash(name), Mode: 0o755, Size: facts.Size(), ModTime: time.Unix(0, 0)}
	if err := w.WriteHeader(header); err != nil {
		return 0, err
	}
	return io.Copy(w, in)
}

// withInsertion copies a file with so many bytes more in its middle, and returns the path of the copy.
func (n *network) withInsertion(file string, bytes int) string {
	n.t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		n.t.Fatal(err)
	}
	inserted := make([]byte, bytes)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(inserted) // never fails
	half := len(text) / 2
	path := file + ".longer"
	longer := append(append(append(make([]byte, 0, len(text)+bytes), text[:half]...), inserted...), text[half:]...)
	if err := os.WriteFile(path, longer, 0o600); err != nil {
		n.t.Fatal(err)
	}
	return path
}

// digest is the SHA-256 of a file.
func digest(t *testing.T, file string) string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}
