package rows

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// quota leaves so much room in the database.
func (d *device) quota(room uint64) {
	d.t.Helper()
	used := liveBytes(d.db)
	d.set(func(s *Settings) { s.QuotaBytes = used + room })
}

// retry tries all letters again.
func (d *device) retry() Retried {
	d.t.Helper()
	sum, err := d.db.RetryLetters(context.Background(), nil)
	if err != nil {
		d.t.Fatal(err)
	}
	return sum
}

func big(n int) string { return strconv.Quote(strings.Repeat("x", n)) }

// A commit that does not fit is set aside; those before and behind it, of the same writer, are taken.
func TestRefusedCommitBlocksNothingButItself(t *testing.T) {
	a, b, c := newDevice(t, 1).create(), newDevice(t, 2), newDevice(t, 3)
	b.pull(a)
	b.quota(4000)
	a.put("before", `1`)
	if _, err := a.db.Commit([]Op{
		{Collection: notes, Key: "big", Value: []byte(big(3000))}, {Collection: notes, Key: "beside", Value: []byte(`1`)},
	}, nil); err != nil {
		t.Fatal(err)
	}
	a.put("behind", `1`)

	step := b.requestScopes(a, whole)
	step.From = "test.local/owner/device/a"
	got, err := b.db.Receive(step)
	if err != nil || len(got.Letters) != 1 || got.Records != 2 {
		t.Fatalf("took %+v, %v; want two records and one letter", got, err)
	}
	b.want("before=1", "behind=1")
	l := b.db.Letters()[0]
	l.Since, l.Tried, l.Reason = time.Time{}, time.Time{}, strings.SplitN(l.Reason, ":", 2)[0]
	want := Letter{
		ID: 1, Writer: a.db.Writer(), First: 3, Count: 2, Time: l.Time, Least: 3, Last: 4, Records: 2, Bytes: l.Bytes,
		Collections: []id.Collection{notes}, Keys: []string{"big", "beside"}, Code: RefusedQuota, Reason: ErrQuota.Error(),
		From: "test.local/owner/device/a", seq: l.seq,
	}
	if diff := cmp.Diff(want, l, cmp.AllowUnexported(Letter{})); diff != "" {
		t.Errorf("letter (-want +got):\n%s", diff)
	}

	// It counts as held, is passed on, and does not come again, even after a power loss.
	b.crash()
	if again := b.pull(a); again.Records+again.Duplicates+len(again.Letters) != 0 {
		t.Errorf("pulling again brought %+v", again)
	}
	c.pull(b)
	c.want("before=1", "behind=1", "beside=1", "big="+big(3000))
	if rules, _ := b.check(); rules != nil {
		t.Errorf("check found %v", rules)
	}

	// What is said to be applied ends before it.
	if got := b.db.Applied(whole[0])[a.db.Writer()]; got != 2 {
		t.Errorf("applied up to %d, want 2", got)
	}

	if sum := b.retry(); sum.Left != 1 || sum.Applied != 0 || b.db.Letters()[0].Tries != 1 {
		t.Errorf("tried again without room: %+v, %+v", sum, b.db.Letters())
	}
	b.set(func(s *Settings) { s.QuotaBytes = 0 })
	if sum := b.retry(); sum.Applied != 1 || sum.Got.Records != 2 || len(b.db.Letters()) != 0 {
		t.Errorf("tried again with room: %+v, %d letters left", sum, len(b.db.Letters()))
	}
	b.want("before=1", "behind=1", "beside=1", "big="+big(3000))
	b.crash()
	b.want("before=1", "behind=1", "beside=1", "big="+big(3000))
	if rules, _ := b.check(); rules != nil {
		t.Errorf("check found %v after the retry", rules)
	}
	if got := b.db.Applied(whole[0])[a.db.Writer()]; got != 5 {
		t.Errorf("applied up to %d after the retry, want 5", got)
	}
}

// What was written on top of a refused version makes the letter needless, with as little room as before.
func TestSupersededLetterGoesByItself(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	b.pull(a)
	b.quota(2000)
	a.put("k", big(3000))
	b.pull(a)
	b.want()
	a.put("k", `1`)
	b.pull(a)
	b.want("k=1")
	if sum := b.retry(); sum.Applied != 1 || sum.Got.Records != 0 || len(b.db.Letters()) != 0 {
		t.Errorf("%+v, %d letters left", sum, len(b.db.Letters()))
	}
	b.want("k=1")
}

func TestFullListOfLettersStopsThePull(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	b.pull(a)
	b.set(func(s *Settings) { s.QuotaBytes = 1 })
	for i := range MaxLetters + 2 {
		a.put(fmt.Sprintf("k%04d", i), `1`)
	}
	got, err := b.tryPull(a)
	if !errors.Is(err, ErrLettersFull) || !strings.Contains(err.Error(), "syncbase peer retry") || !errors.Is(err, ErrQuota) {
		t.Errorf("%v, want ErrLettersFull with the reason and what to do", err)
	}
	if len(got.Letters) != MaxLetters || len(b.db.Letters()) != MaxLetters {
		t.Errorf("%d letters are reported, %d are there, want %d", len(got.Letters), len(b.db.Letters()), MaxLetters)
	}
	b.set(func(s *Settings) { s.QuotaBytes = 0 })
	if sum := b.retry(); sum.Applied != MaxLetters {
		t.Errorf("%d of %d were taken", sum.Applied, MaxLetters)
	}
	b.pull(a)
	if diff := cmp.Diff(a.rows(), b.rows()); diff != "" {
		t.Error(diff)
	}
}

// The bytes of letters are bounded, too.
func TestLettersOfManyBytesStopThePull(t *testing.T) {
	b := newDevice(t, 2).create()
	b.quota(1000)
	value := make([]byte, wire.MaxValueLen)
	step := Step{Scopes: whole}
	for i := uint64(1); i <= 16; i++ {
		step.Commits = append(step.Commits, wire.Commit{Writer: aWriter, First: i, Count: 1, Time: 1, Records: []wire.Entry{
			{Collection: notes, Record: wire.Record{Version: id.Version{Writer: aWriter, Gen: i}, Key: "k", Raw: true, Value: value}},
		}})
	}
	_, err := b.db.Receive(step)
	size := 0
	for _, l := range b.db.Letters() {
		size += l.Bytes
	}
	if !errors.Is(err, ErrLettersFull) || size > MaxLetterBytes || size < MaxLetterBytes-5<<20 {
		t.Errorf("%v with %d bytes set aside", err, size)
	}
}

// badTimes and lists refuse a commit of anybody; they do not refuse who passes it on.
func TestRulesThatSetAside(t *testing.T) {
	for name, c := range map[RefusalCode]wire.Commit{
		RefusedTime:       {Time: 1<<64 - 1, Records: []wire.Entry{{Collection: notes, Record: wire.Record{Key: "k", Value: []byte(`1`)}}}},
		RefusedAccessList: {Time: 1, Records: []wire.Entry{{Collection: notes, Record: wire.Record{Value: []byte(`{"Rule":{}}`)}}}},
	} {
		t.Run(string(name), func(t *testing.T) {
			b := newDevice(t, 2).create()
			c.Writer, c.First, c.Count = aWriter, 1, 1
			c.Records[0].Record.Version = id.Version{Writer: aWriter, Gen: 1}
			good := wire.Commit{Writer: aWriter, First: 2, Count: 1, Time: 2, Records: []wire.Entry{
				{Collection: notes, Record: wire.Record{Version: id.Version{Writer: aWriter, Gen: 2}, Key: "good", Value: []byte(`1`)}},
			}}
			step := Step{Scopes: whole, Commits: []wire.Commit{c, good}}
			if _, err := b.db.Receive(step); err != nil {
				t.Fatal(err)
			}
			b.want("good=1")
			if l := b.db.Letters(); len(l) != 1 || l[0].Code != name {
				t.Errorf("letters %+v", l)
			}
			if got, err := b.db.Receive(step); err != nil || got.Duplicates != 2 || len(b.db.Letters()) != 1 {
				t.Errorf("a second time: %+v, %v, %d letters", got, err, len(b.db.Letters()))
			}
			if sum := b.retry(); sum.Left != 1 {
				t.Errorf("tried again: %+v", sum)
			}
			// A record outside of what was asked for blames the peer, whatever else there is to say about its commit.
			c.Count = 2
			c.Records = append(c.Records, wire.Entry{
				Collection: id.Collection{Name: id.Name{Owner: owner, Local: "secret"}},
				Record:     wire.Record{Version: id.Version{Writer: aWriter, Gen: 2}, Key: "k", Value: []byte(`1`)},
			})
			if _, err := b.db.Receive(Step{Scopes: whole, Commits: []wire.Commit{c}}); !errors.Is(err, ErrRefused) || len(b.db.Letters()) != 1 {
				t.Errorf("a record outside: %v, %d letters", err, len(b.db.Letters()))
			}
		})
	}
}

// The metadata of syncgroups comes through, however small the quota.
func TestQuotaDoesNotRefuseMetadata(t *testing.T) {
	meta := id.Scope{Collection: id.Collection{Kind: id.Syncgroup, Name: id.Name{Owner: owner, Local: "sg"}}}
	a, b := newDevice(t, 1).create(), newDevice(t, 2).create()
	if _, err := a.db.Commit([]Op{{Collection: meta.Collection, Key: "spec", Value: []byte(`{}`)}}, nil); err != nil {
		t.Fatal(err)
	}
	b.set(func(s *Settings) { s.QuotaBytes = 1 })
	got, err := b.db.Receive(b.requestScopes(a, []id.Scope{meta}))
	if err != nil || got.Records != 1 || len(b.db.Letters()) != 0 {
		t.Errorf("took %+v, %v", got, err)
	}
}

// An inventory names no key of what is only set aside, so its vector must not cover that: who has the row would drop it.
func TestInventoryDoesNotSpeakForLetters(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	b.pull(a)
	b.quota(1000)
	a.put("k", big(3000))
	b.pull(a)
	num, _ := b.db.CollectionNum(notes)
	b.db.byNum[num].dropped = id.Vector{{Device: id.Device{9}}: 1}
	err := b.db.Inventory(t.Context(), whole[0], a.db.Published().Know.At(whole[0]), func(inv *delta.Inventory) error {
		if inv.Held[a.db.Writer()] >= 2 {
			t.Errorf("an inventory without k speaks for %v", inv.Held)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Whatever the order of writes, exchanges, quotas and retries, a vector promises only what can be given: members that have
// room end up level, and so does the one with the quota once that is gone.
func TestLettersKeepKnowledgeTruthful(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		small, others := newDevice(t, 1).create(), []*device{newDevice(t, 2), newDevice(t, 3)}
		all := append([]*device{small}, others...)
		defer func() {
			for _, d := range all {
				d.close()
			}
		}()
		for _, d := range others {
			d.pull(small)
		}
		small.quota(1500)
		any := rapid.SampledFrom(all)
		rt.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				d, n := any.Draw(t, "at"), rapid.SampledFrom([]int{1, 1, 400, 2000}).Draw(t, "size")
				op := Op{Collection: notes, Key: rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "key"), Value: []byte(big(n))}
				if rapid.IntRange(0, 4).Draw(t, "delete") == 0 {
					op.Kind = OpDelete
				}
				if _, err := d.db.Commit([]Op{op}, nil); err != nil && !(d == small && errors.Is(err, ErrQuota)) {
					t.Fatal(err)
				}
			},
			// The hub is the one that sets aside: nothing goes from one of the others to the other but through it.
			"pull": func(t *rapid.T) {
				d := rapid.SampledFrom(others).Draw(t, "with")
				if rapid.Bool().Draw(t, "up") {
					small.pull(d)
				} else {
					d.pull(small)
				}
			},
			"retry": func(*rapid.T) { small.retry() },
			"crash": func(*rapid.T) { small.crash() },
		})
		for range 3 {
			for _, d := range others {
				small.pull(d)
				d.pull(small)
			}
		}
		if diff := cmp.Diff(others[0].rows(), others[1].rows()); diff != "" {
			rt.Fatalf("members behind the small one differ:\n%s", diff)
		}
		small.set(func(s *Settings) { s.QuotaBytes = 0 })
		if sum := small.retry(); sum.Left != 0 || len(small.db.Letters()) != 0 {
			rt.Fatalf("with room again: %+v", sum)
		}
		for range 2 {
			for _, d := range others {
				small.pull(d)
				d.pull(small)
			}
		}
		for _, d := range others {
			if diff := cmp.Diff(small.rows(), d.rows()); diff != "" {
				rt.Fatalf("with room for all (-small +other):\n%s", diff)
			}
		}
		for _, d := range all {
			if rules, _ := d.check(); rules != nil {
				rt.Fatalf("check found %v", rules)
			}
		}
	})
}

func TestLettersAreTriedAgainByThemselves(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	b.pull(a)
	b.quota(1000)
	a.put("k", big(3000))
	b.pull(a)
	due := func() bool { return b.db.LetterDue(b.db.Letters()[0]) }
	if due() {
		t.Error("due at once")
	}
	b.now = b.now.Add(firstRetry)
	if !due() {
		t.Errorf("not due after %s", firstRetry)
	}
	b.retry()
	b.now = b.now.Add(firstRetry)
	if due() {
		t.Error("the pause does not grow")
	}
	b.set(func(s *Settings) { s.QuotaBytes = 0 })
	if !due() {
		t.Error("not due although there is room")
	}
}

// A letter that is taken just when it is about to be sent goes once.
func TestLetterThatIsTakenMeanwhileIsSentOnce(t *testing.T) {
	small, other, writer := newDevice(t, 1).create(), newDevice(t, 2), newDevice(t, 3)
	other.pull(small)
	writer.pull(small)
	small.quota(10)
	writer.put("b", big(400))
	small.pull(writer)
	plan := delta.NewPlan(other.db.Writer(), delta.Request(other.db.Published().Know, whole))
	runs := plan.Update(small.db.Published().Know)
	sent := 0
	s := small.db.newSender(plan, runs, func(o Outgoing) error {
		if c, err := wire.DecodeCommit(o.Commit); err != nil || c.Writer == writer.db.Writer() {
			sent++
		}
		return nil
	})
	small.set(func(s *Settings) { s.QuotaBytes = 0 })
	if sum := small.retry(); sum.Applied != 1 {
		t.Fatalf("tried again: %+v", sum)
	}
	err := s.open(runs)
	if err == nil {
		err = s.stream(t.Context())
	}
	if err = errors.Join(err, s.close()); err != nil || sent != 1 {
		t.Errorf("sent %d times: %v", sent, err)
	}
}

// What was a letter and was taken goes before a later letter of the same writer, although it was learned after it.
func TestTakenLetterGoesBeforeThoseThatWait(t *testing.T) {
	small, other, writer := newDevice(t, 1).create(), newDevice(t, 2), newDevice(t, 3)
	other.pull(small)
	writer.pull(small)
	small.quota(1500)
	small.put("a", big(400))
	writer.put("b", big(400))
	writer.put("c", big(400))
	small.pull(writer)
	small.del("a")
	if sum := small.retry(); sum.Applied != 1 || sum.Left != 1 {
		t.Fatalf("tried again: %+v; want one of two", sum)
	}
	other.pull(small)
	other.want("b="+big(400), "c="+big(400))
}
