package blobs

import (
	"fmt"
	"slices"
	"sync"

	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// recipePage is the length of the pages in which recipes are stored and sent.
const recipePage = 256 << 10

// Recipe returns the recipe of a blob that is here at least in part.
func (s *Store) Recipe(ref chunk.Ref) (chunk.Recipe, error) {
	if recipe, found := s.recipes.get(ref); found {
		return recipe, nil
	}
	record, err := s.record(ref)
	if err != nil {
		return chunk.Recipe{}, err
	}
	encoded := make([]byte, 0, min(record.recipeLen, chunk.MaxRecipeLen))
	err = s.recipePages(ref, func(page []byte) error {
		if len(encoded)+len(page) > cap(encoded) {
			return fmt.Errorf("%w: recipe of %v is longer than recorded", ErrCorrupt, ref)
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
	s.recipes.put(ref, recipe)
	return recipe, nil
}

func (s *Store) recipePages(ref chunk.Ref, visit func(page []byte) error) error {
	return s.scan(hashKey(spaceRecipe, ref), func(_, page []byte) error { return visit(page) })
}

// PutRecipe records that the blob exists and what it is made of, so that fetching it can go on after a restart. A blob
// that is here already stays as it is. Durable when it returns.
func (s *Store) PutRecipe(recipe chunk.Recipe) error {
	return s.setState(recipe, Partial)
}

// Complete makes a blob whole. It returns ErrPartial when chunks are missing. Durable when it returns.
func (s *Store) Complete(ref chunk.Ref) error {
	recipe, err := s.Recipe(ref)
	if err != nil {
		return err
	}
	missing, err := s.Missing(recipe)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: %v lacks %d of %d chunks", ErrPartial, ref, len(missing), recipe.Len())
	}
	return s.setState(recipe, Whole)
}

// setState raises the state of a blob, never lowers it. The recipe is stored with the first state.
func (s *Store) setState(recipe chunk.Recipe, state State) error {
	ref := recipe.Ref()
	s.mu.Lock()
	defer s.mu.Unlock()
	record, err := s.record(ref)
	if err == nil && record.state >= state {
		return nil
	}
	b := s.kv.NewBatch()
	encoded := recipe.Encoded()
	if err != nil {
		for i, page := range slices.Collect(slices.Chunk(encoded, recipePage)) {
			b.Set(recipeKey(ref, i), page)
		}
	}
	record = blobRecord{state: state, size: recipe.Size(), recipeLen: uint32(len(encoded))}
	b.Set(hashKey(spaceBlob, ref), record.encode())
	if state == Whole {
		b.Delete(hashKey(spaceMissing, ref))
	}
	return b.Commit(kv.Sync)
}

// recipeCache keeps the recipes used last, because one blob is read by many calls. The zero value is ready.
type recipeCache struct {
	mu sync.Mutex
	// entries has the latest used first.
	entries []cachedRecipe
}

type cachedRecipe struct {
	ref    chunk.Ref
	recipe chunk.Recipe
}

const (
	maxCachedRecipes = 16
	maxCachedBytes   = 64 << 20
)

func (c *recipeCache) get(ref chunk.Ref) (chunk.Recipe, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.entries, func(e cachedRecipe) bool { return e.ref == ref })
	if i < 0 {
		return chunk.Recipe{}, false
	}
	found := c.entries[i]
	copy(c.entries[1:], c.entries[:i])
	c.entries[0] = found
	return found.recipe, true
}

func (c *recipeCache) put(ref chunk.Ref, recipe chunk.Recipe) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries = slices.Insert(c.entries, 0, cachedRecipe{ref, recipe})
	total := 0
	for i, e := range c.entries {
		total += len(e.recipe.Encoded())
		if i > 0 && total > maxCachedBytes || i == maxCachedRecipes {
			clear(c.entries[i:])
			c.entries = c.entries[:i]
			return
		}
	}
}
