// Package blobstore is for authors of blob stores: flat name spaces of immutable objects.
//
// The host owns the meaning of the bytes: it chunks, packs, encrypts, counts references and verifies everything it reads.
// The store owns the bytes and promises three things: an object is whole or absent; once Put has returned the object
// survives a power failure and is at once visible to every other method; and an object that exists never changes.
//
// This package turns a [Store] into the gRPC service of the protocol and checks on the way whatever can be checked for
// all stores alike: sizes, offsets, digests, bounds, the order of lists. Nothing here knows where bytes lie.
//
// Implement [Store], pass its factory to [Kind] and that to plugin.Main; package blobstoretest checks the result.
package blobstore

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/syncbase/syncbase/sdk/plugin"
)

// Store is what an author implements. All methods are called concurrently. Errors that wrap one of the sentinels of this
// package tell the host what to do; any other error counts as a fault of the plugin, which is not retried.
type Store interface {
	// Put stores what r holds under the object's key. It reads r to io.EOF; when r fails it returns that error and
	// leaves nothing behind. When the key exists it may return Exists without reading, and never changes what is there.
	// When it returns Stored the object is durable.
	Put(ctx context.Context, object Object, r io.Reader) (Outcome, error)

	// Open reads a range of an object and tells the size of the whole. A length of 0 means to the end. The range may
	// exceed the object; then the store returns whatever it likes or ErrRange, since the caller checks it against the
	// size. The reader is read by one goroutine and closed once.
	Open(ctx context.Context, key Key, offset, length int64) (r io.ReadCloser, size int64, err error)

	// Stat describes an object, or returns ErrNotFound.
	Stat(ctx context.Context, key Key) (Info, error)

	// List yields the objects whose keys begin with prefix and are greater than startAfter, in ascending byte order of
	// their keys. Objects that come or go meanwhile may be missed. After yielding an error it stops.
	List(ctx context.Context, prefix, startAfter Key) iter.Seq2[Info, error]

	// Delete removes an object durably. Removing what is absent succeeds.
	Delete(ctx context.Context, key Key) error

	// Usage tells how much space is taken and left. It may be a little out of date.
	Usage(ctx context.Context) (Usage, error)
}

// Locator is implemented by a store whose objects lie in the file system. Its Kind carries the feature LocalFiles.
type Locator interface {
	// Locate says where the bytes of an object lie. They stay there until the object is deleted.
	Locate(ctx context.Context, key Key) (Location, error)
}

// BatchDeleter is implemented by a store that removes many objects with less effort than one after the other.
type BatchDeleter interface {
	// DeleteBatch does what Delete does for every key and answers an error or nil for each, in order.
	DeleteBatch(ctx context.Context, keys []Key) []error
}

// LocalFiles is the feature of stores that implement Locator.
const LocalFiles = "local-files"

// Factory makes the author's store from an instance's setup. The context ends when the factory returns.
type Factory func(ctx context.Context, setup plugin.Setup) (Store, error)

// Key is the name of an object: 1 to MaxKeyBytes opaque bytes. It may hold zero bytes, slashes and invalid UTF-8.
type Key string

// Object announces what a Put is going to carry.
type Object struct {
	Key Key
	// Size is exact: the reader yields so many bytes or fails.
	Size int64
	// SHA256 is the digest of the bytes, 32 bytes, or empty when the host does not know it. The reader checks it; a
	// store has to look at it only to pass it on.
	SHA256 []byte
}

// Info describes a stored object.
type Info struct {
	Key  Key
	Size int64
	// Modified is for people; the zero time when unknown.
	Modified time.Time
}

// Outcome is what a successful Put did.
type Outcome int

const (
	// Stored means that the object is there now and durable.
	Stored Outcome = iota + 1
	// Exists means that an object of the key was there already and is what it was.
	Exists
)

// Usage is the space a store takes.
type Usage struct {
	Objects uint64
	Bytes   uint64
	// Available is how many bytes still fit, or Unknown.
	Available int64
}

// Unknown is the value of Usage.Available when the store cannot tell.
const Unknown int64 = -1

// Location is a piece of a local file.
type Location struct {
	Path   string
	Offset int64
	Length int64
}

// Bounds of the protocol.
const (
	// MaxKeyBytes bounds a key.
	MaxKeyBytes = 128
	// MaxBatch bounds the keys of one Stat, Delete or Locate.
	MaxBatch = 1000
	// MaxRanges bounds the ranges of one Get.
	MaxRanges = 1024
	// PageEntries bounds the entries of one message of a List.
	PageEntries = 1000
	// MaxObjectBytes bounds the size of an object.
	MaxObjectBytes = 1 << 44
)
