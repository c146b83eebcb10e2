package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/syncgroup"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// script is a stream of a peer that says what it wants.
type script struct {
	ctx  context.Context
	list []delta.Message
}

func (s *script) Recv() (delta.Message, error) {
	if len(s.list) == 0 {
		<-s.ctx.Done()
		return delta.Message{}, s.ctx.Err()
	}
	m := s.list[0]
	s.list = s.list[1:]
	return m, nil
}

func (s *script) Credit(uint64) error        { return nil }
func (s *script) Tell(delta.Elsewhere) error { return nil }
func (s *script) Close()                     {}

var notes = id.Scope{Collection: collection("notes")}

// commitOf is a commit of one record by nobody in particular.
func commitOf(c id.Collection, key string, change func(*wire.Commit)) []byte {
	w := id.Writer{Device: id.Device{9}, Epoch: 1}
	commit := wire.Commit{Writer: w, First: 1, Count: 1, Time: 1, Records: []wire.Entry{{
		Collection: c, Record: wire.Record{Version: id.Version{Writer: w, Gen: 1}, Key: key, Value: []byte(`1`)},
	}}}
	if change != nil {
		change(&commit)
	}
	return commit.Append(nil)
}

// reference: sync-203 what no correct peer sends is refused whole, tried again less and less often, and hurts nobody else.
func TestRefusesWhatNoCorrectPeerSends(t *testing.T) {
	secret := id.Scope{Collection: collection("secrets")}
	ok := commitOf(notes.Collection, "ok", nil)
	message := func(commits ...[]byte) delta.Message { return delta.Message{Commits: commits} }
	accepted := delta.Message{Accepted: []id.Scope{notes}}
	for name, list := range map[string][]delta.Message{
		"garbage":                  {accepted, message([]byte("garbage"))},
		"nothing":                  {accepted, message(nil)},
		"cut short":                {accepted, message(ok[:len(ok)-1])},
		"something good before":    {accepted, message(ok, []byte{1})},
		"commits before the scope": {message(ok)},
		"scope not asked for":      {{Accepted: []id.Scope{secret}}, message(commitOf(secret.Collection, "k", nil))},
		"record outside":           {accepted, message(commitOf(secret.Collection, "k", nil))},
		"progress outside":         {accepted, {Progress: []delta.ScopeVector{{Scope: secret, Vector: id.Vector{}}}}},
		"unknown kind":             {accepted, message(commitOf(notes.Collection, "k", func(c *wire.Commit) { c.Records[0].Record.Kind = 99 }))},
		"no generation":            {accepted, message(commitOf(notes.Collection, "k", func(c *wire.Commit) { c.First, c.Records[0].Record.Version.Gen = 0, 0 }))},
		"no writer":                {accepted, message(commitOf(notes.Collection, "k", func(c *wire.Commit) { c.Writer, c.Records[0].Record.Version.Writer = id.Writer{}, id.Writer{} }))},
		"key that none can be":     {accepted, message(commitOf(notes.Collection, "a\x00b", nil))},
		"link without parents":     {accepted, message(commitOf(notes.Collection, "k", func(c *wire.Commit) { c.Records[0].Record.Kind = wire.Link; c.Records[0].Record.Value = nil }))},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := both(t)
				before := b.db.Published()
				b.follow(a, func(ctx context.Context, _ delta.Open) (Stream, error) { return &script{ctx, list}, nil })
				time.Sleep(10 * time.Minute)
				if after := b.db.Published(); after.Seq != before.Seq {
					t.Errorf("the log moved from %d to %d", before.Seq, after.Seq)
				}
				failures := b.failed()
				if n := len(failures); n < 5 || n > 60 || !errors.Is(failures[0], rows.ErrRefused) {
					t.Errorf("%d failures in ten minutes, the first is %v; want refusals with growing pauses", n, failures[:min(n, 1)])
				}
				a.put("notes", "k", `1`)
				c := newDevice(t, "c")
				c.join("notes", a)
				b2 := Peer{Principal: c.principal(), Device: c.db.Writer().Device, Name: "c"}
				c.follow(a, a.from(c, nil))
				synctest.Wait()
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() {
					defer close(done)
					b.engine.Follow(ctx, b2, c.from(b, nil))
				}()
				synctest.Wait()
				cancel()
				<-done
				if got := b.get("notes", "k"); got != `1` {
					t.Errorf("from a good peer beside the bad one b got %q", got)
				}
			})
		})
	}
}

// reference: sync-215 a stream that breaks counts as a failure of the peer, wherever it breaks, and the pull goes on
// without repeating what was applied.
func TestPullGoesOnAfterAnyCut(t *testing.T) {
	errCut := errors.New("cut")
	for at := int64(1); ; at++ {
		reached := false
		synctest.Test(t, func(t *testing.T) {
			a, b := both(t)
			want := map[string]string{}
			for i := range 8 {
				key := fmt.Sprint("k", i)
				want[key] = strconv.Quote(strings.Repeat(key, sendBytes/3))
				a.put("notes", key, want[key])
			}
			var count atomic.Int64
			duplicates := 0
			b.engine.events.Received = func(_ *rows.DB, _ Peer, got rows.Received) { duplicates += got.Duplicates }
			b.follow(a, a.from(b, func(m delta.Message) (delta.Message, error) {
				if count.Add(1) == at {
					reached = true
					return m, errCut
				}
				return m, nil
			}))
			time.Sleep(time.Minute)
			synctest.Wait()
			for key, value := range want {
				if got := b.get("notes", key); got != value {
					t.Fatalf("cut at message %d: %s has %d bytes, want %d", at, key, len(got), len(value))
				}
			}
			if n := len(b.failed()); reached && (n != 1 || !errors.Is(b.failed()[0], errCut)) {
				t.Errorf("cut at message %d: failures %v, want the cut", at, b.failed())
			}
			if duplicates > 0 {
				t.Errorf("cut at message %d: %d records came twice", at, duplicates)
			}
		})
		if !reached {
			if at < 4 {
				t.Errorf("the pull took %d messages, too few to test anything", at)
			}
			return
		}
	}
}

// reference: sync-214 a peer that says nothing holds up nobody but itself.
func TestSilentPeerHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := both(t)
		c := newDevice(t, "c")
		c.join("notes", a)
		b.follow(a, a.from(b, nil))
		synctest.Wait()
		b.follow(c, func(ctx context.Context, _ delta.Open) (Stream, error) { return &script{ctx: ctx}, nil })
		a.put("notes", "k", `1`)
		synctest.Wait()
		if got := b.get("notes", "k"); got != `1` {
			t.Errorf("b has %s", got)
		}
	})
}

func TestEndlessEndsAreNotAskedForWithoutPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := both(t)
		var opened atomic.Int64
		b.follow(a, func(ctx context.Context, _ delta.Open) (Stream, error) {
			opened.Add(1)
			return nil, io.EOF
		})
		time.Sleep(time.Second)
		if n := opened.Load(); n != 3 { // at once, after 200 ms and after 400 ms more
			t.Errorf("opened %d times within a second, want 3", n)
		}
		time.Sleep(time.Hour)
		if n := opened.Load(); n > 140 {
			t.Errorf("opened %d times within an hour, want about one every %s", n, lastPause)
		}
	})
}

// A syncgroup that this device joins while a pull is open is pulled too.
func TestMetadataThatChangesDuringAPullOpensItAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := both(t)
		a.share("tasks")
		a.put("tasks", "k", `1`)
		b.follow(a, a.from(b, nil))
		synctest.Wait()
		b.join("tasks", a)
		time.Sleep(firstPause)
		synctest.Wait()
		if got := b.get("tasks", "k"); got != `1` {
			t.Errorf("b has %s of a syncgroup that it joined while it pulled", got)
		}
	})
}

func TestLevelWaitsForWhatPeersHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := both(t)
		a.put("notes", "k", `1`)
		g, err := syncgroup.Find(b.db, named("notes"))
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- b.engine.Level(t.Context(), b.db, g, []Source{{a.peer(), a.from(b, nil)}}) }()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("level with nobody pulling: %v", err)
		default:
		}
		b.follow(a, a.from(b, nil))
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if got := b.get("notes", "k"); got != `1` {
			t.Errorf("level, but k is %s", got)
		}
		liar := func(ctx context.Context, _ delta.Open) (Stream, error) {
			return &script{ctx, []delta.Message{{Commits: [][]byte{{1}}}}}, nil
		}
		if err := b.engine.Level(t.Context(), b.db, g, []Source{{a.peer(), liar}}); err == nil {
			t.Error("level although the peer answered with commits")
		}
	})
}
