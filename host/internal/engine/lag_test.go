package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/syncgroup"
)

// What a peer says is left is shown as long as it may be on its way, and nothing else comes of it.
func TestLeftIsShownWhileItMayCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := both(t)
		answers := [][]delta.Message{
			{{Accepted: []id.Scope{notes}, Left: 9}, {Commits: [][]byte{commitOf(notes.Collection, "k", nil)}}},
			{{Accepted: []id.Scope{notes}, Left: 5}, {Left: delta.MostRecords}},
			{{Accepted: []id.Scope{notes}, Left: 5}, {Left: 6}, {Progress: []delta.ScopeVector{{Scope: notes, Vector: id.Vector{}}}}},
			{{Accepted: []id.Scope{notes}, Left: 4}},
		}
		errCut, errNot := errors.New("cut"), errors.New("not now")
		unlink := b.follow(a, func(ctx context.Context, _ delta.Open) (Stream, error) {
			if len(answers) == 0 {
				return nil, errNot
			}
			list := answers[0]
			answers = answers[1:]
			return &cutAfter{script{ctx, list}, 10 * time.Second, errCut}, nil
		})
		lag := func(when string, want uint64) {
			t.Helper()
			synctest.Wait()
			if got := b.engine.Lag(a.principal(), b.db); got != want {
				t.Errorf("%s the lag is %d, want %d", when, got, want)
			}
		}
		lag("after one of nine records", 8)
		time.Sleep(10 * time.Second)
		lag("before it answers again", 8)
		time.Sleep(time.Second)
		lag("of a peer that claims the impossible", delta.MostRecords)
		time.Sleep(12 * time.Second)
		lag("after progress", 0)
		time.Sleep(12 * time.Second)
		lag("when it begins again", 4)
		time.Sleep(time.Minute)
		lag("while it does not answer", 0)
		unlink()
		lag("after it is gone", 0)
	})
}

// cutAfter is a script that ends with an error some time after its last message.
type cutAfter struct {
	script
	after time.Duration
	err   error
}

func (c *cutAfter) Recv() (delta.Message, error) {
	if len(c.list) > 0 {
		return c.script.Recv()
	}
	select {
	case <-time.After(c.after):
		return delta.Message{}, c.err
	case <-c.ctx.Done():
		return delta.Message{}, c.ctx.Err()
	}
}

// Before anything comes of a peer that does not say what is left, and while others send it, whoever waits for it knows what it has.
func TestLagIsKnownFromAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := both(t)
		hang := b.follow(a, func(ctx context.Context, _ delta.Open) (Stream, error) { return &script{ctx, nil}, nil })
		synctest.Wait()
		for i := range 5 {
			a.put("notes", fmt.Sprint(i), `1`)
		}
		g, err := syncgroup.Find(b.db, named("notes"))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.engine.Level(ctx, b.db, g, []Source{{a.peer(), a.from(b, nil)}}); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if got := b.engine.Lag(a.principal(), b.db); got < 5 {
			t.Errorf("the lag is %d with 5 records lacking", got)
		}
		hang()
		if got := b.engine.Lag(a.principal(), b.db); got != 0 {
			t.Errorf("of a peer that is gone the lag is %d", got)
		}
	})
}

// stalled is an outlet that takes some messages of commits, confirms none of them, and then blocks.
type stalled struct {
	outlet
	ctx      context.Context
	takes    int
	underway atomic.Int64
	lefts    []uint64
}

func (s *stalled) Underway() int { return int(s.underway.Load()) }

func (s *stalled) Send(m delta.Message) error {
	if m.SaysLeft() {
		s.lefts = append(s.lefts, m.Left)
	}
	if m.Commits == nil {
		return nil
	}
	if s.takes == 0 {
		<-s.ctx.Done()
		return s.ctx.Err()
	}
	s.takes--
	for _, c := range m.Commits {
		s.underway.Add(int64(len(c)))
	}
	return nil
}

// A responder knows what the initiator has not confirmed: what it has not sent, what is under way, and what was written since; not what
// the initiator wrote itself. The initiator is told of all that is not sent.
func TestToSendIsWhatIsNotConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := both(t)
		value := `"` + strings.Repeat("x", sendBytes/4) + `"`
		put := func(from, to int) {
			for i := from; i < to; i++ {
				a.put("notes", fmt.Sprint(i), value)
			}
		}
		before := a.db.Published().Know.At(notes)
		put(0, 100)
		ctx, cancel := context.WithCancel(t.Context())
		to := &stalled{ctx: ctx, takes: 5}
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = a.engine.Serve(ctx, b.peer(), delta.Open{
				Database: dbName, Syncgroups: []id.Name{named("notes")}, Self: b.db.Writer(), Known: []delta.ScopeVector{{Scope: notes, Vector: before}},
			}, to)
		}()
		toSend := func(when string, want uint64) {
			t.Helper()
			synctest.Wait()
			if got := a.engine.ToSend(b.principal(), a.db); got != want {
				t.Errorf("%s %d are to be sent, want %d", when, got, want)
			}
		}
		toSend("at first", 100)
		put(100, 120)
		toSend("when more was written", 120)
		if len(to.lefts) != 2 || to.lefts[0] != 100 || to.lefts[1] != 100 {
			t.Errorf("left are %d, want 100 with what was accepted, and before the first commits", to.lefts)
		}
		to.underway.Store(0)
		toSend("when what was sent is confirmed", 120-5*3)
		if other := a.engine.ToSend(a.principal(), a.db); other != 0 {
			t.Errorf("to somebody else %d are to be sent", other)
		}
		cancel()
		<-done
		toSend("to one that is gone", 0)
	})
}

// What many small messages have under way is kept in few parcels.
func TestParcelsAreFew(t *testing.T) {
	underway := 0
	db := newDevice(t, "a").db
	s := outgo{db: db, underway: func() int { return underway }, know: db.Published().Know}
	for range 10_000 {
		underway += 100
		s.sending(1)
		s.sent(100, 1)
	}
	if got := s.unconfirmed(); got != 10_000 || len(s.parcels) > 2*10_000*100/sendBytes {
		t.Errorf("%d records in %d parcels", got, len(s.parcels))
	}
	underway = 500_000
	if got := s.unconfirmed(); got < 5000 || got > 5000+sendBytes/100 {
		t.Errorf("with half of it confirmed %d records are under way", got)
	}
	underway = 0
	if got := s.unconfirmed(); got != 0 || s.yetToSend() != 0 {
		t.Errorf("with all of it confirmed %d are under way, and %d to be sent", got, s.yetToSend())
	}
}
