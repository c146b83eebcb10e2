package blobstoretest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"

	blobstorev1 "github.com/syncbase/syncbase/sdk/api/blobstore/v1"
	"github.com/syncbase/syncbase/sdk/plugin/blobstore"
)

// content is the bytes of an object, different for every seed and the same on every call.
func content(seed string, size int) []byte {
	data := make([]byte, size)
	_, _ = rand.NewChaCha8(sha256.Sum256([]byte(seed))).Read(data)
	return data
}

func objectOf(key blobstore.Key, data []byte) blobstore.Object {
	sum := sha256.Sum256(data)
	return blobstore.Object{Key: key, Size: int64(len(data)), SHA256: sum[:]}
}

// put stores data and wants the outcome Stored.
func (e *Env) put(ctx context.Context, key blobstore.Key, data []byte) error {
	outcome, err := e.Client.Put(ctx, objectOf(key, data), bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("put %q of %d bytes: %w", key, len(data), err)
	}
	if outcome != blobstore.Stored {
		return fmt.Errorf("put %q of %d bytes: outcome %d, want Stored", key, len(data), outcome)
	}
	return nil
}

func (e *Env) read(ctx context.Context, key blobstore.Key, offset, length int64) ([]byte, int64, error) {
	r, size, err := e.Client.Open(ctx, key, offset, length)
	if err != nil {
		return nil, 0, err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	return data, size, err
}

// holds wants the object to be there with exactly this content, by every way of asking.
func (e *Env) holds(ctx context.Context, key blobstore.Key, want []byte) error {
	info, err := e.Client.Stat(ctx, key)
	if err != nil {
		return fmt.Errorf("stat %q: %w", key, err)
	}
	if info.Size != int64(len(want)) {
		return fmt.Errorf("stat %q: size %d, want %d", key, info.Size, len(want))
	}
	got, size, err := e.read(ctx, key, 0, 0)
	if err != nil {
		return fmt.Errorf("get %q: %w", key, err)
	}
	if size != int64(len(want)) || !bytes.Equal(got, want) {
		return fmt.Errorf("get %q: %d bytes of an object of %d differ from the %d that were put", key, len(got), size, len(want))
	}
	return e.listed(ctx, key, int64(len(want)))
}

// listed wants the object in the list, with its size.
func (e *Env) listed(ctx context.Context, key blobstore.Key, size int64) error {
	for info, err := range e.Client.List(ctx, key, "") {
		if err != nil {
			return fmt.Errorf("list: %w", err)
		}
		if info.Key != key {
			break
		}
		if info.Size != size {
			return fmt.Errorf("list: %q with size %d, want %d", key, info.Size, size)
		}
		return nil
	}
	return fmt.Errorf("list: %q is not there, although it can be read", key)
}

// absent wants no such object, by every way of asking.
func (e *Env) absent(ctx context.Context, key blobstore.Key) error {
	if _, err := e.Client.Stat(ctx, key); !errors.Is(err, blobstore.ErrNotFound) {
		return fmt.Errorf("stat %q: %v, want not found", key, err)
	}
	if _, _, err := e.read(ctx, key, 0, 0); !errors.Is(err, blobstore.ErrNotFound) {
		return fmt.Errorf("get %q: %v, want not found", key, err)
	}
	for info, err := range e.Client.List(ctx, key, "") {
		if err != nil {
			return fmt.Errorf("list: %w", err)
		}
		if info.Key == key {
			return fmt.Errorf("list: %q is there, although it cannot be read", key)
		}
	}
	return nil
}

// keys lists the keys of this check.
func (e *Env) keys(ctx context.Context, name, startAfter string) ([]blobstore.Key, error) {
	var after blobstore.Key
	if startAfter != "" {
		after = e.Key(startAfter)
	}
	var out []blobstore.Key
	for info, err := range e.Client.List(ctx, e.Key(name), after) {
		if err != nil {
			return nil, fmt.Errorf("list: %w", err)
		}
		if !strings.HasPrefix(string(info.Key), e.prefix) {
			return nil, fmt.Errorf("list: %q does not begin with the prefix", info.Key)
		}
		out = append(out, info.Key)
	}
	return out, nil
}

// deleteAll removes keys in batches.
func (e *Env) deleteAll(ctx context.Context, keys []blobstore.Key) error {
	stub := blobstorev1.NewBlobStoreServiceClient(e.Conn)
	for len(keys) > 0 {
		n := min(len(keys), blobstore.MaxBatch)
		req := &blobstorev1.DeleteRequest{}
		for _, key := range keys[:n] {
			req.Keys = append(req.Keys, []byte(key))
		}
		answer, err := stub.Delete(ctx, req)
		if err != nil {
			return fmt.Errorf("delete: %w", err)
		}
		if len(answer.GetFaults()) != n {
			return fmt.Errorf("delete: %d answers for %d keys", len(answer.GetFaults()), n)
		}
		for i, fault := range answer.GetFaults() {
			if err := blobstore.FromFault(fault); err != nil {
				return fmt.Errorf("delete %q: %w", keys[i], err)
			}
		}
		keys = keys[n:]
	}
	return nil
}
