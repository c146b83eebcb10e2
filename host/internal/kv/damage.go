package kv

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/record"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// damaged reports whether Pebble says that a file is not what it wrote.
func damaged(err error) bool {
	return err != nil && (pebble.IsCorruptionError(err) || errors.Is(err, record.ErrInvalidChunk) || errors.Is(err, record.ErrZeroedChunk) ||
		strings.Contains(err.Error(), "object size mismatch") || strings.Contains(err.Error(), "manifest file"))
}

// HasStore reports whether there are files of a store in a directory of the machine, whole or not.
func HasStore(dir string) bool { return hasStore(vfs.Default, dir) }

// hasStore reports whether there are files of a store in a directory, whole or not.
func hasStore(from vfs.FS, dir string) bool {
	names, err := from.List(dir)
	return err == nil && slices.ContainsFunc(names, func(name string) bool {
		return name == formatFile || name == markFile || strings.HasPrefix(name, "MANIFEST-") || strings.HasSuffix(name, ".sst")
	})
}

// readError names the file that cannot be read.
func readError(err error) error {
	if !damaged(err) {
		return err
	}
	if info := pebble.ExtractDataCorruptionInfo(err); info != nil {
		return fmt.Errorf("%w: %s: %v; %s", ErrDamaged, info.Path, info.Details, WhatNow)
	}
	return fmt.Errorf("%w: %v; %s", ErrDamaged, err, WhatNow)
}

// damageOnly keeps Pebble from ending the process where it finds a damaged file. Whoever needs what is in it gets an error, and
// the first time the listener is told.
func damageOnly(opts Options) *pebble.EventListener {
	var told sync.Map // of paths
	return &pebble.EventListener{DataCorruption: func(info pebble.DataCorruptionInfo) {
		if _, again := told.LoadOrStore(info.Path, nil); !again && opts.Damaged != nil {
			opts.Damaged(info.Path)
		}
	}}
}

// events are what an open store listens to: damage, and what makes the manifest grow.
func (s *Store) events(opts Options) *pebble.EventListener {
	l := damageOnly(opts)
	l.ManifestCreated = func(info pebble.ManifestCreateInfo) {
		if info.Err == nil {
			s.marks.manifest.Store(uint64(info.FileNum))
			s.marks.note()
		}
	}
	changed := func() {
		s.marks.note()
		if opts.changed != nil {
			opts.changed()
		}
	}
	l.FlushEnd = func(pebble.FlushInfo) { changed() }
	l.CompactionEnd = func(pebble.CompactionInfo) { changed() }
	return l
}
