package rows

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/merge"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// RepairOptions say how far a repair may go. The zero value loses nothing.
type RepairOptions struct {
	// AcceptLoss permits remedies that give up what may have been acknowledged.
	AcceptLoss bool
	// Looked is told now and then how many keys a check has looked at, of which there is one for each round. It may be nil.
	Looked func(keys int)
}

// Bounds of a repair: how much is put right between two checks, and how many checks there are at most.
const (
	maxMends  = 100_000
	maxRounds = 50
)

// Repair puts right what Check finds and returns what a last check found. The store must be in use by nobody else, and need
// not be sound enough to be opened. Each finding is reported once, and whether it was repaired.
//
// A repair may bring to light, or cause, what the next check finds, so it goes on until nothing is left that it can do.
// Each round is one batch; one that is cut short is begun again by the next Repair.
func Repair(ctx context.Context, store *kv.Store, opts RepairOptions, report func(f Finding, repaired bool)) (Summary, error) {
	// tried has what was mended already: a remedy that did not help is not tried again.
	tried := map[string]bool{}
	for round := 0; ; round++ {
		r := repairer{kv: store, loss: opts.AcceptLoss, rows: map[string]rowSource{}, lists: map[uint32]*listing{}, listed: map[uint32]map[id.Version]uint64{}}
		var todo, rest []Finding
		sum, err := CheckTelling(ctx, store, func(f Finding) {
			again := tried[string(f.Rule)+string(f.Key)+f.Text]
			if f.mend.apply == nil || f.Loses && !opts.AcceptLoss || again || round == maxRounds || len(todo) == maxMends {
				rest = append(rest, f)
			} else {
				todo = append(todo, f)
			}
		}, opts.Looked)
		if err != nil {
			return sum, err
		}
		if len(todo) == 0 {
			for _, f := range rest {
				report(f, false)
			}
			return sum, nil
		}
		first := slices.MinFunc(todo, func(a, b Finding) int { return cmp.Compare(a.mend.stage, b.mend.stage) }).mend.stage
		todo = slices.DeleteFunc(todo, func(f Finding) bool { return f.mend.stage != first })
		if err := r.round(ctx, todo); err != nil {
			return sum, err
		}
		for _, f := range todo {
			tried[string(f.Rule)+string(f.Key)+f.Text] = true
			report(f, true)
		}
	}
}

// repairer carries out the mends of one round.
type repairer struct {
	kv *kv.Store
	// loss is accepted.
	loss bool
	// rows are to be made anew, by their keys without the space.
	rows map[string]rowSource
	// lists are sequences with gaps, by the number of the database.
	lists map[uint32]*listing
	// listed says where sequences list versions, by the number of the database, once it was asked for.
	listed map[uint32]map[id.Version]uint64
	// heads are values of sequences that were changed in this round.
	heads map[string]changedSeq
}

type changedSeq struct {
	head    seqHead
	commits []learned
	left    []litter
}

func (r *repairer) round(ctx context.Context, todo []Finding) error {
	b := r.kv.NewBatch()
	// Sums are made anew, from whatever rows there are then, when somebody asks for them.
	b.DeleteRange([]byte{spaceDigest}, []byte{spaceDigest + 1})
	r.heads = map[string]changedSeq{}
	var err error
	for _, f := range todo {
		err = errors.Join(err, f.mend.apply(r, b))
	}
	for key, v := range r.heads {
		b.Set([]byte(key), appendSeq(nil, v.head, v.commits, v.left))
	}
	err = errors.Join(err, r.makeRows(ctx, b), r.makeLists(ctx, b))
	if err != nil {
		b.Discard()
		return err
	}
	return b.Commit(kv.Sync)
}

// changeSeq changes a value of the sequence, several times in one round if need be.
func (r *repairer) changeSeq(_ *kv.Batch, key []byte, change func(*changedSeq)) error {
	v, again := r.heads[string(key)]
	if !again {
		data, err := r.kv.Get(key)
		if errors.Is(err, kv.ErrNotFound) {
			return nil // that is another finding
		}
		if err != nil {
			return err
		}
		if v.head, v.commits, v.left, err = decodeSeq(data); err != nil {
			return err
		}
	}
	change(&v)
	r.heads[string(key)] = v
	return nil
}

// logged is a record as it lies in the log.
type logged struct {
	coll uint32
	h    logHeader
	rec  wire.Record
}

// readLog visits the records of a range of the log that can be read.
func (r *repairer) readLog(ctx context.Context, prefix []byte, visit func(l logged)) error {
	it, err := r.kv.Iter(prefix, kv.PrefixEnd(prefix))
	if err != nil {
		return err
	}
	for ok := it.First(); ok && ctx.Err() == nil; ok = it.Next() {
		key := it.Key()
		if len(key) != logKeyLen {
			continue
		}
		v := id.Version{Writer: wire.DecodeWriter(key[collKeyLen:]), Gen: logGen(key)}
		h, body, err := decodeLog(bytes.Clone(it.Value()))
		if err != nil {
			continue
		}
		rec, err := wire.DecodeBody(body, v)
		if err != nil {
			continue
		}
		visit(logged{coll: binary.BigEndian.Uint32(key[5:]), h: h, rec: rec})
	}
	return errors.Join(ctx.Err(), it.Close())
}

func inOrder(a, b logged) int {
	return cmp.Or(cmp.Compare(a.h.seq, b.h.seq), cmp.Compare(a.h.index, b.h.index))
}

// makeRows makes rows anew by taking their records from the log in the order in which this device learned them.
func (r *repairer) makeRows(ctx context.Context, b *kv.Batch) error {
	byColl := map[string]map[string][]logged{}
	for ref := range r.rows {
		coll := ref[:collKeyLen-1]
		if byColl[coll] == nil {
			byColl[coll] = map[string][]logged{}
		}
		byColl[coll][ref[len(coll):]] = nil
	}
	for coll, keys := range byColl {
		err := r.readLog(ctx, append([]byte{spaceLog}, coll...), func(l logged) {
			if records, wanted := keys[l.rec.Key]; wanted {
				keys[l.rec.Key] = append(records, l)
			}
		})
		if err != nil {
			return err
		}
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			makeRow(b, coll+key, keys[key], r.rows[coll+key])
		}
	}
	return nil
}

// makeRow writes a row anew from its records. Without any, a row whose log was reclaimed stays as it is.
func makeRow(b *kv.Batch, ref string, records []logged, from rowSource) {
	if len(records) == 0 && from.reclaimed {
		return
	}
	slices.SortStableFunc(records, inOrder)
	var state history.State
	for i := range records {
		state.Apply(&records[i].rec, records[i].h.time)
	}
	for i := range state.Heads {
		if h := &state.Heads[i]; from.reach.Covers(h.Version) {
			h.Deleted, h.Raw, h.Type, h.Value = true, false, "", nil
		}
	}
	row, tomb := append([]byte{spaceRow}, ref...), append([]byte{spaceTomb}, ref...)
	b.Delete(row)
	b.Delete(tomb)
	open := append(append([]byte{spaceOpen}, ref...), 0)
	if len(ref) > collKeyLen-1 {
		b.DeleteRange(open, kv.PrefixEnd(open))
	}
	if len(state.Heads) == 0 {
		return
	}
	shown := merge.LastWins(state.Heads)
	value := appendHead(nil, &state.Heads[shown])
	if len(state.Heads) > 1 {
		contest(value)
	}
	if state.Heads[shown].Deleted {
		row = tomb
	}
	b.Set(row, value)
	for i := range state.Heads {
		if i != shown {
			h := &state.Heads[i]
			key := binary.BigEndian.AppendUint64(wire.AppendWriter(bytes.Clone(open), h.Version.Writer), h.Version.Gen)
			b.Set(key, appendHead(nil, h))
		}
	}
}

// listing is a sequence with gaps.
type listing struct {
	writer id.Writer
	// head is that of what comes before the first gap.
	head seqHead
	gaps []gap
}

type gap struct{ from, to uint64 }

func (l *listing) has(seq uint64) bool {
	return slices.ContainsFunc(l.gaps, func(g gap) bool { return g.from <= seq && seq <= g.to })
}

// maxEmpty bounds how many lost commits of a gap are listed as empty; more than that is no gap but a damaged number.
const maxEmpty = 1 << 20

// makeLists fills the gaps of sequences from what the log says of each commit. A row that was overwritten in the same commit,
// or lost a conflict in it, is listed as well: watchers may be shown more than they were, never less. A commit of which the log has
// nothing is listed as empty where loss is accepted.
func (r *repairer) makeLists(ctx context.Context, b *kv.Batch) error {
	for num, l := range r.lists {
		var records []logged
		err := r.readLog(ctx, dbKey(spaceLog, num), func(rec logged) {
			if l.has(rec.h.seq) {
				rec.rec.Value = nil
				records = append(records, rec)
			}
		})
		if err != nil {
			return err
		}
		slices.SortStableFunc(records, inOrder)
		head := l.head
		made := map[uint64]seqHead{}
		for len(records) > 0 {
			n := slices.IndexFunc(records, func(rec logged) bool { return rec.h.seq != records[0].h.seq })
			if n < 0 {
				n = len(records)
			}
			commit := commitOf(records[:n], l.writer)
			if commit.writer == l.writer {
				head.ownGen = max(head.ownGen, records[n-1].rec.Version.Gen)
			}
			b.Set(seqKey(num, records[0].h.seq), appendSeq(nil, head, []learned{commit}, nil))
			made[records[0].h.seq] = head
			records = records[n:]
		}
		for _, g := range l.gaps {
			if !r.loss || g.to-g.from >= maxEmpty {
				continue
			}
			last := l.head
			for seq := g.from; seq <= g.to; seq++ {
				if h, found := made[seq]; found {
					last = h
					continue
				}
				b.Set(seqKey(num, seq), appendSeq(nil, last, []learned{{fromSync: true}}, nil))
			}
		}
	}
	return nil
}

// commitOf is what the sequence lists of a commit.
func commitOf(records []logged, self id.Writer) learned {
	first := records[0]
	v := first.rec.Version
	l := learned{writer: v.Writer, first: v.Gen - first.h.index, count: first.h.count, time: first.h.time, fromSync: v.Writer != self}
	for _, rec := range records {
		shown := rec.rec.Version
		if rec.rec.Kind == wire.Link {
			// Links are made when something arrives, and show their winner.
			l.fromSync, shown = true, rec.rec.Parents[0]
		}
		l.changes = append(l.changes, change{coll: rec.coll, version: shown})
	}
	return l
}
