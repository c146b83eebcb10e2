package blobstorefs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/syncbase/syncbase/sdk/plugin"
)

const (
	formatName = "format"
	lockName   = "lock"
	tmpName    = "tmp"

	// formatWords and formatVersion make the line in the format file.
	formatWords   = "syncbase-blobstore-fs"
	formatVersion = 1
)

// ErrLocked is returned when another process uses the root.
var ErrLocked = errors.New("the root is in use by another process")

// takeRoot locks a root, creates or completes its directories and empties tmp. The lock holds until the file is closed.
func takeRoot(root string) (*os.File, error) {
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, &plugin.ConfigError{Path: "/root", Summary: fmt.Sprintf("cannot be made: %v", err)}
	}
	if err := refuseForeign(root); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(root, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", root, err)
	}
	if err := lockFile(lock); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", root, err), lock.Close())
	}
	if err := prepare(root); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// refuseForeign keeps the store out of directories that hold something else.
func refuseForeign(root string) error {
	entries, err := os.ReadDir(root)
	if err != nil {
		return &plugin.ConfigError{Path: "/root", Summary: fmt.Sprintf("cannot be read: %v", err)}
	}
	ours := []string{formatName, lockName, tmpName, objectsName}
	if slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == formatName }) {
		return nil
	}
	for _, e := range entries {
		if !slices.Contains(ours, e.Name()) {
			return &plugin.ConfigError{
				Path:    "/root",
				Summary: fmt.Sprintf("%s is not a blob store and holds %q", root, e.Name()),
				Detail:  "name an empty directory or one that does not exist",
			}
		}
	}
	return nil
}

// prepare makes what is missing; the format file comes last and says that everything is there.
func prepare(root string) error {
	written, err := os.ReadFile(filepath.Join(root, formatName))
	switch {
	case err == nil:
		if err := checkFormat(root, string(written)); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("read the format of %s: %w", root, err)
	}
	if err := sweep(filepath.Join(root, tmpName)); err != nil {
		return err
	}
	if written != nil {
		return nil
	}
	return create(root)
}

func checkFormat(root, text string) error {
	var words string
	var version int
	if _, err := fmt.Sscanf(strings.TrimSpace(text), "%s %d", &words, &version); err != nil || words != formatWords {
		return &plugin.ConfigError{Path: "/root", Summary: fmt.Sprintf("the format file of %s says %.60q, which is not of a blob store", root, text)}
	}
	if version != formatVersion {
		return &plugin.ConfigError{
			Path:    "/root",
			Summary: fmt.Sprintf("%s has format %d, this program knows format %d", root, version, formatVersion),
			Detail:  "use the version of the program that wrote it, or a newer one",
		}
	}
	return nil
}

// sweep removes what unfinished puts have left behind.
func sweep(tmp string) error {
	if err := os.RemoveAll(tmp); err != nil {
		return fmt.Errorf("remove unfinished puts: %w", err)
	}
	if err := os.Mkdir(tmp, 0o700); err != nil {
		return fmt.Errorf("make the directory of unfinished puts: %w", err)
	}
	return nil
}

func create(root string) error {
	for i := range shardCount {
		if err := os.MkdirAll(shardDir(root, i), 0o700); err != nil {
			return fmt.Errorf("create %s: %w", root, err)
		}
	}
	if err := syncDir(filepath.Join(root, objectsName)); err != nil {
		return fmt.Errorf("create %s: %w", root, err)
	}
	tmp := filepath.Join(root, tmpName, formatName)
	if err := writeSynced(tmp, fmt.Sprintf("%s %d\n", formatWords, formatVersion)); err != nil {
		return fmt.Errorf("create %s: %w", root, err)
	}
	if err := os.Rename(tmp, filepath.Join(root, formatName)); err != nil {
		return fmt.Errorf("create %s: %w", root, err)
	}
	return errors.Join(syncDir(root), syncDir(filepath.Dir(root)))
}

func writeSynced(path, text string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}
