package kv

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrBackup means that a backup is not what its manifest says.
var ErrBackup = errors.New("backup is damaged")

// ErrRestoring means that a restore into the directory was cut short, so it is no store yet.
var ErrRestoring = errors.New("a restore was cut short")

// ManifestVersion is the version of the manifest's form.
const ManifestVersion = 1

// A backup is a directory with a manifest and a copy of the store.
const (
	manifestName = "MANIFEST.json"
	backupStore  = "store"
	maxManifest  = 64 << 20
)

// Manifest says what a backup consists of.
type Manifest struct {
	Version int `json:"version"`
	// Format of the store.
	Format int          `json:"format"`
	Taken  time.Time    `json:"taken"`
	Files  []BackupFile `json:"files"`
	// Beside are files beside the store's copy, by their paths in the backup; see Beside.
	Beside []BackupFile `json:"beside,omitempty"`
}

// BackupFile is a file of the store's copy.
type BackupFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Backup writes a consistent copy of the running store into dir, with a manifest that bears the time now, and reads all of
// it again. The directory must be absent or empty, and not in that of the store; without a manifest it is no backup, and of one that
// fails everything is removed again. Files are shared with the store by hard links where possible, so a backup on the same disk costs
// little and protects little. One backup is made at a time: another fails.
//
// What beside adds belongs to the backup, too; it is called after the copy was made.
func (s *Store) Backup(ctx context.Context, dir string, now time.Time, beside ...func(*Beside) error) (m Manifest, err error) {
	if !s.backingUp.TryLock() {
		return m, errors.New("another backup is under way; wait for it")
	}
	defer s.backingUp.Unlock()
	if within, err := filepath.Rel(s.dir, dir); err == nil && filepath.IsLocal(within) {
		return m, fmt.Errorf("directory %s is in that of the store, %s; choose another", dir, s.dir)
	}
	made := missingDirs(s.fs, dir)
	if err := emptyDir(s.fs, dir); err != nil {
		return m, err
	}
	with := &Beside{ctx: ctx, fs: s.fs, dir: dir}
	if m, err = s.writeBackup(ctx, dir, now, with, beside); err != nil {
		err = errors.Join(err, with.undo(made))
	}
	return m, err
}

func (s *Store) writeBackup(ctx context.Context, dir string, now time.Time, with *Beside, beside []func(*Beside) error) (Manifest, error) {
	if err := s.db.Checkpoint(s.fs.PathJoin(dir, backupStore)); err != nil {
		return Manifest{}, fmt.Errorf("copy the store: %w", mapWriteError(err))
	}
	m := Manifest{Version: ManifestVersion, Format: FormatVersion, Taken: now.UTC()}
	names, err := s.fs.List(s.fs.PathJoin(dir, backupStore))
	if err != nil {
		return Manifest{}, err
	}
	slices.Sort(names)
	for _, name := range names {
		f, err := hashFile(ctx, s.fs, s.fs.PathJoin(dir, backupStore, name))
		if err != nil {
			return Manifest{}, err
		}
		f.Name = name
		m.Files = append(m.Files, f)
	}
	for _, add := range beside {
		if err := add(with); err != nil {
			return Manifest{}, err
		}
	}
	m.Beside = with.files
	if err := writeManifest(s.fs, dir, m); err != nil {
		return Manifest{}, err
	}
	return m, verify(ctx, s.fs, dir, m)
}

// missingDirs are those of the path that are not there, the innermost first.
func missingDirs(fs vfs.FS, dir string) (list []string) {
	for {
		if _, err := fs.Stat(dir); err == nil || fs.PathDir(dir) == dir {
			return list
		}
		list = append(list, dir)
		dir = fs.PathDir(dir)
	}
}

// undo removes what was written of a backup, the manifest first, and the directories that were made for it, unless somebody else has
// put something there.
func (w *Beside) undo(made []string) error {
	errs := []error{}
	for _, name := range append([]string{manifestName, manifestName + ".tmp", backupStore}, w.folders...) {
		if err := w.fs.RemoveAll(w.fs.PathJoin(w.dir, name)); err != nil && !errors.Is(err, iofs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("remove what was written of it: %w", err))
		}
	}
	for _, dir := range made {
		if names, err := w.fs.List(dir); err != nil || len(names) > 0 || w.fs.Remove(dir) != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// VerifyBackup reads a whole backup and compares it with its manifest. Errors: ErrBackup, ErrNewerFormat.
func VerifyBackup(ctx context.Context, dir string, opts Options) (Manifest, error) {
	fs := opts.fileSystem()
	m, err := readManifest(fs, dir)
	if err != nil {
		return m, err
	}
	return m, verify(ctx, fs, dir, m)
}

// Restore makes a store in dir, which must be absent or empty, from a backup that it verifies. Before the directory comes
// to be, renew may change the store, and bring back what lies beside it. Until then Open refuses the directory with
// ErrRestoring; what a restore that was cut short leaves behind is removed by the next.
func Restore(ctx context.Context, backup, dir string, opts Options, renew func(*Store, Manifest) error) (Manifest, error) {
	fs := opts.fileSystem()
	if err := emptyDir(fs, dir); err != nil {
		return Manifest{}, err
	}
	// It is there before the backup is read, which takes a while: nobody is to begin an empty store meanwhile.
	half := restoring(dir)
	_, cutShort := fs.Stat(half)
	if err := errors.Join(fs.RemoveAll(half), fs.MkdirAll(half, 0o700)); err != nil {
		return Manifest{}, err
	}
	m, err := VerifyBackup(ctx, backup, opts)
	if err != nil && errors.Is(cutShort, iofs.ErrNotExist) {
		err = errors.Join(err, fs.RemoveAll(half))
	}
	if err != nil {
		return m, err
	}
	for _, f := range m.Files {
		if err := errors.Join(ctx.Err(), copyFile(fs, fs.PathJoin(backup, backupStore, f.Name), fs.PathJoin(half, f.Name))); err != nil {
			return m, fmt.Errorf("copy %s: %w", f.Name, mapWriteError(err))
		}
	}
	s, err := Open(half, opts)
	if err != nil {
		return m, err
	}
	if err := errors.Join(renew(s, m), s.Close()); err != nil {
		return m, err
	}
	if err := errors.Join(fs.RemoveAll(dir), fs.Rename(half, dir)); err != nil {
		return m, err
	}
	return m, syncDir(fs, fs.PathDir(dir))
}

// restoring is where a store is made that is to be dir.
func restoring(dir string) string { return dir + ".restoring" }

// notHalfRestored refuses to begin a store where a restore was cut short.
func notHalfRestored(fs vfs.FS, dir string) error {
	if _, err := fs.Stat(restoring(dir)); errors.Is(err, iofs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	return fmt.Errorf("%w: run the restore again, or remove %s to begin with an empty store", ErrRestoring, restoring(dir))
}

// emptyDir makes the directory and refuses one that has something in it.
func emptyDir(fs vfs.FS, dir string) error {
	if err := makeDir(fs, dir); err != nil {
		return err
	}
	names, err := fs.List(dir)
	if err == nil && len(names) > 0 {
		err = fmt.Errorf("directory %s is not empty; choose another", dir)
	}
	return err
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func writeManifest(fs vfs.FS, dir string, m Manifest) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	name := fs.PathJoin(dir, manifestName)
	f, err := fs.Create(name+".tmp", vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(append(data, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return mapWriteError(err)
	}
	return errors.Join(fs.Rename(name+".tmp", name), syncDir(fs, dir))
}

func readManifest(fs vfs.FS, dir string) (m Manifest, err error) {
	f, err := fs.Open(fs.PathJoin(dir, manifestName))
	if err != nil {
		return m, fmt.Errorf("%w: %s has no manifest: %v", ErrBackup, dir, err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxManifest))
	if err = errors.Join(err, f.Close()); err != nil {
		return m, err
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("%w: manifest: %v", ErrBackup, err)
	}
	if m.Version > ManifestVersion || m.Format > FormatVersion {
		return m, fmt.Errorf("%w: backup %s has format %d of manifest and %d of store", ErrNewerFormat, dir, m.Version, m.Format)
	}
	for _, f := range m.Beside {
		if !filepath.IsLocal(f.Name) || strings.HasPrefix(f.Name, backupStore) || f.Name == manifestName {
			return m, fmt.Errorf("%w: manifest names the file %q", ErrBackup, f.Name)
		}
	}
	for _, f := range m.Files {
		if f.Name == "" || f.Name == "." || f.Name == ".." || fs.PathBase(f.Name) != f.Name {
			return m, fmt.Errorf("%w: manifest names the file %q", ErrBackup, f.Name)
		}
	}
	return m, nil
}

func verify(ctx context.Context, fs vfs.FS, dir string, m Manifest) error {
	if len(m.Files) == 0 {
		return fmt.Errorf("%w: manifest names no file", ErrBackup)
	}
	for _, want := range m.Files {
		if err := verifyFile(ctx, fs, fs.PathJoin(dir, backupStore, want.Name), want); err != nil {
			return err
		}
	}
	for _, want := range m.Beside {
		if err := verifyFile(ctx, fs, fs.PathJoin(dir, want.Name), want); err != nil {
			return err
		}
	}
	return nil
}

func verifyFile(ctx context.Context, fs vfs.FS, path string, want BackupFile) error {
	got, err := hashFile(ctx, fs, path)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%w: file %s: %v", ErrBackup, want.Name, err)
	}
	if got.Name = want.Name; got != want {
		return fmt.Errorf("%w: file %s has %d bytes with SHA-256 %s, the manifest says %d with %s",
			ErrBackup, want.Name, got.Size, got.SHA256, want.Size, want.SHA256)
	}
	return nil
}

// Beside takes files that belong to a backup beside the store's copy.
type Beside struct {
	ctx   context.Context
	fs    vfs.FS
	dir   string
	files []BackupFile
	// folders that were made.
	folders []string
}

// Add writes a file, durably, and notes its hash. The name is a path below the backup, with one directory.
func (w *Beside) Add(folder, name string, data []byte) error {
	if !slices.Contains(w.folders, folder) {
		w.folders = append(w.folders, folder)
	}
	if err := errors.Join(w.ctx.Err(), w.fs.MkdirAll(w.fs.PathJoin(w.dir, folder), 0o700)); err != nil {
		return err
	}
	f, err := w.fs.Create(w.fs.PathJoin(w.dir, folder, name), vfs.WriteCategoryUnspecified)
	if err != nil {
		return mapWriteError(err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return mapWriteError(err)
	}
	sum := sha256.Sum256(data)
	w.files = append(w.files, BackupFile{Name: folder + "/" + name, Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:])})
	return nil
}

// watched is a reader that ends with its context.
type watched struct {
	ctx context.Context
	r   io.Reader
}

func (w watched) Read(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.r.Read(p)
}

func hashFile(ctx context.Context, fs vfs.FS, name string) (BackupFile, error) {
	f, err := fs.Open(name)
	if err != nil {
		return BackupFile{}, err
	}
	h := sha256.New()
	n, err := io.Copy(h, watched{ctx, f})
	return BackupFile{Size: n, SHA256: hex.EncodeToString(h.Sum(nil))}, errors.Join(err, f.Close())
}

func copyFile(fs vfs.FS, from, to string) error {
	r, err := fs.Open(from)
	if err != nil {
		return err
	}
	w, err := fs.Create(to, vfs.WriteCategoryUnspecified)
	if err != nil {
		return errors.Join(err, r.Close())
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, w.Sync(), w.Close(), r.Close())
}
