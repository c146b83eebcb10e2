package rows

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// Values reads rows straight from a store that need not be sound enough to be opened, for whoever keeps an index of what is in
// them.
type Values struct{ From kv.Reader }

// Each visits the JSON values of the rows of applications, and of versions that readers do not see under the keys that
// References knows them by; those are left out that cannot be read. The value is valid until visit returns.
func (v Values) Each(ctx context.Context, visit func(db, coll uint32, key string, value []byte) error) error {
	return errors.Join(v.each(ctx, spaceRow, visit), v.each(ctx, spaceOpen, visit))
}

func (v Values) each(ctx context.Context, space byte, visit func(db, coll uint32, key string, value []byte) error) error {
	it, err := v.From.Iter([]byte{space}, []byte{space + 1})
	if err != nil {
		return err
	}
	var last []byte
	indexed := false
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		key := it.Key()
		if err = ctx.Err(); err != nil || len(key) <= collKeyLen {
			continue // that of a collection is its access list
		}
		if string(last) != string(key[:collKeyLen]) {
			last = append(last[:0], key[:collKeyLen]...)
			indexed = v.ofApplications(last)
		}
		if !indexed {
			continue
		}
		if head, bad := decodeHead(it.Value()); bad == nil && !head.Raw && !head.Deleted {
			err = visit(binary.BigEndian.Uint32(key[1:]), binary.BigEndian.Uint32(key[5:]), string(key[collKeyLen:]), head.Value)
		}
	}
	return errors.Join(err, it.Close())
}

// Get returns the JSON value of a row, nil when there is none; keys are those of Each.
func (v Values) Get(db, coll uint32, key string) ([]byte, error) {
	if key == "" || !v.ofApplications(collKey(spaceRow, db, coll)) {
		return nil, nil
	}
	space := byte(spaceRow)
	if strings.Contains(key, "\x00") {
		space = spaceOpen
	}
	data, err := v.From.Get(rowKey(space, db, coll, key))
	if errors.Is(err, kv.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	head, err := decodeHead(data)
	if err != nil || head.Raw || head.Deleted {
		return nil, nil //nolint:nilerr // what cannot be read is found by Check, and refers to nothing
	}
	return head.Value, nil
}

// ofApplications reports whether the rows of a collection are those of applications.
func (v Values) ofApplications(prefix []byte) bool {
	key := append([]byte{spaceCollection}, prefix[1:]...)
	record, err := v.From.Get(key)
	return err == nil && len(record) > 1 && id.CollectionKind(record[1]) == id.Rows
}

// HasDatabase reports whether a database has the number.
func (v Values) HasDatabase(ctx context.Context, num uint32) (found bool, err error) {
	it, err := v.From.Iter([]byte{spaceDatabase}, []byte{spaceDatabase + 1})
	if err != nil {
		return false, err
	}
	for ok := it.First(); ok && !found && ctx.Err() == nil; ok = it.Next() {
		rec, _ := decodeDatabase(append([]byte(nil), it.Value()...))
		found = rec.num == num
	}
	return found, errors.Join(ctx.Err(), it.Close())
}
