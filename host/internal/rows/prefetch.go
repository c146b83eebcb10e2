package rows

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/syncbase/syncbase/host/internal/kv"
)

// prefetchFrom is how many rows make walking the stored keys cheaper than looking up each.
const prefetchFrom = 8

// walkFrom is how many rows are worth leaps that may find nothing: see walker.scattered.
const walkFrom = 64

// prefetch loads many rows at once, by walking rows and tombstones in the order of their keys: bulk writes mostly touch
// rows that lie together, or do not exist yet, and a walk passes over those without a look-up. New rows scattered among
// others are looked up one by one, which the filters of the tables answer without reading a block.
func (t *txn) prefetch(refs []rowRef) error {
	if len(refs) < prefetchFrom || t.fetched {
		return nil
	}
	sorted := ascending(refs)
	known := len(t.order) > 0
	t.expect(len(sorted))
	for len(sorted) > 0 {
		n := 1
		for n < len(sorted) && sorted[n].coll == sorted[0].coll {
			n++
		}
		if err := t.prefetchCollection(sorted[:n], known); err != nil {
			return err
		}
		sorted = sorted[n:]
	}
	if !known {
		t.sorted = len(t.order)
	}
	return nil
}

// ascending returns each of the rows once, in the order of their keys.
func ascending(refs []rowRef) []rowRef {
	ordered := true
	for i := 1; i < len(refs) && ordered; i++ {
		ordered = refs[i-1].compare(refs[i]) < 0
	}
	if ordered {
		return refs
	}
	sorted := slices.Clone(refs)
	slices.SortFunc(sorted, rowRef.compare)
	return slices.Compact(sorted)
}

func (r rowRef) compare(o rowRef) int {
	if c := cmp.Compare(r.coll.num, o.coll.num); c != 0 {
		return c
	}
	return strings.Compare(r.key, o.key)
}

// prefetchCollection loads rows of one collection; with known the transaction may have touched some of them.
func (t *txn) prefetchCollection(refs []rowRef, known bool) error {
	live, err := t.walk(spaceRow, refs)
	if err != nil {
		return err
	}
	dead := &walker{}
	if some, err := t.db.buries(refs[0].coll); err != nil {
		return errors.Join(err, live.close())
	} else if some {
		if dead, err = t.walk(spaceTomb, refs); err != nil {
			return errors.Join(err, live.close())
		}
	}
	for _, ref := range refs {
		if known && t.loaded(ref) != nil {
			continue
		}
		data, isRow := live.find(ref.key), true
		if data == nil {
			data, isRow = dead.find(ref.key), false
		}
		if _, err = t.enroll(ref, data, isRow); err != nil {
			break
		}
	}
	return errors.Join(err, live.close(), dead.close())
}

// walker moves through one space of a collection in ascending order. The zero value is in one that is empty.
type walker struct {
	it     *kv.Iter
	ok     bool
	target []byte
	prefix int
	// leaps counts the moves beyond the next key, and vain those of them that found nothing.
	leaps, vain int
}

func (t *txn) walk(space byte, refs []rowRef) (*walker, error) {
	coll := refs[0].coll.num
	lo := rowKey(space, t.db.num, coll, refs[0].key)
	hi := append(rowKey(space, t.db.num, coll, refs[len(refs)-1].key), 0)
	it, err := t.db.s.kv.Iter(lo, hi)
	if err != nil {
		return nil, err
	}
	w := &walker{it: it, ok: true, target: slices.Clone(lo), prefix: collKeyLen}
	if len(refs) < walkFrom {
		w.vain = prefetchFrom
	} else {
		w.ok = it.First()
	}
	return w, nil
}

func (w *walker) close() error {
	if w.it == nil {
		return nil
	}
	return w.it.Close()
}

// find returns a copy of the value of the key, nil when there is none. Keys ascend from call to call.
func (w *walker) find(key string) []byte {
	if !w.ok {
		return nil
	}
	w.target = append(w.target[:w.prefix], key...)
	if !w.reach() {
		return nil
	}
	return bytes.Clone(w.it.Value())
}

// reach moves to the target, or not further than to the first key after it, and reports whether the target is there.
func (w *walker) reach() bool {
	if w.scattered() {
		return w.it.Find(w.target)
	}
	order := bytes.Compare(w.it.Key(), w.target)
	if order < 0 {
		if w.ok = w.it.Next(); !w.ok {
			return false
		}
		order = bytes.Compare(w.it.Key(), w.target)
	}
	if order >= 0 {
		return order == 0
	}
	w.leaps++
	if w.ok = w.it.SeekGE(w.target); !w.ok {
		return false
	}
	found := bytes.Equal(w.it.Key(), w.target)
	if !found {
		w.vain++
	}
	return found
}

// scattered reports whether leaps find too little to be worth the blocks that they read. It stays so for the walk.
func (w *walker) scattered() bool { return w.vain >= prefetchFrom && w.vain > w.leaps/2 }
