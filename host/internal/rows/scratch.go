package rows

import (
	"slices"
	"sync"
)

// scratch is memory that transactions use one after another: what a batch of many rows would otherwise leave to the
// collector each time. Nothing of it outlives the transaction that has it.
type scratch struct {
	// slab has the row states of the transaction, and room for more; see newRow.
	slab []rowState
	// key and body are buffers for what goes into the batch, which copies it.
	key, body []byte
	// wanted are the rows of the operations of one commit, and states what is known of them.
	wanted []rowRef
	states []*rowState
	// colls are the collections of the operations of one commit, and todo the positions of those that make a record.
	colls []*collection
	todo  []int
	// changes are those of the commits of this device; they hold no memory.
	changes []change
}

// maxScratchRows is how many rows a transaction may have touched for its memory to be kept.
const maxScratchRows = 4096

// scratches are those that no transaction has.
var scratches = sync.Pool{New: func() any { return &scratch{} }}

// release gives the memory back. It is called when all that is left to do with the transaction is to wait for its batch.
func (t *txn) release() {
	s := t.scratch
	large := cap(s.slab) > maxScratchRows
	t.scratch, t.order, t.rows, t.indexed, t.turn, t.sorted, t.commits = nil, nil, nil, 0, 0, 0, nil
	if large && t.received {
		clear(s.slab)
		s.slab, t.db.large = s.slab[:0], s
		return
	}
	if large || max(cap(s.wanted), cap(s.states), cap(s.changes), cap(s.colls), cap(s.todo)) > maxScratchRows || cap(s.body) > maxScratchBody {
		return
	}
	clear(s.slab)
	clear(s.wanted[:cap(s.wanted)])
	clear(s.states[:cap(s.states)])
	clear(s.colls[:cap(s.colls)])
	s.slab, s.wanted, s.states, s.changes = s.slab[:0], s.wanted[:0], s.states[:0], s.changes[:0]
	scratches.Put(s)
}

// maxScratchBody is the largest buffer that is kept.
const maxScratchBody = 64 << 10

// room returns an empty list for n changes, which ends with the transaction.
func (t *txn) room(n int) []change {
	from := len(t.changes)
	if cap(t.changes)-from < n {
		t.changes, from = make([]change, 0, max(n, 2*cap(t.changes))), 0
	}
	t.changes = t.changes[:from+n]
	return t.changes[from : from : from+n]
}

// expect makes room for n more rows.
func (t *txn) expect(n int) {
	t.order = slices.Grow(t.order, n)
	if cap(t.slab)-len(t.slab) < n {
		t.slab = make([]rowState, 0, n)
	}
}

// newRow returns a row state that says nothing. Those that were returned before stay where they are: a slab that is full is
// left to them.
func (t *txn) newRow() *rowState {
	if len(t.slab) == cap(t.slab) {
		t.slab = make([]rowState, 0, max(1, min(2*cap(t.slab), 64)))
	}
	t.slab = t.slab[:len(t.slab)+1]
	return &t.slab[len(t.slab)-1]
}
