package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
)

// Dirs hands out private socket directories below <run_dir>/p.
type Dirs struct {
	root string
	next atomic.Uint64
}

// socketSuffix bounds what follows the run directory in the path of a plugin's socket: "/p/", a number of up to six
// digits, "/plugin" and a random number of up to ten digits.
const socketSuffix = len("/p/") + 6 + len("/plugin") + 10

// maxSocketPath is the longest path that a Unix socket can have, without the final zero byte.
func maxSocketPath() int {
	if runtime.GOOS == "linux" {
		return 107
	}
	return 103
}

// CheckRunDir reports whether sockets fit below a run directory.
func CheckRunDir(runDir string) error {
	if !filepath.IsAbs(runDir) {
		return fmt.Errorf("run directory %q must be absolute", runDir)
	}
	if longest := maxSocketPath() - socketSuffix; len(runDir) > longest {
		return fmt.Errorf("run directory %q has %d bytes; sockets below it need it to have at most %d: choose a shorter one",
			runDir, len(runDir), longest)
	}
	return nil
}

// NewDirs removes what an earlier host left below the run directory and prepares it. The caller must be the only host
// that uses this directory.
func NewDirs(runDir string) (*Dirs, error) {
	if err := CheckRunDir(runDir); err != nil {
		return nil, err
	}
	root := filepath.Join(runDir, "p")
	if err := os.RemoveAll(root); err != nil {
		return nil, fmt.Errorf("sweeping %s: %w", root, err)
	}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, err
	}
	return &Dirs{root: root}, nil
}

// Make creates a new directory that only this user can enter.
func (d *Dirs) Make() (string, error) {
	for {
		dir := filepath.Join(d.root, strconv.FormatUint(d.next.Add(1)%1_000_000, 10))
		err := os.Mkdir(dir, 0o700)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		return dir, nil
	}
}
