package client

import (
	"context"
	"fmt"
	"iter"
	"time"
)

// Item is a row whose value was read as a T with encoding/json. With T Value it is the value as it is stored, whatever it
// holds.
type Item[T any] struct {
	Key     string
	Value   T
	Version string
	Updated time.Time
}

// DecodeError says that a row does not hold what was asked for; nothing is wrong with the row or with the daemon.
type DecodeError struct {
	// Row is the row as it is stored.
	Row Row
	// Err is what encoding/json says, or that the row holds bytes.
	Err error
}

func (e *DecodeError) Error() string { return e.Err.Error() }

func (e *DecodeError) Unwrap() error { return e.Err }

// itemOf reads a row. What cannot be read has the zero Value.
func itemOf[T any](r Row) (Item[T], error) {
	item := Item[T]{Key: r.Key, Version: r.Version, Updated: r.Updated}
	if v, ok := any(&item.Value).(*Value); ok {
		*v = r.Value
		return item, nil
	}
	var value T
	if err := r.Decode(&value); err != nil {
		return item, &DecodeError{Row: r, Err: err}
	}
	item.Value = value
	return item, nil
}

// Get reads a row as a T. It fails with ErrNotFound when there is none, and with a *DecodeError when it holds something else.
func Get[T any](ctx context.Context, c *Collection, key string) (Item[T], error) {
	row, err := c.Get(ctx, key)
	if err != nil {
		return Item[T]{}, err
	}
	return itemOf[T](row)
}

// Scan iterates over rows as they were at one moment, each read as a T. A row that holds something else is yielded with its
// key and a *DecodeError, after which the loop may go on; any other error is the last thing yielded. KeysOnly is refused with
// ErrInvalid.
func Scan[T any](ctx context.Context, c *Collection, r Range) iter.Seq2[Item[T], error] {
	return func(yield func(Item[T], error) bool) {
		if r.KeysOnly {
			yield(Item[T]{}, invalid("a typed scan has values; scan with Collection.Scan for keys alone"))
			return
		}
		for row, err := range c.Scan(ctx, r) {
			if err != nil {
				yield(Item[T]{}, err)
				return
			}
			if !yield(itemOf[T](row)) {
				return
			}
		}
	}
}

// Update is a Batch of one collection whose values were read as T.
type Update[T any] struct {
	Changes []ItemChange[T]
	// Resume, Initial and Reset are those of the Batch.
	Resume         string
	Initial, Reset bool
}

// ItemChange is a change of one row, or of the collection.
type ItemChange[T any] struct {
	Kind ChangeKind
	// Item has no value when the row was deleted, and is zero when the collection changed.
	Item     Item[T]
	FromSync bool
	// Batch names the batch: the version of its first record. Empty within the initial state.
	Batch string
	// Err is a *DecodeError when the row holds something else than a T.
	Err error
}

// Watch is Database.Watch for one collection, with values read as T, and ends as it does. A row that holds something else does
// not end it: the change says so in Err. Collection and Patterns of the options have to be empty, otherwise it fails with
// ErrInvalid.
func Watch[T any](ctx context.Context, c *Collection, opts WatchOptions) iter.Seq2[Update[T], error] {
	return func(yield func(Update[T], error) bool) {
		if opts.Collection != "" || len(opts.Patterns) > 0 {
			yield(Update[T]{}, invalid("a typed watch is of the collection %s; leave Collection and Patterns empty", c.name))
			return
		}
		opts.Collection = c.name
		for b, err := range c.db.Watch(ctx, opts) {
			if err != nil {
				yield(Update[T]{}, err)
				return
			}
			u := Update[T]{Resume: b.Resume, Initial: b.Initial, Reset: b.Reset}
			for i := range b.Changes {
				u.Changes = append(u.Changes, itemChangeOf[T](&b.Changes[i]))
			}
			if !yield(u, nil) {
				return
			}
		}
	}
}

func itemChangeOf[T any](ch *Change) ItemChange[T] {
	out := ItemChange[T]{Kind: ch.Kind, FromSync: ch.FromSync, Batch: ch.Batch}
	switch ch.Kind {
	case Put:
		out.Item, out.Err = itemOf[T](ch.Row)
	case Deleted:
		out.Item = Item[T]{Key: ch.Row.Key, Version: ch.Row.Version, Updated: ch.Row.Updated}
	}
	return out
}

func (k ChangeKind) String() string {
	if int(k) < len(changeNames) && k >= 0 {
		return changeNames[k]
	}
	return fmt.Sprintf("ChangeKind(%d)", int(k))
}

var changeNames = [...]string{Put: "put", Deleted: "deleted", CollectionChanged: "collection changed", CollectionDestroyed: "collection destroyed"}
