package fetch

import (
	"context"

	"github.com/syncbase/syncbase/host/internal/blobs"
	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/sched"
)

// pieceSize bounds what one request asks for. It is small against a peer's window, so that several are under way.
const pieceSize = 1 << 20

// task is one wanted blob. Its fields are guarded by Fetcher.mu, but for those that never change.
type task struct {
	ref  chunk.Ref
	name string // ref as text, its name in the scheduler
	// ctx ends with the wish for the blob; nil until the first request.
	ctx    context.Context
	cancel context.CancelFunc
	// running counts the goroutines at work for the blob.
	running   int
	cancelled bool
	// again is a wish that came after the cancellation and before the end.
	again *sched.Want

	recipe chunk.Recipe
	// have tells for each chunk whether it is stored or in the writer.
	have []bool
	// twin gives for a chunk that occurs before in the recipe the first occurrence, which alone is fetched.
	twin map[uint32]uint32
	// pieces are the chunks of each request, and pieceOf the piece of each chunk that was missing.
	pieces  [][]uint32
	pieceOf map[uint32]int
	// writer stores what comes; nil until something does, and after a failure.
	writer *blobs.PackWriter
	// givers are the peers that gave something.
	givers map[id.Device]bool

	progress Progress
	// changed is closed at the next change of progress or have; nil while nobody waits.
	changed chan struct{}
}

// notify wakes those who wait for a change.
func (t *task) notify() {
	if t.changed != nil {
		close(t.changed)
		t.changed = nil
	}
}

// locate takes the recipe and the positions that are missing, and returns the sizes of the pieces.
func (t *task) locate(recipe chunk.Recipe, missing []uint32) []int64 {
	t.recipe = recipe
	t.have = make([]bool, recipe.Len())
	for i := range t.have {
		t.have[i] = true
	}
	t.twin = make(map[uint32]uint32)
	t.pieceOf = make(map[uint32]int)
	first := make(map[chunk.Hash]uint32)
	received := recipe.Size()
	var sizes []int64
	for _, i := range missing {
		h := recipe.Hash(int(i))
		if twin, found := first[h]; found {
			t.twin[i] = twin
			continue
		}
		first[h] = i
		n := int64(recipe.Length(int(i)))
		last := len(sizes) - 1
		if last < 0 || sizes[last]+n > pieceSize {
			t.pieces, sizes = append(t.pieces, nil), append(sizes, 0)
			last++
		}
		t.pieces[last] = append(t.pieces[last], i)
		t.pieceOf[i] = last
		sizes[last] += n
		t.have[i] = false
		received -= uint64(n)
	}
	t.progress.State, t.progress.Total, t.progress.Received = Fetching, recipe.Size(), received
	return sizes
}

// original returns the chunk that stands for chunk i.
func (t *task) original(i uint32) uint32 {
	if twin, found := t.twin[i]; found {
		return twin
	}
	return i
}

// lacking returns the chunks of a piece that have not come.
func (t *task) lacking(piece int) []uint32 {
	var all []uint32
	for _, i := range t.pieces[piece] {
		if !t.have[i] {
			all = append(all, i)
		}
	}
	return all
}

// lose notes that chunks thought to be here are not, and returns the pieces to fetch again.
func (t *task) lose(missing []uint32) []int {
	var pieces []int
	for _, i := range missing {
		piece, fetched := t.pieceOf[i]
		if !fetched || !t.have[i] {
			continue
		}
		t.have[i] = false
		if t.progress.State != Done {
			t.progress.Received -= uint64(t.recipe.Length(int(i)))
		}
		if len(pieces) == 0 || pieces[len(pieces)-1] != piece {
			pieces = append(pieces, piece)
		}
	}
	return pieces
}
