package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/wire"
)

func TestRoundsOfACrowdRest(t *testing.T) {
	for _, tc := range []struct {
		commits int
		after   time.Duration
		want    time.Duration
	}{
		{0, 0, 0},
		{crowd - 1, 0, 0},
		{crowd, 0, crowdRest},
		{1000, time.Millisecond, crowdRest - time.Millisecond},
		{1000, time.Second, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			var p pace
			p.begin(t.Context())
			p.commits = tc.commits
			time.Sleep(tc.after)
			begun := time.Now()
			p.begin(t.Context())
			if got := time.Since(begun); got != tc.want {
				t.Errorf("%s after a round of %d commits the next begins %s later, want %s", tc.after, tc.commits, got, tc.want)
			}
			ended, end := context.WithCancel(t.Context())
			end()
			p.commits, begun = crowd, time.Now()
			if p.begin(ended); time.Since(begun) != 0 {
				t.Error("a pull that has ended rests")
			}
		})
	}
}

// Progress goes with commits at once, and otherwise now and then; nothing of it is lost.
func TestProgressRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := id.Writer{Device: id.Device{1}, Epoch: 1}
		other := id.Scope{Collection: collection("other")}
		of := func(s id.Scope, gen uint64) []delta.ScopeVector {
			return []delta.ScopeVector{{Scope: s, Vector: id.Vector{w: gen}}}
		}
		var p pace
		expect := func(what string, got, want []delta.ScopeVector) {
			t.Helper()
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: reported %v, want %v", what, got, want)
			}
		}
		expect("the first", p.report(of(notes, 1)), of(notes, 1))
		if p.due() != nil {
			t.Error("something is due although all was reported")
		}
		expect("at once", p.report(of(notes, 2)), nil)
		expect("once more", p.report(of(notes, 3)), nil)
		p.commits = 1
		expect("with commits", p.report(of(other, 1)), slices.Concat(of(notes, 3), of(other, 1)))
		p.commits = 0
		expect("after commits", p.report(of(notes, 4)), nil)
		begun := time.Now()
		<-p.due()
		if got := time.Since(begun); got != progressRest {
			t.Errorf("due after %s", got)
		}
		expect("when due", p.report(nil), of(notes, 4))
	})
}

// creditor takes credit, and brings a message when it is told to.
type creditor struct {
	ctx      context.Context
	messages chan delta.Message
	given    chan uint64
}

func (c *creditor) Recv() (delta.Message, error) {
	select {
	case m := <-c.messages:
		return m, nil
	case <-c.ctx.Done():
		return delta.Message{}, c.ctx.Err()
	}
}

func (c *creditor) Credit(n uint64) error { c.given <- n; return nil }

func (c *creditor) Tell(delta.Elsewhere) error { return nil }
func (c *creditor) Close()                     {}

// Credit for little is told now and then, for much at once, and all of it in the end although nothing more comes.
func TestCreditForLittleRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := both(t)
		b.follow(a, a.from(b, nil))()
		ctx, cancel := context.WithCancel(t.Context())
		stream := &creditor{ctx: ctx, messages: make(chan delta.Message), given: make(chan uint64, 100)}
		done := make(chan struct{})
		go func() {
			defer close(done)
			b.engine.Follow(ctx, a.peer(), func(context.Context, delta.Open) (Stream, error) { return stream, nil })
		}()
		stream.messages <- delta.Message{Accepted: []id.Scope{notes}}
		gen, sent := uint64(0), uint64(0)
		bring := func(value string) {
			t.Helper()
			gen++
			data := commitOf(notes.Collection, "k", func(c *wire.Commit) {
				c.First, c.Records[0].Record.Version.Gen, c.Records[0].Record.Value = gen, gen, []byte(value)
			})
			sent += uint64(len(data))
			stream.messages <- delta.Message{Commits: [][]byte{data}}
			synctest.Wait()
		}
		given := func(want uint64) {
			t.Helper()
			select {
			case got := <-stream.given:
				if got != want {
					t.Errorf("credit for %d bytes, want %d", got, want)
				}
			default:
				t.Errorf("no credit, want %d", want)
			}
			sent = 0
		}
		bring("1")
		given(sent)
		for range 3 {
			bring("2")
		}
		if len(stream.given) != 0 {
			t.Error("credit for each small step")
		}
		time.Sleep(creditRest)
		synctest.Wait()
		given(sent)
		bring("3")
		bring(`"` + strings.Repeat("x", creditBytes) + `"`)
		given(sent)
		cancel()
		<-done
		if len(b.failed()) != 0 {
			t.Errorf("failures: %v", b.failed())
		}
	})
}
