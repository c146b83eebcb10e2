package host

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// A data directory that was copied, put back from a copy, or carried to another machine may have a past that it knows
// nothing of, so the device becomes another writer before its first write there. A file beside the store and an entry in the
// store tell: both bear the same token, a new one from each start and each orderly stop, and the entry says where the file
// and the store lay. Whoever copies both is found by where they lie, and whoever puts back one of them by the token. An
// epoch too many does no harm.

// placeFile lies beside the store.
const placeFile = "place"

// spacePlace is the space of the entry, drawn in docs/format.md.
const spacePlace = 0x03

var keyPlace = []byte{spacePlace, 'p', 'l', 'a', 'c', 'e'}

// place is the entry.
type place struct {
	// Tokens are the one that the file has and, if power failed while it was replaced, the one before.
	Tokens []string `json:"tokens"`
	Where  where    `json:"where"`
}

// where says where something lies, in the terms of the machine. What could not be found out is empty.
type where struct {
	// Machine and Hardware are what the operating system and the firmware call the machine.
	Machine  string `json:"machine,omitempty"`
	Hardware string `json:"hardware,omitempty"`
	// File and Store are the device and inode of the file and of the directory of the store.
	File  string `json:"file,omitempty"`
	Store string `json:"store,omitempty"`
	// Written is when the file was written.
	Written string `json:"written,omitempty"`
}

// moved tells in what the places differ, empty if they are the same as far as both are known.
func (w where) moved(now where) string {
	var list []string
	for _, part := range []struct{ what, before, now string }{
		{"machine", w.Machine, now.Machine}, {"hardware", w.Hardware, now.Hardware},
		{"file " + placeFile, w.File, now.File}, {"directory " + storeDir, w.Store, now.Store},
		{"time of the file " + placeFile, w.Written, now.Written},
	} {
		if part.before != "" && part.now != "" && part.before != part.now {
			list = append(list, "another "+part.what)
		}
	}
	return strings.Join(list, ", ")
}

// marker knows the place of a data directory.
type marker struct {
	dir   string
	store *kv.Store
	// token returns one that nobody has had.
	token func() string
}

// settle makes the device another writer if the data directory is not what it was when it was last used, and says why then.
func (m marker) settle() (why string, err error) {
	var last place
	known := true
	switch data, err := m.store.Get(keyPlace); {
	case errors.Is(err, kv.ErrNotFound):
		known = false
	case err != nil:
		return "", err
	default:
		if err := json.Unmarshal(data, &last); err != nil {
			return "", fmt.Errorf("entry of the place: %w", err)
		}
	}
	token, err := m.read()
	if err != nil {
		return "", err
	}
	switch {
	case !known && token == "":
	case !known:
		why = "the store is not the one that was here"
	case token == "":
		why = fmt.Sprintf("the file %s is missing", placeFile)
	case last.Tokens[0] != token && last.Tokens[len(last.Tokens)-1] != token:
		why = "an older copy of a part of it was put back"
	default:
		why = last.Where.moved(m.where())
	}
	if why != "" {
		if err := rows.RenewStore(m.store, randomNumber()); err != nil {
			return why, err
		}
	}
	if err := m.mark(token); full(err) {
		return why, fmt.Errorf("%w: %w", errUnmarked, err)
	} else if err != nil {
		return why, err
	}
	return why, nil
}

// errUnmarked means that the disk is too full for a new token. The old one says as before where the data directory lay.
var errUnmarked = errors.New("cannot mark the data directory")

func full(err error) bool { return errors.Is(err, kv.ErrFull) || errors.Is(err, syscall.ENOSPC) }

// mark replaces the token. Power may fail in between.
func (m marker) mark(before string) error {
	next := m.token()
	f, err := os.OpenFile(m.path(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	p := place{Tokens: []string{next}}
	if before != "" {
		p.Tokens = []string{before, next}
	}
	if err = m.note(p); err == nil {
		_, err = f.WriteAt([]byte(next), 0)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return m.note(place{Tokens: []string{next}, Where: m.where()})
}

func (m marker) note(p place) error {
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	b := m.store.NewBatch()
	b.Reclaims() // it is a few bytes, in place of others
	b.Set(keyPlace, data)
	return b.Commit(kv.Sync)
}

// markAgain makes up for a token that the disk had no room for at the start, once something else was written.
func (h *Host) markAgain() {
	if !h.unmarked {
		return
	}
	m := h.marker()
	token, err := m.read()
	if err == nil {
		err = m.mark(token)
	}
	if err != nil {
		h.log.Debug("cannot mark the data directory", "error", err)
		return
	}
	h.unmarked = false
}

// leave is the last thing that a host does with its store, so that a copy made while it ran is known for what it is. A store
// that cannot be written keeps the token it has.
func (h *Host) leave() {
	m := h.marker()
	token, err := m.read()
	if err == nil && token != "" {
		err = m.mark(token)
	}
	if err != nil {
		h.log.Debug("cannot mark the data directory", "error", err)
	}
}

func (m marker) path() string { return filepath.Join(m.dir, placeFile) }

// read returns the token of the file, empty if there is no file.
func (m marker) read() (string, error) {
	data, err := os.ReadFile(m.path())
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err == nil && len(data) == 0 {
		return "", nil // made, and then power failed
	}
	return string(data), err
}

func (m marker) where() where {
	return where{
		Machine: firstLine("/etc/machine-id"), Hardware: firstLine("/sys/class/dmi/id/product_uuid"),
		File: inode(m.path()), Store: inode(filepath.Join(m.dir, storeDir)), Written: written(m.path()),
	}
}

// written returns when the file was written last, empty if that cannot be told.
func written(path string) string {
	st, err := os.Stat(path)
	if err != nil {
		return ""
	}
	return st.ModTime().UTC().Format(time.RFC3339Nano)
}

// firstLine returns what a small file of the system says, empty if it cannot be read.
func firstLine(file string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSpace(line)
}

func (h *Host) marker() marker {
	return marker{dir: h.opts.Config.Node.DataDir, store: h.kv, token: func() string {
		d := newInstance()
		return hex.EncodeToString(d[:])
	}}
}

// settle is the first thing that a host does with its store.
func (h *Host) settle() error {
	why, err := h.marker().settle()
	h.unmarked = errors.Is(err, errUnmarked)
	if h.unmarked {
		h.log.Warn("the disk is full: reading and destroying go on, commits need room; a copy made of the data directory before there is room may not be noticed", "error", err)
	} else if err != nil {
		return fmt.Errorf("find out whether the data directory was copied: %w", err)
	}
	if why != "" {
		h.log.Warn("the data directory was copied, put back or moved; this device goes on as another writer", "because", why)
	}
	return nil
}
