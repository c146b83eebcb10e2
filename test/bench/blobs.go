package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/syncbase/syncbase/sdk/client"
)

// measureBlobs puts a blob on a, has b fetch it, and reads it there.
func measureBlobs(ctx context.Context, opts options, dir string, a, b *daemon, t *table) error {
	content := make([]byte, opts.blobMiB<<20)
	_, _ = rand.Read(content) // never fails
	if err := directWrites(dir, content, t); err != nil {
		return err
	}
	mb := float64(len(content)) / 1e6

	clock, err := startMeter(ctx, a)
	if err != nil {
		return err
	}
	ref, _, err := a.Database(database).PutBlob(ctx, bytes.NewReader(content))
	if err != nil {
		return err
	}
	if err := clock.stop(ctx, t, "blob put", "MB/s", mb); err != nil {
		return err
	}

	if _, err := a.Database(database).Collection(collection).Put(ctx, "blob", map[string]any{"$blob": ref}); err != nil {
		return err
	}
	if _, err := b.Database(database).Syncgroup(syncgroup).Wait(ctx); err != nil {
		return err
	}
	if clock, err = startMeter(ctx, a, b); err != nil {
		return err
	}
	for _, err := range b.Database(database).FetchBlob(ctx, ref, 0) {
		if err != nil {
			return err
		}
	}
	if err := clock.stop(ctx, t, "blob fetch by a peer", "MB/s", mb); err != nil {
		return err
	}

	check := &checker{want: content}
	if clock, err = startMeter(ctx, b); err != nil {
		return err
	}
	if err := b.Database(database).GetBlob(ctx, ref, check, client.GetBlobOptions{}); err != nil {
		return err
	}
	if err := clock.stop(ctx, t, "blob get where it is", "MB/s", mb); err != nil {
		return err
	}
	if len(check.want) > 0 {
		return fmt.Errorf("%d bytes of the blob are missing", len(check.want))
	}
	return nil
}

// checker fails when what is written differs from what is wanted.
type checker struct{ want []byte }

func (c *checker) Write(p []byte) (int, error) {
	if !bytes.HasPrefix(c.want, p) {
		return 0, errors.New("the blob came back different")
	}
	c.want = c.want[len(p):]
	return len(p), nil
}

// packBytes is the size of the objects that the daemon writes.
const packBytes = 8 << 20

// directWrites is what the disk gives: the same bytes in files of the size of a pack, each synced before the next.
func directWrites(dir string, content []byte, t *table) error {
	began := time.Now()
	r := bytes.NewReader(content)
	for i := 0; r.Len() > 0; i++ {
		file := filepath.Join(dir, fmt.Sprint("direct", i))
		defer os.Remove(file)
		if err := writeSynced(file, io.LimitReader(r, packBytes)); err != nil {
			return err
		}
	}
	t.add("baseline: the same bytes into synced files of 8 MiB", "MB/s", float64(len(content))/1e6/time.Since(began).Seconds())
	return nil
}

func writeSynced(file string, r io.Reader) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Sync(), f.Close())
}
