package rows

import (
	"errors"
	"slices"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// mail is the letters that go among the commits of one Send, in the places in which this device learned them.
type mail struct {
	db   *DB
	snap *kv.Snapshot
	list []*Letter
}

// openMail is to be called before the log is looked at: what is a letter no more by then is in the log, or superseded. And the log is to be
// looked at by way of the mail: what is a letter now, and is taken in the next moment, would go twice.
func (db *DB) openMail(runs []delta.Range) mail {
	db.mu.Lock()
	defer db.mu.Unlock()
	m := mail{db: db}
	for _, l := range db.letters.list {
		wanted := func(r delta.Range) bool {
			return r.Writer == l.Writer && r.From < l.Last && l.Least <= r.To && slices.Contains(l.Collections, r.Collection)
		}
		if slices.ContainsFunc(runs, wanted) {
			m.list = append(m.list, l)
		}
	}
	if len(m.list) > 0 {
		m.snap = db.s.kv.Snapshot()
	}
	return m
}

// log is where the log is read: as it was when the letters were listed, if there are any.
func (m *mail) log() kv.Reader {
	if m.snap == nil {
		return m.db.s.kv
	}
	return m.snap
}

// upTo sends the letters that were learned before the commit seq. One waits for what its writer did before and is in the log later,
// since that was a letter, too, and was taken: to the peer, whoever has told of something has told of all before it.
func (m *mail) upTo(seq uint64, runs []*run, plan *delta.Plan, emit func(commit []byte, records int) error) error {
	for len(m.list) > 0 && m.list[0].seq < seq {
		l := m.list[0]
		if slices.ContainsFunc(runs, func(r *run) bool { return r.writer == l.Writer && r.gen < l.Least }) {
			return nil
		}
		if err := m.send(l, plan, emit); err != nil {
			return err
		}
		m.list = m.list[1:]
	}
	return nil
}

func (m *mail) send(l *Letter, plan *delta.Plan, emit func(commit []byte, records int) error) error {
	data, err := m.snap.Get(letterKey(m.db.num, letterCommit, l.ID))
	if err != nil {
		return err
	}
	c, err := wire.DecodeCommit(data)
	if err != nil {
		return corrupt("letter", err)
	}
	c.Records = slices.DeleteFunc(c.Records, func(e wire.Entry) bool {
		return !plan.Wants(e.Collection, e.Record.Key, e.Record.Version)
	})
	if len(c.Records) == 0 {
		return nil
	}
	return emit(c.Append(nil), len(c.Records))
}

func (m *mail) close() error {
	if m.snap == nil {
		return nil
	}
	return errors.Join(m.snap.Close())
}
