package engine

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/syncgroup"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// quota leaves so much room in the database.
func (d *device) quota(room uint64) {
	d.t.Helper()
	used, _, err := d.db.Used()
	if err != nil {
		d.t.Fatal(err)
	}
	if _, err := d.db.SetSettings(func(s *rows.Settings) { s.QuotaBytes = used + room }); err != nil {
		d.t.Fatal(err)
	}
}

// withoutQuota makes room.
func (d *device) withoutQuota() {
	d.t.Helper()
	if _, err := d.db.SetSettings(func(s *rows.Settings) { s.QuotaBytes = 0 }); err != nil {
		d.t.Fatal(err)
	}
}

func text(n int) string { return strconv.Quote(strings.Repeat("x", n)) }

// A member with little room sets aside what does not fit, and is the only way between two others: both have everything, and
// so has it, a minute after it was given room.
func TestMemberWithLittleRoomPassesOnWhatItCannotTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, hub := both(t)
		c := newDevice(t, "c")
		c.join("notes", a)
		var told []rows.Letter
		hub.engine.events.SetAside = func(_ *rows.DB, from Peer, list []rows.Letter) {
			if from.Name != "a" {
				t.Errorf("a letter from %s", from.Name)
			}
			told = append(told, list...)
		}
		hub.follow(a, a.from(hub, nil))
		a.follow(hub, hub.from(a, nil))
		c.follow(hub, hub.from(c, nil))
		ctx, stop := context.WithCancel(t.Context())
		retrying := make(chan error)
		go func() { retrying <- hub.engine.Retry(ctx) }()
		synctest.Wait()
		hub.quota(3000)
		a.put("notes", "before", `1`)
		a.put("notes", "big", text(5000))
		a.put("notes", "behind", `1`)
		synctest.Wait()
		for key, want := range map[string]string{"before": `1`, "big": "no such row", "behind": `1`} {
			if got := hub.get("notes", key); !strings.HasPrefix(got, want) {
				t.Errorf("the hub has %q for %s, want %q", got, key, want)
			}
		}
		if got := c.get("notes", "big"); got != text(5000) {
			t.Errorf("behind the hub big is %.20q", got)
		}
		if len(told) != 1 || told[0].Code != rows.RefusedQuota || told[0].Keys[0] != "big" || told[0].From != a.principal() {
			t.Errorf("told of %+v", told)
		}
		if list, err := hub.engine.LettersFor(hub.db, a.principal()); err != nil || len(list) != 1 {
			t.Errorf("a may know of %+v, %v", list, err)
		}
		if list, err := hub.engine.LettersFor(hub.db, "test.local/stranger"); err != nil || len(list) != 0 {
			t.Errorf("a stranger may know of %+v, %v", list, err)
		}
		time.Sleep(10 * time.Minute)
		if n := len(hub.db.Letters()); n != 1 || len(told) != 1 {
			t.Errorf("after ten minutes %d letters, told %d times of %+v", n, len(told), hub.db.Letters())
		}
		if n := len(hub.failed()); n != 0 {
			t.Errorf("pulls of the hub failed: %v", hub.failed())
		}
		hub.withoutQuota()
		time.Sleep(retryEvery + time.Second)
		if got := hub.get("notes", "big"); got != text(5000) || len(hub.db.Letters()) != 0 {
			t.Errorf("with room the hub has %.20q and %d letters", got, len(hub.db.Letters()))
		}
		stop()
		if err := <-retrying; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// What one commit is refused for by any device is no fault of who passes it on, and stops nothing.
func TestRulesOfThisDeviceDoNotStopAPull(t *testing.T) {
	accepted := delta.Message{Accepted: []id.Scope{notes}}
	for code, bad := range map[rows.RefusalCode][]byte{
		rows.RefusedAccessList: commitOf(notes.Collection, "", nil),
		rows.RefusedTime:       commitOf(notes.Collection, "k", func(c *wire.Commit) { c.Time = 1<<64 - 1 }),
	} {
		good := commitOf(notes.Collection, "good", func(c *wire.Commit) {
			c.First, c.Records[0].Record.Version.Gen = 2, 2
		})
		synctest.Test(t, func(t *testing.T) {
			a, b := both(t)
			first := b.follow(a, a.from(b, nil))
			synctest.Wait()
			first()
			b.follow(a, func(ctx context.Context, _ delta.Open) (Stream, error) {
				return &script{ctx, []delta.Message{accepted, {Commits: [][]byte{bad, good}}}}, nil
			})
			synctest.Wait()
			if got := b.get("notes", "good"); got != `1` {
				t.Errorf("%s: what comes behind is %q", code, got)
			}
			if l := b.db.Letters(); len(l) != 1 || l[0].Code != code || len(b.failed()) > 0 {
				t.Errorf("%s: letters %+v, failures %v", code, l, b.failed())
			}
		})
	}
}

// When there is no more room for letters the pull stops, and says so until there is.
func TestFullListStopsThePullAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := both(t)
		b.follow(a, a.from(b, nil))
		synctest.Wait()
		b.quota(0)
		for i := range rows.MaxLetters + 5 {
			a.put("notes", fmt.Sprint("k", i), `1`)
		}
		time.Sleep(time.Minute)
		if err := b.engine.Fault(a.principal(), b.db); !errors.Is(err, rows.ErrLettersFull) {
			t.Errorf("the fault is %v", err)
		}
		if got := b.engine.Lag(a.principal(), b.db); got < 5 {
			t.Errorf("the lag is %d, at least 5 were not taken", got)
		}
		b.withoutQuota()
		if _, err := b.engine.RetryLetters(t.Context(), b.db, nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lastPause + time.Second)
		synctest.Wait()
		if err := b.engine.Fault(a.principal(), b.db); err != nil || b.get("notes", fmt.Sprint("k", rows.MaxLetters+4)) != `1` {
			t.Errorf("with room the fault is %v", err)
		}
		if got := b.engine.Lag(a.principal(), b.db); got != 0 {
			t.Errorf("with room the lag is %d", got)
		}
	})
}

// A member does not say that it holds, for others to reclaim by, what it has only set aside; and nobody takes the difference
// of its rows for a divergence.
func TestLettersAreNotAcknowledgedAndNotCompared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := both(t)
		b.follow(a, a.from(b, nil))
		a.follow(b, b.from(a, nil))
		synctest.Wait()
		b.quota(0)
		a.put("notes", "k", `1`)
		a.put("notes", "k2", `1`)
		synctest.Wait()
		gen := a.db.Published().Know.Own().Gen
		said := b.db.AppliedOf([]id.Scope{notes})[0].Vector[a.db.Writer()]
		if said != gen-2 {
			t.Errorf("b says it has applied %d of %d, want the two that are set aside left out", said, gen)
		}
		g, err := syncgroup.Find(b.db, named("notes"))
		if err != nil || g.State != syncgroup.Active {
			t.Fatalf("%+v, %v", g, err)
		}
		groups := []groupAcks{{Group: g, members: []syncgroup.Member{b.member(), a.member()}, acks: syncgroup.Acks{
			a.principal(): delta.Request(a.db.Published().Know, []id.Scope{notes}),
		}}}
		if f := frontiers(b.db, groups)[notes.Collection]; f[a.db.Writer()] > said {
			t.Errorf("stable up to %v", f)
		}
		for _, pair := range [][2]*device{{a, b}, {b, a}} {
			f, err := pair[0].db.Fingerprint(t.Context(), notes, delta.CountContested)
			if err != nil {
				t.Fatal(err)
			}
			verdicts, err := pair[1].engine.AnswerCompare(t.Context(), pair[0].principal(), dbName, []delta.Fingerprint{f})
			if err != nil {
				t.Fatal(err)
			}
			want := []delta.Verdict{{Scope: notes}}
			if pair[0] == b { // which does not ask about the scope
				if sound, rest := comparable(b.db, []id.Scope{notes}); len(sound) != 0 || len(rest) != 1 {
					t.Errorf("b would compare %v", sound)
				}
				continue
			}
			if diff := cmp.Diff(want, verdicts); diff != "" {
				t.Errorf("%s answers (-want +got):\n%s", pair[1].name, diff)
			}
		}
	})
}
