package client

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// What is too large is refused before it is sent: the client of this test has no daemon.
func TestTooLargeIsRefusedHere(t *testing.T) {
	db := (&Client{}).Database("db")
	c := db.Collection("c")
	put := func(c *Collection, size int) Op {
		op, err := c.PutOp("k", Value{Bytes: make([]byte, size), Raw: true})
		if err != nil {
			t.Fatal(err)
		}
		return op
	}
	check := func(size int) Op {
		op, err := c.CheckValueOp("k", Value{Bytes: make([]byte, size), Raw: true})
		if err != nil {
			t.Fatal(err)
		}
		return op
	}
	long := db.Collection(strings.Repeat("n", 1000))
	for want, ops := range map[string][]Op{
		`a batch of 100001 operations, the limit is 100000`:                                                  slices.Repeat([]Op{c.DeleteOp("k")}, 100_001),
		`a batch of 33554433 bytes of keys and values, the limit is 33554432; make several`:                  append(slices.Repeat([]Op{put(c, 4<<20)}, 7), put(c, 4<<20-7)),
		`a value of 4194305 bytes for "k", the limit is 4194304; larger things belong into a blob`:           {put(c, 4<<20+1)},
		`operation 2: a value of 50000000 bytes for "k", the limit is 4194304; larger things belong into a `: {put(c, 1), put(c, 50_000_000)},
		`with the names and what is checked, the limit is 50331648; make several`:                            slices.Repeat([]Op{long.DeleteOp("k")}, 60_000),
		`a batch that takes`: slices.Repeat([]Op{check(4 << 20)}, 13),
	} {
		for what, commit := range map[string]func() error{
			"commit":   func() error { _, err := db.Commit(t.Context(), ops...); return err },
			"in batch": func() error { return (&Tx{db: db}).Write(t.Context(), ops...) },
		} {
			if err := commit(); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s of %d operations: %v, want %s", what, len(ops), err, want)
			}
		}
	}
}
