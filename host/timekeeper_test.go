package host

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/syncbase/syncbase/host/internal/conf"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/skew"
)

// keeperOf returns a timekeeper without databases over a store in memory, which asks time servers by way of ask.
func keeperOf(t *testing.T, store *kv.Store, clock conf.Clock, ask func(context.Context, string) (time.Duration, error)) *timekeeper {
	t.Helper()
	start := time.Now()
	h := &Host{kv: store, log: hclog.NewNullLogger()}
	h.opts.Config.Clock = clock
	h.opts.Seams = Seams{Now: time.Now, Uptime: func() time.Duration { return time.Since(start) }, AskTime: ask}
	k := &timekeeper{h: h, log: h.log}
	var err error
	if k.own, err = k.load(nil, skew.Estimate{}); err != nil {
		t.Fatal(err)
	}
	return k
}

func memStore(t *testing.T) *kv.Store {
	t.Helper()
	store, err := kv.OpenMem()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// The first server that answers counts, asked several times, and what it says outlives the daemon.
func TestTimeServersAreAskedInTurn(t *testing.T) {
	var asked []string
	offset := time.Hour
	ask := func(_ context.Context, server string) (time.Duration, error) {
		asked = append(asked, server)
		if server == "dead" {
			return 0, errors.New("no answer")
		}
		return offset, nil
	}
	store := memStore(t)
	k := keeperOf(t, store, conf.Clock{Servers: []string{"dead", "good", "spare"}}, ask)
	if err := k.askRound(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"dead", "good", "good", "good", "good"}; !slices.Equal(asked, want) {
		t.Errorf("asked %v, want %v", asked, want)
	}
	if late := k.opinions()[0].Skew - time.Hour; late.Abs() > time.Minute {
		t.Errorf("an hour behind the server, the clock is corrected by %v", k.opinions()[0].Skew)
	}
	offset = 2 * time.Hour
	if err := k.askRound(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := keeperOf(t, store, conf.Clock{}, ask)
	if again.own.Skew != k.own.Skew || !again.own.Server.Equal(k.own.Server) {
		t.Errorf("after a restart %+v is known, before it %+v", again.own, k.own)
	}
}

// What is kept and cannot be read is forgotten, not believed and no reason to stop.
func TestBadEstimateIsForgotten(t *testing.T) {
	for _, bad := range []string{`{"skew":`, `{"skew":9000000000000000000}`} {
		store := memStore(t)
		b := store.NewBatch()
		b.Set(clockKey(nil), []byte(bad))
		if err := b.Commit(kv.Sync); err != nil {
			t.Fatal(err)
		}
		if k := keeperOf(t, store, conf.Clock{}, nil); k.own != (skew.Estimate{}) {
			t.Errorf("%s is taken for %+v", bad, k.own)
		}
	}
}

// While no server answers the pauses double up to the interval; after an answer they begin anew.
func TestTimeServersAreAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		var at []time.Duration
		ask := func(context.Context, string) (time.Duration, error) {
			if len(at) == 0 || at[len(at)-1] != time.Since(begun) {
				at = append(at, time.Since(begun))
			}
			if len(at) != 6 {
				return 0, errors.New("no answer")
			}
			return 0, nil
		}
		k := keeperOf(t, memStore(t), conf.Clock{Servers: []string{"s"}, Interval: 10 * time.Minute}, ask)
		ctx, cancel := context.WithTimeout(t.Context(), 49*time.Minute)
		defer cancel()
		k.askServers(ctx)
		var want []time.Duration
		for _, m := range []int{0, 1, 3, 7, 15, 25, 35, 36, 38, 42} {
			want = append(want, time.Duration(m)*time.Minute)
		}
		if !slices.Equal(at, want) {
			t.Errorf("asked after %v, want %v", at, want)
		}
	})
}
