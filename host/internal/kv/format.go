package kv

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// FormatVersion is the version of the whole store's layout. A directory of an older version is brought forward step by
// step when it is opened; a newer one is refused before anything in it is touched.
const FormatVersion = 1

// formatFile repeats the version outside of Pebble, where it can be read without opening anything. It never says less than
// formatKey, and may be absent.
const formatFile = "FORMAT"

var (
	// formatKey holds the version as decimal text. It lies below every space. During an upgrade it already names the version
	// that the step leads to, so that no older program opens a store that is half of each.
	formatKey = []byte("\x00format")
	// upgradeKey is there during an upgrade and says how far it is: see progress.
	upgradeKey = []byte("\x00upgrade")
)

// checkFormatFile refuses a directory whose file names a newer version.
func checkFormatFile(fs vfs.FS, dir string, known int) error {
	text, err := readSmall(fs, fs.PathJoin(dir, formatFile))
	if err != nil || text == "" {
		return err
	}
	version, err := strconv.Atoi(text)
	if err != nil {
		return fmt.Errorf("%w: open %s: file %s says %q, want a number; %s", ErrDamaged, dir, formatFile, text, WhatNow)
	}
	return tooNew(dir, version, known)
}

func tooNew(dir string, version, known int) error {
	if version <= known {
		return nil
	}
	return fmt.Errorf("%w: %s has version %d, this program knows versions up to %d; run a version of the software that knows it",
		ErrNewerFormat, dir, version, known)
}

// readSmall reads a file of one line; an absent one is empty.
func readSmall(from vfs.FS, name string) (string, error) {
	f, err := from.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(f, 256))
	return strings.TrimSpace(string(text)), errors.Join(err, f.Close())
}

// writeSmall replaces a file of one line, durably.
func writeSmall(fs vfs.FS, dir, name, text string) error {
	path := fs.PathJoin(dir, name)
	f, err := fs.Create(path+".tmp", vfs.WriteCategoryUnspecified)
	if err != nil {
		return mapWriteError(err)
	}
	_, err = f.Write([]byte(text + "\n"))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return mapWriteError(err)
	}
	return errors.Join(fs.Rename(path+".tmp", path), syncDir(fs, dir))
}

// format reads the version and how far an upgrade to it is; version 0 is a store that has just been made.
func (s *Store) format(known int) (version int, at *progress, err error) {
	text, err := s.Get(formatKey)
	if errors.Is(err, ErrNotFound) {
		if beside, err := readSmall(s.fs, s.fs.PathJoin(s.dir, formatFile)); err != nil || beside != "" {
			return 0, nil, errors.Join(err, fmt.Errorf("%w: open %s: its own version is gone, file %s says %s; %s", ErrDamaged, s.dir, formatFile, beside, WhatNow))
		}
		return 0, nil, nil
	}
	if err != nil {
		return 0, nil, err
	}
	if version, err = strconv.Atoi(string(text)); err != nil || version < 1 {
		return 0, nil, fmt.Errorf("open %s: format version %q is no number", s.dir, text)
	}
	if err := tooNew(s.dir, version, known); err != nil {
		return 0, nil, err
	}
	data, err := s.Get(upgradeKey)
	if errors.Is(err, ErrNotFound) {
		return version, nil, nil
	}
	if err != nil {
		return 0, nil, err
	}
	at, err = decodeProgress(data)
	return version, at, err
}

// setFormat makes the file say what the key says.
func (s *Store) setFormat(version int) error {
	text, err := readSmall(s.fs, s.fs.PathJoin(s.dir, formatFile))
	if want := strconv.Itoa(version); err == nil && text != want {
		err = writeSmall(s.fs, s.dir, formatFile, want)
	}
	return err
}
