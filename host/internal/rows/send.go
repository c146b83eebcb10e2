package rows

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// Send streams to emit what the plan's initiator lacks of what is durable here: encoded commits in the order in which
// this device learned them, so that whatever a record was made from goes before it. The plan then counts them as sent.
// It returns the progress to report after the last commit; none means that there was nothing to say. While syncing is paused it
// sends nothing and returns ErrPaused. Of a plan that is being answered (Answer) it may also return ErrOutrun.
func (db *DB) Send(ctx context.Context, plan *delta.Plan, emit func(Outgoing) error) ([]delta.ScopeVector, error) {
	state := db.Published()
	if state.Paused {
		return nil, fmt.Errorf("%w: %s", ErrPaused, db.name)
	}
	runs := plan.Update(state.Know)
	if len(runs) == 0 {
		return db.answers.sent(plan), nil
	}
	s := db.newSender(plan, runs, emit)
	err := s.open(runs)
	if err == nil {
		err = s.stream(ctx)
	}
	if err == nil {
		err = s.outrun()
	}
	if err = errors.Join(err, s.close()); err != nil {
		return nil, err
	}
	return db.answers.sent(plan), nil
}

// sender merges the runs of the log by the order in which the records were learned.
type sender struct {
	db      *DB
	plan    *delta.Plan
	answer  *answer
	emit    func(Outgoing) error
	left    func() uint64
	runs    runHeap
	all     []*run
	encoder wire.CommitEncoder
	buf     []byte
	// current are the collections of which only current records are sent.
	current map[uint32]bool
	mail    mail
}

// run is a position in one writer's part of one collection's log.
type run struct {
	it     *kv.Iter
	coll   id.Collection
	num    uint32
	writer id.Writer
	gen    uint64
	// last is the generation at which the run ends at the latest; bounded says that there is a record of it.
	last    uint64
	bounded bool
	head    logHeader
	body    []byte
}

// newSender is to be opened, and closed also when that fails.
func (db *DB) newSender(plan *delta.Plan, runs []delta.Range, emit func(Outgoing) error) *sender {
	s := &sender{db: db, plan: plan, answer: db.answers.find(plan), emit: emit, current: map[uint32]bool{}, mail: db.openMail(runs)}
	s.left = s.countLeft
	return s
}

func (s *sender) open(ranges []delta.Range) error {
	for _, r := range ranges {
		num, known := s.db.CollectionNum(r.Collection)
		if !known {
			continue
		}
		if _, decided := s.current[num]; !decided {
			s.current[num] = s.db.onlyCurrent(r.Collection, s.plan)
		}
		lo := logKey(s.db.num, num, id.Version{Writer: r.Writer, Gen: r.From + 1})
		hi := logKey(s.db.num, num, id.Version{Writer: r.Writer, Gen: r.To})
		it, err := s.mail.log().Iter(lo, append(hi, 0))
		if err != nil {
			return err
		}
		run := &run{it: it, coll: r.Collection, num: num, writer: r.Writer, last: r.To}
		s.all = append(s.all, run)
		if ok, err := s.load(run, it.First()); err != nil {
			return err
		} else if ok {
			s.runs = append(s.runs, run)
		}
	}
	heap.Init(&s.runs)
	return nil
}

// load reads the record that the run stands on, moving on over those that are not wanted. It reports false at the end.
func (s *sender) load(r *run, ok bool) (bool, error) {
	for ; ok; ok = r.it.Next() {
		var err error
		if r.head, r.body, err = decodeLog(r.it.Value()); err != nil {
			return false, err
		}
		r.gen = logGen(r.it.Key())
		rec, err := wire.DecodeBody(r.body, id.Version{Writer: r.writer, Gen: r.gen})
		if err != nil {
			return false, corrupt("log record", err)
		}
		if !s.plan.Wants(r.coll, rec.Key, rec.Version) {
			continue
		}
		if !s.current[r.num] {
			return true, nil
		}
		if current, err := s.db.isCurrent(r.num, rec.Key, rec.Version); current || err != nil {
			return current, err
		}
	}
	return false, nil
}

func (s *sender) stream(ctx context.Context) error {
	for len(s.runs) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.mail.upTo(s.runs[0].head.seq, s.runs, s.plan, s.send); err != nil {
			return err
		}
		if err := s.sendCommit(); err != nil {
			return err
		}
	}
	return s.mail.upTo(math.MaxUint64, nil, s.plan, s.send)
}

// sendCommit sends the commit that the first run stands on, with its records from every run.
func (s *sender) sendCommit() error {
	first := s.runs[0]
	seq, w, start := first.head.seq, first.writer, first.gen-first.head.index
	s.encoder.Begin(w, start, first.head.count, first.head.time)
	records := 0
	for len(s.runs) > 0 {
		r := s.runs[0]
		if r.head.seq != seq || r.writer != w || r.gen-r.head.index != start {
			break
		}
		s.encoder.Add(r.coll, r.gen, r.body)
		records++
		ok, err := s.load(r, r.it.Next())
		if err != nil {
			return err
		}
		if ok {
			heap.Fix(&s.runs, 0)
		} else {
			heap.Pop(&s.runs)
		}
	}
	s.buf = s.encoder.Append(s.buf[:0])
	return s.send(s.buf, records)
}

func (s *sender) send(commit []byte, records int) error {
	if err := s.outrun(); err != nil {
		return err
	}
	return s.emit(Outgoing{Commit: commit, Records: records, Left: s.left})
}

func (s *sender) close() error {
	errs := []error{s.mail.close()}
	for _, r := range s.all {
		errs = append(errs, r.it.Close())
	}
	return errors.Join(errs...)
}

// runHeap orders runs by where their records were learned, and within a commit by generation.
type runHeap []*run

func (h runHeap) Len() int { return len(h) }
func (h runHeap) Less(i, j int) bool {
	if c := cmp.Compare(h[i].head.seq, h[j].head.seq); c != 0 {
		return c < 0
	}
	return h[i].gen < h[j].gen
}
func (h runHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *runHeap) Push(x any)   { *h = append(*h, x.(*run)) }
func (h *runHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
