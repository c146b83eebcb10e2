// Package blobstest holds an object store in memory for tests of the rooms that keep blobs: it fails where the test says so.
// Read Objects.
package blobstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// ErrNoObject is returned by Get for a key that is absent.
var ErrNoObject = errors.New("no such object")

// Objects implements blobs.Objects in memory. The zero value is ready. Safe for concurrent use; the hooks are set before
// use.
type Objects struct {
	// OnPut runs before an object is stored and may wait; an error keeps it from being stored.
	OnPut func(ctx context.Context, key string) error
	// OnGet may change what comes back.
	OnGet func(ctx context.Context, key string, data []byte) ([]byte, error)

	mu      sync.Mutex
	objects map[string][]byte
	gets    int
}

// Put stores a copy.
func (o *Objects) Put(ctx context.Context, key, data []byte) error {
	if o.OnPut != nil {
		if err := o.OnPut(ctx, string(key)); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.objects == nil {
		o.objects = make(map[string][]byte)
	}
	o.objects[string(key)] = bytes.Clone(data)
	return nil
}

// Get returns a copy of the range, shorter where the object ends before.
func (o *Objects) Get(ctx context.Context, key []byte, offset, length uint64) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	o.mu.Lock()
	o.gets++
	object, found := o.objects[string(key)]
	o.mu.Unlock()
	if !found {
		return nil, fmt.Errorf("%w: %s", ErrNoObject, key)
	}
	offset = min(offset, uint64(len(object)))
	data := bytes.Clone(object[offset:][:min(length, uint64(len(object))-offset)])
	if o.OnGet != nil {
		return o.OnGet(ctx, string(key), data)
	}
	return data, nil
}

// Delete removes objects.
func (o *Objects) Delete(_ context.Context, keys ...[]byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, key := range keys {
		delete(o.objects, string(key))
	}
	return nil
}

// Keys returns the keys in ascending order.
func (o *Objects) Keys() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Sorted(maps.Keys(o.objects))
}

// Gets returns how often Get was called.
func (o *Objects) Gets() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.gets
}

// Object returns the bytes of an object, which the caller may change to damage it.
func (o *Objects) Object(key string) []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.objects[key]
}
