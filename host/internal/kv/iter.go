package kv

import (
	"bytes"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// Iter walks a range in byte order. Key and Value are valid until the next move. Not safe for concurrent use.
type Iter struct {
	it *pebble.Iterator
	// beyond, last and hi are set where something is lost: the keys after each loss, the last key that was met, and the end.
	beyond   [][]byte
	last, hi []byte
	// ended: all up to the end is lost.
	ended bool
}

func newIter(r pebble.Reader, lo, hi []byte) (*Iter, error) {
	if len(lo) == 0 {
		lo = nil // what Pebble takes for no bound
	}
	// The filters of the last level are for Find alone; Pebble asks for them to be wanted.
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: hi, UseL6Filters: true})
	if err != nil {
		return nil, err
	}
	return &Iter{it: it}, nil
}

// First moves to the first key and reports whether there is one.
func (i *Iter) First() bool { return i.leap(i.it.First()) }

// Last moves to the last key.
func (i *Iter) Last() bool { return i.it.Last() }

// Next moves on.
func (i *Iter) Next() bool { return i.leap(i.it.Next()) }

// leap goes on behind what is lost.
func (i *Iter) leap(ok bool) bool {
	for !ok && len(i.beyond) > 0 && i.it.Error() != nil {
		at, _ := slices.BinarySearchFunc(i.beyond, i.last, func(b, last []byte) int {
			if bytes.Compare(b, last) <= 0 {
				return -1
			}
			return 1
		})
		if at == len(i.beyond) {
			return false // nothing was known to be lost here
		}
		if i.hi != nil && bytes.Compare(i.beyond[at], i.hi) >= 0 {
			i.ended = true
			return false
		}
		i.last, i.ended = i.beyond[at], false
		ok = i.it.SeekGE(i.last)
	}
	if ok && len(i.beyond) > 0 {
		i.last = append(i.last[:0:0], i.it.Key()...)
	}
	return ok
}

// Prev moves back.
func (i *Iter) Prev() bool { return i.it.Prev() }

// SeekGE moves to the first key that is not less than key.
func (i *Iter) SeekGE(key []byte) bool {
	if len(i.beyond) > 0 {
		i.last, i.ended = bytes.Clone(key), false
	}
	return i.leap(i.it.SeekGE(key))
}

// SeekLT moves to the last key less than key.
func (i *Iter) SeekLT(key []byte) bool { return i.it.SeekLT(key) }

// Find moves to the key and reports whether it is there; if not, the iterator stands nowhere. Tables whose filter excludes
// the key are not read, so this is the quickest way to many keys most of which are absent. It is quickest in ascending
// order. Next and Prev do not go on from there; the other moves do.
func (i *Iter) Find(key []byte) bool {
	return i.it.SeekPrefixGE(key) && bytes.Equal(i.it.Key(), key)
}

// Valid reports whether the iterator stands on a key.
func (i *Iter) Valid() bool { return i.it.Valid() }

// Key returns the current key.
func (i *Iter) Key() []byte { return i.it.Key() }

// Value returns the current value.
func (i *Iter) Value() []byte { return i.it.Value() }

// Close ends the iteration and returns the first error that cut it short, if any.
func (i *Iter) Close() error {
	err := readError(i.it.Close())
	if i.ended && errors.Is(err, ErrDamaged) {
		return nil
	}
	return err
}

// PrefixEnd returns the least key greater than every key with the prefix, and nil when there is none.
func PrefixEnd(prefix []byte) []byte {
	for n := len(prefix); n > 0; n-- {
		if prefix[n-1] != 0xff {
			end := append([]byte(nil), prefix[:n]...)
			end[n-1]++
			return end
		}
	}
	return nil
}
