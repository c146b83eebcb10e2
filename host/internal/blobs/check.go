package blobs

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// Rows are what references are made of.
type Rows interface {
	// Each visits the JSON values of rows.
	Each(ctx context.Context, visit func(db, coll uint32, key string, value []byte) error) error
	// Get returns the JSON value of a row, nil when there is none.
	Get(db, coll uint32, key string) ([]byte, error)
	HasDatabase(ctx context.Context, num uint32) (bool, error)
}

// Rule is an invariant of what is kept of blobs.
type Rule string

// The invariants.
const (
	// RuleReference: references are those of the rows, and of databases that keep a blob.
	RuleReference Rule = "blob-reference"
	// RuleMissing: a blob that a row refers to is whole, or known to be missing.
	RuleMissing Rule = "blob-missing"
	// RuleWhole: the recipe of a blob can be read, and all chunks of one that is whole are in the index.
	RuleWhole Rule = "blob-whole"
	// RuleEncoding: every key and value can be read.
	RuleEncoding Rule = "blob-encoding"
)

// Finding is something that must not be.
type Finding struct {
	Rule Rule
	Key  []byte
	Text string
	// Remedy says what Repair does about it.
	Remedy string
	// Loses: the remedy gives up what may not be anywhere else.
	Loses bool

	mend func(b *kv.Batch)
}

// RepairOptions say how far a repair may go. The zero value loses nothing.
type RepairOptions struct {
	// AcceptLoss permits remedies that give up what may not be anywhere else.
	AcceptLoss bool
}

// Check goes through what is kept of blobs and reports what breaks an invariant. It does not ask the object store. Rows must be
// those of the same reader, and sound.
func Check(ctx context.Context, from kv.Reader, rows Rows, report func(Finding)) error {
	c := checker{ctx: ctx, from: from, rows: rows, report: report, dbs: map[uint32]bool{}}
	for _, step := range []func() error{c.indexed, c.references, c.blobs, c.records} {
		if err := step(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Repair puts right what Check finds, and reports each finding with whether that was done. Nobody else may use the store.
func Repair(ctx context.Context, store *kv.Store, rows Rows, opts RepairOptions, report func(f Finding, repaired bool)) error {
	for round := 0; ; round++ {
		b := store.NewBatch()
		var done, left []Finding
		err := Check(ctx, store, rows, func(f Finding) {
			if f.Loses && !opts.AcceptLoss || round == maxRounds {
				left = append(left, f)
				return
			}
			f.mend(b)
			done = append(done, f)
		})
		if err != nil {
			b.Discard()
			return err
		}
		if err := b.Commit(kv.Sync); err != nil {
			return err
		}
		for _, f := range done {
			report(f, true)
		}
		if len(done) == 0 {
			for _, f := range left {
				report(f, false)
			}
			return nil
		}
	}
}

// maxRounds bounds how often a repair is followed by another check.
const maxRounds = 5

// checker goes through one store.
type checker struct {
	ctx    context.Context
	from   kv.Reader
	rows   Rows
	report func(Finding)
	// dbs remembers which databases there are.
	dbs map[uint32]bool
}

func (c *checker) found(rule Rule, key []byte, remedy string, mend func(b *kv.Batch), format string, args ...any) {
	c.report(Finding{Rule: rule, Key: bytes.Clone(key), Text: fmt.Sprintf(format, args...), Remedy: remedy, mend: mend})
}

// unreadable reports what cannot be read, and what only its removal cures.
func (c *checker) unreadable(rule Rule, key []byte, format string, args ...any) {
	key = bytes.Clone(key)
	c.report(Finding{
		Rule: rule, Key: key, Text: fmt.Sprintf(format, args...), Remedy: "remove it", Loses: true,
		mend: func(b *kv.Batch) { b.Delete(key) },
	})
}

func (c *checker) each(prefix []byte, visit func(key, value []byte) error) error {
	it, err := c.from.Iter(prefix, kv.PrefixEnd(prefix))
	if err != nil {
		return err
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		if err = c.ctx.Err(); err == nil {
			err = visit(it.Key(), it.Value())
		}
	}
	return errors.Join(err, it.Close())
}

func (c *checker) has(key []byte) (bool, error) {
	_, err := c.from.Get(key)
	if errors.Is(err, kv.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// indexed holds every row against the index of references.
func (c *checker) indexed() error {
	return c.rows.Each(c.ctx, func(db, coll uint32, key string, value []byte) error {
		for _, ref := range Refs(value) {
			k := referenceKey(ref, db, coll, key)
			there, err := c.has(k)
			if err != nil {
				return err
			}
			if !there {
				c.found(RuleReference, k, "add the reference", func(b *kv.Batch) { b.Set(k, nil) }, "the row %q refers to %v", key, ref)
			}
		}
		return nil
	})
}

// references holds every entry of the index against its row.
func (c *checker) references() error {
	const prefix = 1 + chunk.HashSize
	var last chunk.Ref
	return c.each([]byte{spaceReference}, func(key, _ []byte) error {
		if len(key) < prefix+8 {
			c.unreadable(RuleEncoding, key, "reference record of %d bytes", len(key))
			return nil
		}
		ref, db := chunk.Ref(key[1:prefix]), binary.BigEndian.Uint32(key[prefix:])
		coll, row := binary.BigEndian.Uint32(key[prefix+4:]), string(key[prefix+8:])
		held, err := c.refers(ref, db, coll, row)
		if err != nil {
			return err
		}
		if !held {
			k := bytes.Clone(key)
			c.found(RuleReference, key, "remove the reference", func(b *kv.Batch) { b.Delete(k) }, "row %q of database %d does not refer to %v", row, db, ref)
		}
		if !held || coll == 0 || ref == last {
			return nil
		}
		last = ref
		return c.awaited(ref)
	})
}

func (c *checker) refers(ref chunk.Ref, db, coll uint32, row string) (bool, error) {
	if coll == 0 && row == "" {
		if _, asked := c.dbs[db]; !asked {
			there, err := c.rows.HasDatabase(c.ctx, db)
			if err != nil {
				return false, err
			}
			c.dbs[db] = there
		}
		return c.dbs[db], nil
	}
	value, err := c.rows.Get(db, coll, row)
	return slices.Contains(Refs(value), ref), err
}

// awaited wants a blob that a row refers to to be here, or on the list of those that are missing.
func (c *checker) awaited(ref chunk.Ref) error {
	value, err := c.from.Get(hashKey(spaceBlob, ref))
	if err != nil && !errors.Is(err, kv.ErrNotFound) {
		return err
	}
	if record, bad := decodeBlobRecord(value); err == nil && (bad != nil || record.state == Whole) {
		return nil // what cannot be read is found with the blob
	}
	k := hashKey(spaceMissing, ref)
	listed, err := c.has(k)
	if err == nil && !listed {
		c.found(RuleMissing, k, "list it as missing", func(b *kv.Batch) { b.Set(k, nil) }, "%v is not whole, and not known to be missing", ref)
	}
	return err
}

// blobs reads every recipe, and looks up the chunks of blobs that are whole.
func (c *checker) blobs() error {
	return c.each([]byte{spaceBlob}, func(key, value []byte) error {
		record, err := decodeBlobRecord(value)
		if len(key) != 1+chunk.HashSize {
			c.unreadable(RuleEncoding, key, "blob record with a key of %d bytes", len(key))
			return nil
		}
		ref := chunk.Ref(key[1:])
		if err != nil {
			return c.unrecorded(ref, err)
		}
		recipe, err := c.recipe(ref)
		if errors.Is(err, ErrCorrupt) {
			c.report(Finding{
				Rule: RuleWhole, Key: bytes.Clone(key), Text: err.Error(), Remedy: "forget the blob, which can be fetched again where others have it",
				Loses: true, mend: func(b *kv.Batch) { forgetBlob(b, ref) },
			})
			return nil
		}
		if err != nil || record.state != Whole {
			return err
		}
		lacks, err := c.lacks(recipe)
		if err == nil && lacks > 0 {
			record.state = Partial
			c.found(RuleWhole, key, "note that it is partial, so that the rest is fetched again", func(b *kv.Batch) {
				b.Set(hashKey(spaceBlob, ref), record.encode())
			}, "%v lacks %d of %d chunks", ref, lacks, recipe.Len())
		}
		return err
	})
}

// unrecorded reports a blob whose record cannot be read, which says nothing that its recipe does not say.
func (c *checker) unrecorded(ref chunk.Ref, cause error) error {
	key := hashKey(spaceBlob, ref)
	recipe, err := c.recipe(ref)
	if errors.Is(err, ErrCorrupt) {
		c.unreadable(RuleEncoding, key, "blob record: %v", cause)
		return nil
	}
	if err != nil {
		return err
	}
	lacks, err := c.lacks(recipe)
	if err != nil {
		return err
	}
	record := blobRecord{state: Whole, size: recipe.Size(), recipeLen: uint32(len(recipe.Encoded()))}
	if lacks > 0 {
		record.state = Partial
	}
	c.found(RuleEncoding, key, "make it anew from the recipe", func(b *kv.Batch) { b.Set(key, record.encode()) }, "blob record: %v", cause)
	return nil
}

func forgetBlob(b *kv.Batch, ref chunk.Ref) {
	b.Delete(hashKey(spaceBlob, ref))
	pages := hashKey(spaceRecipe, ref)
	b.DeleteRange(pages, kv.PrefixEnd(pages))
}

func (c *checker) recipe(ref chunk.Ref) (chunk.Recipe, error) {
	var encoded []byte
	err := c.each(hashKey(spaceRecipe, ref), func(_, page []byte) error {
		if len(encoded)+len(page) > chunk.MaxRecipeLen {
			return fmt.Errorf("%w: recipe of %v is too long", ErrCorrupt, ref)
		}
		encoded = append(encoded, page...)
		return nil
	})
	if err != nil {
		return chunk.Recipe{}, err
	}
	if chunk.Ref(chunk.Sum(encoded)) != ref {
		return chunk.Recipe{}, fmt.Errorf("%w: recipe of %v does not match the reference", ErrCorrupt, ref)
	}
	recipe, err := chunk.DecodeRecipe(encoded)
	if err != nil {
		return chunk.Recipe{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return recipe, nil
}

// lacks counts the chunks that are not in the index.
func (c *checker) lacks(recipe chunk.Recipe) (n int, err error) {
	for i := range recipe.Len() {
		there, err := c.has(hashKey(spaceChunk, recipe.Hash(i)))
		if err != nil {
			return n, err
		}
		if !there {
			n++
		}
	}
	return n, nil
}

// records decodes what belongs to no other step.
func (c *checker) records() error {
	chunks := c.each([]byte{spaceChunk}, func(key, value []byte) error {
		if _, err := decodePosition(value); err != nil || len(key) != 1+chunk.HashSize {
			c.unreadable(RuleEncoding, key, "chunk record: %v", err)
		}
		return nil
	})
	signposts := c.each([]byte{spaceSignpost}, func(key, value []byte) error {
		if _, err := decodeLocation(key, value); err != nil {
			c.unreadable(RuleEncoding, key, "%v", err)
		}
		return nil
	})
	return errors.Join(chunks, signposts)
}
