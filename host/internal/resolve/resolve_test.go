package resolve

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const owner = id.Principal("home.local/owner")

var notes = id.Collection{Name: id.Name{Owner: owner, Local: "c"}}

// office is a database with desks, and a writer elsewhere.
type office struct {
	t     *testing.T
	db    *rows.DB
	desks *Desks
	gen   uint64
}

// run runs a test with the desks in a bubble.
func run(t *testing.T, rules string, opts Options, test func(o *office)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		store, err := kv.OpenMem()
		if err != nil {
			t.Fatal(err)
		}
		all, err := rows.Open(store, rows.Options{Now: time.Now, NewDevice: func() id.Device { return id.Device{1} }, Owner: owner})
		if err != nil {
			t.Fatal(err)
		}
		db, err := all.Create(id.Name{Owner: owner, Local: "db"}, perm.For(owner, perm.DatabaseTags))
		if err == nil {
			err = errors.Join(
				db.CreateCollection(notes, perm.For(owner, perm.CollectionTags)), db.Track([]id.Scope{{Collection: notes}}),
				db.SetSchema(rows.Schema{Version: 1, Policy: []byte(`{"rules":[` + rules + `]}`)}),
			)
		}
		if err != nil {
			t.Fatal(err)
		}
		o := &office{t: t, db: db, desks: New(all, opts)}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- o.desks.Run(ctx) }()
		test(o)
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the desks ended with %v", err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
}

// quarrel brings a row into conflict.
func (o *office) quarrel(key string) {
	o.t.Helper()
	_, err := o.db.Commit([]rows.Op{{Collection: notes, Key: key, Value: []byte(`1`)}}, nil)
	o.gen++
	c := wire.Commit{Writer: id.Writer{Device: id.Device{9}, Epoch: 1}, First: o.gen, Count: 1, Time: hlc.Time(o.gen)}
	c.Records = []wire.Entry{{Collection: notes, Record: wire.Record{
		Version: id.Version{Writer: c.Writer, Gen: o.gen}, Key: key, Value: []byte(`2`),
	}}}
	if err == nil {
		_, err = o.db.Receive(rows.Step{Commits: []wire.Commit{c}, Scopes: []id.Scope{{Collection: notes}}})
	}
	if err != nil {
		o.t.Fatal(err)
	}
}

// quarrelAtLarge brings the rows of one batch into conflict with those of another.
func (o *office) quarrelAtLarge(n int) {
	o.t.Helper()
	var ops []rows.Op
	c := wire.Commit{Writer: id.Writer{Device: id.Device{9}, Epoch: 1}, First: o.gen + 1, Count: uint64(n), Time: hlc.Time(o.gen + 1)}
	for i := range n {
		key := fmt.Sprintf("%06d", i)
		ops = append(ops, rows.Op{Collection: notes, Key: key, Value: []byte(`1`)})
		o.gen++
		c.Records = append(c.Records, wire.Entry{Collection: notes, Record: wire.Record{
			Version: id.Version{Writer: c.Writer, Gen: o.gen}, Key: key, Value: []byte(`2`),
		}})
	}
	_, err := o.db.Commit(ops, nil)
	if err == nil {
		_, err = o.db.Receive(rows.Step{Commits: []wire.Commit{c}, Scopes: []id.Scope{{Collection: notes}}})
	}
	if err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) open() int {
	n, _ := o.db.OpenConflicts()
	return n
}

// next takes an offer, which must come within a second.
func (o *office) next(s *Seat) *Offer {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), time.Second)
	defer cancel()
	offer, err := s.Next(ctx)
	if err != nil {
		o.t.Fatal(err)
	}
	return offer
}

// nothing wants that the seat is offered nothing within the time.
func (o *office) nothing(s *Seat, within time.Duration) {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), within)
	defer cancel()
	if offer, err := s.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
		o.t.Errorf("offered %v, %v", offer, err)
	}
}

func answers(o *Offer, value string) []rows.Resolution {
	return []rows.Resolution{{ConflictRef: o.Conflicts[0].ConflictRef, Value: []byte(value)}}
}

// Each group is offered to one seat at a time; what a seat gives back, or leaves behind, goes to another.
func TestSeatsShareTheWork(t *testing.T) {
	run(t, `{"resolver":"app"}`, Options{}, func(o *office) {
		a, b := o.desks.Attach(o.db), o.desks.Attach(o.db)
		o.quarrel("x")
		first := o.next(a)
		o.nothing(b, time.Hour)
		o.quarrel("y")
		second := o.next(b)
		if first.Conflicts[0].Key != "x" || second.Conflicts[0].Key != "y" {
			t.Errorf("offered %v and %v", first.Conflicts, second.Conflicts)
		}
		if _, err := b.Answer(second.Number, answers(second, `3`), nil); err != nil {
			t.Error(err)
		}
		a.Pass()
		again := o.next(b)
		if again.Conflicts[0].Key != "x" {
			t.Errorf("passed on is %v", again.Conflicts)
		}
		if _, err := a.Answer(first.Number, answers(first, `4`), nil); !errors.Is(err, ErrPassed) {
			t.Errorf("a late answer: %v", err)
		}
		b.Close()
		last := o.next(a)
		if _, err := a.Answer(last.Number, answers(last, `5`), nil); err != nil || o.open() != 0 {
			t.Errorf("%v; %d are open", err, o.open())
		}
		a.Close()
	})
}

// Batches of many rows, more than wait in memory, are one group, also after answers that were refused.
func TestLargeBatchIsOneGroup(t *testing.T) {
	run(t, `{"resolver":"app"}`, Options{Queue: 300}, func(o *office) {
		s := o.desks.Attach(o.db)
		defer s.Close()
		const n = 1000
		o.quarrelAtLarge(n)
		for range 2 {
			offer := o.next(s)
			if len(offer.Conflicts) != n {
				t.Fatalf("offered %d rows, want %d", len(offer.Conflicts), n)
			}
			if _, err := s.Answer(offer.Number, answers(offer, `3`), nil); !errors.Is(err, rows.ErrInvalid) {
				t.Errorf("an answer that lacks rows: %v", err)
			}
			time.Sleep(time.Minute)
		}
		offer := o.next(s)
		var list []rows.Resolution
		for i := range offer.Conflicts {
			list = append(list, rows.Resolution{ConflictRef: offer.Conflicts[i].ConflictRef, Value: []byte(`3`)})
		}
		if _, err := s.Answer(offer.Number, list, nil); err != nil || o.open() != 0 {
			t.Errorf("%v; %d are open", err, o.open())
		}
		o.nothing(s, time.Hour)
	})
}

// A group rests after an answer that was refused, longer each time, and comes at once when it has changed under the answer.
func TestRefusedAnswersRest(t *testing.T) {
	run(t, `{"resolver":"app"}`, Options{}, func(o *office) {
		s := o.desks.Attach(o.db)
		defer s.Close()
		o.quarrel("x")
		for _, pause := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
			offer := o.next(s)
			if _, err := s.Answer(offer.Number, nil, nil); !errors.Is(err, rows.ErrInvalid) {
				t.Errorf("an answer that lacks the row: %v", err)
			}
			o.nothing(s, pause-time.Millisecond)
			time.Sleep(time.Millisecond)
		}
		offer := o.next(s)
		if _, err := o.db.Commit([]rows.Op{{Collection: notes, Key: "x", Value: []byte(`7`)}}, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Answer(offer.Number, answers(offer, `3`), nil); !errors.Is(err, rows.ErrConflict) {
			t.Errorf("an answer to what has changed: %v", err)
		}
		offer = o.next(s)
		if _, err := s.Answer(offer.Number, answers(offer, `3`), nil); err != nil {
			t.Error(err)
		}
	})
}

// When the rules change, what waits goes to who is to decide it now.
func TestRulesChange(t *testing.T) {
	run(t, `{"resolver":"defer"}`, Options{}, func(o *office) {
		s := o.desks.Attach(o.db)
		defer s.Close()
		o.quarrel("x")
		o.quarrel("y")
		o.nothing(s, time.Hour)
		set := func(version uint32, rules string) {
			if err := o.db.SetSchema(rows.Schema{Version: version, Policy: []byte(`{"rules":[` + rules + `]}`)}); err != nil {
				t.Fatal(err)
			}
		}
		set(2, `{"collection":"c","prefix":"x","resolver":"app"},{"resolver":"defer"}`)
		if offer := o.next(s); offer.Conflicts[0].Key != "x" {
			t.Errorf("offered %v", offer.Conflicts)
		}
		s.Pass()
		set(3, ``)
		synctest.Wait()
		if o.open() != 0 {
			t.Errorf("%d are open", o.open())
		}
	})
}

// A batch waits for the strictest rule of its rows. When that row is decided alone, here or elsewhere, those beside it go to
// who has to decide them.
func TestRowsBesideADecidedConflict(t *testing.T) {
	const rules = `{"collection":"c","prefix":"000000","resolver":"defer"},{"collection":"c","prefix":"000001","resolver":"app"}`
	decide := map[string]func(o *office) error{
		"here": func(o *office) error {
			_, err := o.db.Resolve([]rows.Resolution{{ConflictRef: rows.ConflictRef{Collection: notes, Key: "000000"}, Value: []byte(`3`)}}, nil)
			return err
		},
		"elsewhere": func(o *office) error {
			open, err := o.db.Conflict(rows.ConflictRef{Collection: notes, Key: "000000"})
			if err != nil {
				return err
			}
			seen := id.Vector{o.db.Writer(): o.db.Published().Know.Own().Gen}
			o.gen++
			v := id.Version{Writer: id.Writer{Device: id.Device{9}, Epoch: 1}, Gen: o.gen}
			c := wire.Commit{Writer: v.Writer, First: v.Gen, Count: 1, Time: hlc.Time(o.gen)}
			c.Records = []wire.Entry{{Collection: notes, Record: wire.Record{Version: v, Key: "000000", Value: []byte(`3`), Seen: seen}}}
			for i := range open.Siblings {
				c.Records[0].Record.Parents = append(c.Records[0].Record.Parents, open.Siblings[i].Version)
			}
			_, err = o.db.Receive(rows.Step{Commits: []wire.Commit{c}, Scopes: []id.Scope{{Collection: notes}}})
			return err
		},
	}
	for name, decide := range decide {
		t.Run(name, func(t *testing.T) {
			run(t, rules, Options{}, func(o *office) {
				s := o.desks.Attach(o.db)
				defer s.Close()
				o.quarrelAtLarge(4)
				o.nothing(s, time.Hour)
				if o.open() != 4 {
					t.Fatalf("%d are open, want the whole batch", o.open())
				}
				if err := decide(o); err != nil {
					t.Fatal(err)
				}
				offer := o.next(s)
				if offer.Conflicts[0].Key != "000001" || !offer.Conflicts[2].Open() || offer.Conflicts[3].Open() {
					t.Errorf("offered %v", offer.Conflicts)
				}
				s.Pass()
				if _, err := o.db.Resolve([]rows.Resolution{{ConflictRef: offer.Conflicts[0].ConflictRef, Delete: true}}, nil); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if o.open() != 0 {
					t.Errorf("%d are open, although the last writer settles them", o.open())
				}
			})
		})
	}
}

// plugin decides as the test says.
type plugin func(conflicts []rows.Conflict) ([]Decision, error)

func (p plugin) Resolve(_ context.Context, conflicts []rows.Conflict) ([]Decision, error) {
	return p(conflicts)
}

// A plugin that is down makes only its conflicts wait, and is asked again until it answers; one that keeps a conflict is not.
func TestPluginIsAskedUntilItAnswers(t *testing.T) {
	calls := 0
	var failures []error
	p := plugin(func(conflicts []rows.Conflict) ([]Decision, error) {
		if calls++; calls <= 3 {
			return nil, errors.New("down")
		}
		var list []Decision
		for _, c := range conflicts {
			d := Decision{Resolution: rows.Resolution{Value: []byte(`"merged"`)}}
			switch c.Key {
			case "p/keep":
				d = Decision{Keep: true}
			case "p/delete":
				d.Resolution = rows.Resolution{Delete: true}
			case "p/pick":
				d.Resolution = rows.Resolution{Pick: c.Siblings[1].Version}
			}
			list = append(list, d)
		}
		return list, nil
	})
	opts := Options{
		Plugin: func(name string) Plugin { return p },
		Events: Events{PluginFailed: func(_ id.Name, _ string, err error) { failures = append(failures, err) }},
	}
	run(t, `{"collection":"c","prefix":"p/","resolver":"plugin:x"},{"resolver":"app"}`, opts, func(o *office) {
		s := o.desks.Attach(o.db)
		defer s.Close()
		for _, k := range []string{"p/keep", "p/delete", "p/pick", "p/merge", "other"} {
			o.quarrel(k)
		}
		offer := o.next(s)
		if _, err := s.Answer(offer.Number, answers(offer, `3`), nil); err != nil || offer.Conflicts[0].Key != "other" {
			t.Errorf("offered %v, %v", offer.Conflicts, err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if o.open() != 1 || len(failures) == 0 {
			t.Errorf("%d are open, want the one that was kept; failures %v", o.open(), failures)
		}
		var got []string
		err := o.db.Scan(notes, rows.ScanRange{Prefix: "p/"}, func(r *rows.RowView) (bool, error) {
			got = append(got, fmt.Sprintf("%s=%s", r.Key, r.Value))
			return true, nil
		})
		if fmt.Sprint(got) != `[p/keep=1 p/merge="merged" p/pick=2]` || err != nil {
			t.Errorf("rows %v, %v", got, err)
		}
		asked := calls
		time.Sleep(time.Hour)
		if calls != asked {
			t.Errorf("what was kept was asked for %d times more", calls-asked)
		}
	})
}

// A plugin that the configuration has not makes its conflicts wait.
func TestNoPlugin(t *testing.T) {
	run(t, `{"resolver":"plugin:none"}`, Options{}, func(o *office) {
		o.quarrel("x")
		time.Sleep(time.Hour)
		if o.open() != 1 {
			t.Errorf("%d are open", o.open())
		}
	})
}
