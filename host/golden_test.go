package host_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host"
	"github.com/syncbase/syncbase/host/internal/kv"
)

var update = flag.Bool("update", false, "make the golden store of the present format anew")

// reference: store-98 a data directory that was moved elsewhere holds what it held.
//
// TestGoldenStores opens a store of every format there ever was, as its program left it when power failed, and wants it to
// hold exactly what it held then, to be sound, and to take writes. The files of a format that has been released are never
// made again: with -update only those of the present one are.
func TestGoldenStores(t *testing.T) {
	golden := filepath.Join("testdata", "format")
	if *update {
		dir := t.TempDir()
		text := makeGolden(t, dir)
		name := filepath.Join(golden, fmt.Sprintf("v%d", kv.FormatVersion))
		if err := errors.Join(pack(name+".tar.gz", dir), os.WriteFile(name+".txt", []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for version := 1; version <= kv.FormatVersion; version++ {
		t.Run(fmt.Sprintf("v%d", version), func(t *testing.T) {
			name := filepath.Join(golden, fmt.Sprintf("v%d", version))
			want, err := os.ReadFile(name + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := unpack(name+".tar.gz", dir); err != nil {
				t.Fatal(err)
			}
			g := openGolden(t, dir)
			if diff := cmp.Diff(string(want), g.text()); diff != "" {
				t.Errorf("the store says something else (-then +now):\n%s", diff)
			}
			g.write()
			g.close()
			sum, err := host.CheckStore(t.Context(), dir, host.CheckOptions{}, func(f host.Finding) { t.Errorf("%+v", f) })
			if err != nil || sum.Databases != 2 {
				t.Errorf("%+v, %v", sum, err)
			}
		})
	}
}

// pack archives a directory, names in order and without times, so that the same files make the same bytes.
func pack(archive, dir string) error {
	f, err := os.Create(archive)
	if err != nil {
		return err
	}
	zip, err := gzip.NewWriterLevel(f, gzip.BestCompression)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	w := tar.NewWriter(zip)
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || entry.Name() == "LOCK" {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Name: filepath.ToSlash(name), Mode: 0o644, Size: int64(len(data))}); err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	})
	return errors.Join(err, w.Close(), zip.Close(), f.Close())
}

func unpack(archive, dir string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	zip, err := gzip.NewReader(f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	r := tar.NewReader(zip)
	for {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return f.Close()
		}
		if err == nil && !filepath.IsLocal(header.Name) {
			err = fmt.Errorf("%s leads out of the directory", header.Name)
		}
		var data []byte
		if err == nil {
			data, err = io.ReadAll(r)
		}
		path := filepath.Join(dir, filepath.FromSlash(header.Name))
		if err == nil {
			err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data, 0o644))
		}
		if err != nil {
			return errors.Join(err, f.Close())
		}
	}
}

// copyDir copies the regular files of a directory, as a loss of power would leave them.
func copyDir(from, to string) error {
	names, err := filepath.Glob(filepath.Join(from, "*"))
	slices.Sort(names)
	for _, name := range names {
		data, readErr := os.ReadFile(name)
		err = errors.Join(err, readErr, os.MkdirAll(to, 0o755), os.WriteFile(filepath.Join(to, filepath.Base(name)), data, 0o644))
	}
	return err
}
