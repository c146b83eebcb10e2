package engine

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/syncgroup"
)

// arrived is a stream whose messages are all here already, and stay so when it is cut off.
type arrived struct {
	ctx    context.Context
	cancel context.CancelFunc
	list   []delta.Message
}

// arrivedFrom opens streams that have brought all that the device has to say, but for the progress, which would tell what is complete.
func (d *device) arrivedFrom(caller *device) Opener {
	return func(ctx context.Context, open delta.Open) (Stream, error) {
		ctx, cancel := context.WithCancel(ctx)
		a := &arrived{ctx: ctx, cancel: cancel}
		serving, said := context.WithCancel(ctx)
		defer said()
		err := d.engine.Serve(serving, caller.peer(), open, outlet{send: func(m delta.Message) error {
			if m.Progress != nil {
				said()
				return nil
			}
			for i := range m.Commits { // a message each
				a.list = append(a.list, delta.Message{Commits: m.Commits[i : i+1]})
			}
			if m.Commits == nil {
				a.list = append(a.list, m)
			}
			return nil
		}})
		if serving.Err() == nil {
			cancel()
			return nil, err
		}
		return a, nil
	}
}

func (a *arrived) Recv() (delta.Message, error) {
	if len(a.list) == 0 {
		<-a.ctx.Done()
		return delta.Message{}, a.ctx.Err()
	}
	m := a.list[0]
	a.list = a.list[1:]
	return m, nil
}

func (a *arrived) Credit(uint64) error        { return a.ctx.Err() }
func (a *arrived) Tell(delta.Elsewhere) error { return a.ctx.Err() }
func (a *arrived) Close()                     { a.cancel() }

// beginning has a write rows, and b do something after each step that leaves it with some of them; reached is closed when the first that brings rows is about to end.
func beginning(t *testing.T, n int, value string, each func(b *device)) (a, b *device, reached chan struct{}) {
	t.Helper()
	a, b = both(t)
	b.follow(a, a.from(b, nil))()
	for i := range n {
		a.put("notes", fmt.Sprint("k", i), value)
	}
	reached = make(chan struct{})
	first := sync.OnceFunc(func() { close(reached) })
	b.engine.events.Received = func(_ *rows.DB, _ Peer, got rows.Received) {
		if got.Records > 0 && b.rows("notes") > 0 { // metadata may come first, and alone
			first()
			each(b)
		}
	}
	return a, b, reached
}

func (d *device) rows(name string) (n int) {
	d.t.Helper()
	if err := d.db.Scan(collection(name), rows.ScanRange{}, func(*rows.RowView) (bool, error) { n++; return true, nil }); err != nil {
		d.t.Fatal(err)
	}
	return n
}

// Messages that have arrived whole when the connection breaks are applied before the pull ends, and so are not asked for again.
func TestWhatArrivedBeforeACutIsApplied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 3 * stepBytes / sendBytes // more than is read ahead
		var once sync.Once
		a, b, reached := beginning(t, n, `1`, func(*device) { once.Do(func() { time.Sleep(finishLimit / 2) }) })
		stop := b.follow(a, a.arrivedFrom(b))
		<-reached
		stop()
		if got := b.rows("notes"); got != n {
			t.Errorf("of %d rows that had arrived %d were applied", n, got)
		}
	})
}

// What has arrived is not worth waiting for long, and nothing is applied that the metadata has ruled out since.
func TestNotAllThatArrivedIsApplied(t *testing.T) {
	for name, each := range map[string]func(b *device){
		"slow": func(*device) { time.Sleep(finishLimit + time.Second) },
		"left": func(b *device) {
			time.Sleep(time.Millisecond) // until the pull is told to stop
			if err := syncgroup.Leave(b.db, named("notes"), b.principal(), time.Unix(1_700_000_000, 0)); err != nil && b.rows("notes") == 0 {
				b.t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n, size = 20, stepBytes / 8 // more than two steps
				a, b, reached := beginning(t, n, strconv.Quote(strings.Repeat("x", size)), each)
				stop := b.follow(a, a.arrivedFrom(b))
				<-reached
				stop()
				if got := b.rows("notes"); got == 0 || got == n {
					t.Errorf("%d of %d rows were applied, want some", got, n)
				}
			})
		})
	}
}
