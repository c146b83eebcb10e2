package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// largestFile is the largest file below a directory.
func (d *daemon) largestFile(dir string) (path string) {
	d.t.Helper()
	size := int64(0)
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Size() > size {
			path, size = p, info.Size()
		}
		return err
	})
	if err != nil || path == "" {
		d.t.Fatalf("no file in %s: %v", dir, err)
	}
	return path
}

// TestDoctorReadsBlobs changes one byte of a pack: doctor finds nothing unless it is to read the bytes of blobs, then it names the blob, and
// once the same content is put again it finds nothing.
func TestDoctorReadsBlobs(t *testing.T) {
	n := newNetwork(t)
	a := n.start("a")
	share(a)
	file := a.path("file")
	if err := os.WriteFile(file, []byte(strings.Repeat("0123456789", 10_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	other := a.path("other")
	if err := os.WriteFile(other, []byte("small"), 0o600); err != nil {
		t.Fatal(err)
	}
	ref, sound := a.putBlob(file), a.putBlob(other)
	a.run("doctor", "--deep")
	pack := a.largestFile(filepath.Join(a.data, "plugins"))
	data, err := os.ReadFile(pack)
	if err != nil {
		t.Fatal(err)
	}
	data[100]++
	if err := os.Chmod(pack, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(pack, data, 0o600); err != nil {
		t.Fatal(err)
	}
	a.run("doctor")
	r := a.try("doctor", "--deep")
	if r.code != 1 || !strings.Contains(r.stdout, ref) || strings.Contains(r.stdout, sound) || !strings.Contains(r.stderr, "blob put") {
		t.Errorf("doctor ended with %d: %s%s", r.code, r.stdout, r.stderr)
	}
	if again := a.putBlob(file); again != ref {
		t.Errorf("the same content is %s, and was %s", again, ref)
	}
	a.run("doctor", "--deep")
	a.sameBlob(ref, file)
	if r := a.try("doctor", "--deep", "--offline"); r.code != 2 {
		t.Errorf("offline: %+v", r)
	}
}
