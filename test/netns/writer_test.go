package netns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/syncbase/syncbase/sdk/client"
)

const (
	// pace is the pause between the writes of one device.
	pace = 20 * time.Millisecond
	// privateKeys is how many rows of each device only that one writes; sharedPairs how many pairs of rows all write.
	privateKeys, sharedPairs = 100, 10
	// absent stands for a row that was deleted.
	absent = "absent"
)

// writer writes on one device, one write after the other, and remembers what was acknowledged.
type writer struct {
	name   string
	client *client.Client
	random *rand.Rand
	acked  atomic.Int64
	failed atomic.Int64

	// mu guards rows.
	mu   sync.Mutex
	rows map[string]*record
}

// record is what is known of a row that only one device writes.
type record struct {
	// acked is the value that was acknowledged last, and maybe those of later writes that failed: each may have
	// happened.
	acked string
	maybe []string
}

// allowed are the values that the row may have.
func (r record) allowed() []string { return append([]string{r.acked}, r.maybe...) }

func (w *writer) database() *client.Database     { return w.client.Database(databaseName) }
func (w *writer) collection() *client.Collection { return w.database().Collection(collectionName) }

// run writes until stop is closed. A call has no time limit: a daemon that is frozen would carry out one that was given up
// after the next one.
func (w *writer) run(ctx context.Context, stop <-chan struct{}) {
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for number := 1; ; number++ {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := w.step(ctx, number); err != nil {
			w.failed.Add(1)
			continue
		}
		w.acked.Add(1)
	}
}

// step makes one write: mostly of a row of the device's own, sometimes of two that all write, together.
func (w *writer) step(ctx context.Context, number int) error {
	value := fmt.Sprintf(`"%s %d"`, w.name, number)
	if number%5 == 0 {
		return w.putPair(ctx, w.random.IntN(sharedPairs), value)
	}
	key := fmt.Sprintf("%s/%03d", w.name, w.random.IntN(privateKeys))
	if number%9 == 0 {
		value = absent
	}
	return w.write(ctx, key, value)
}

// write writes a row of the device's own.
func (w *writer) write(ctx context.Context, key, value string) error {
	w.mu.Lock()
	r := w.rows[key]
	if r == nil {
		r = &record{acked: absent}
		w.rows[key] = r
	}
	r.maybe = append(r.maybe, value)
	w.mu.Unlock()
	var err error
	if value == absent {
		_, err = w.collection().Delete(ctx, key)
	} else {
		_, err = w.collection().Put(ctx, key, json.RawMessage(value))
	}
	if err == nil || value == absent && errors.Is(err, client.ErrNotFound) {
		w.mu.Lock()
		r.acked, r.maybe = value, nil
		w.mu.Unlock()
		return nil
	}
	return err
}

// putPair gives two rows the same value, in one batch.
func (w *writer) putPair(ctx context.Context, pair int, value string) error {
	var ops []client.Op
	for _, side := range []string{"left", "right"} {
		op, err := w.collection().PutOp(pairKey(pair, side), json.RawMessage(value))
		if err != nil {
			return err
		}
		ops = append(ops, op)
	}
	_, err := w.database().Commit(ctx, ops...)
	return err
}

func pairKey(pair int, side string) string { return fmt.Sprintf("pair/%02d/%s", pair, side) }

// faults says what of an export contradicts what was acknowledged on this device.
func (w *writer) faults(exported map[string]string) (found []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, r := range w.rows {
		got, ok := exported[key]
		if !ok {
			got = absent
		}
		if !slices.Contains(r.allowed(), got) {
			found = append(found, fmt.Sprintf("%s is %s, want what was acknowledged last: %s", key, got, strings.Join(r.allowed(), ", or perhaps ")))
		}
	}
	for key := range exported {
		if _, ok := w.rows[key]; !ok && strings.HasPrefix(key, w.name+"/") {
			found = append(found, key+" is there, and nobody wrote it")
		}
	}
	slices.Sort(found)
	return found
}

// tornPairs says which pairs that were written together did not stay together.
func tornPairs(exported map[string]string) (found []string) {
	for pair := range sharedPairs {
		left, right := exported[pairKey(pair, "left")], exported[pairKey(pair, "right")]
		if left != right {
			found = append(found, fmt.Sprintf("pair %d was torn: %s and %s", pair, left, right))
		}
	}
	return found
}

// TestFaultsAreFound holds that what the five daemons must not do would be noticed.
func TestFaultsAreFound(t *testing.T) {
	w := &writer{name: "a", rows: map[string]*record{
		"a/kept":    {acked: "1"},
		"a/deleted": {acked: absent},
		"a/unclear": {acked: "1", maybe: []string{"2", absent}},
	}}
	for _, c := range []struct {
		name     string
		exported map[string]string
		faults   int
		torn     int
	}{
		{"as acknowledged", map[string]string{"a/kept": "1", "a/unclear": "1", "b/other": "1"}, 0, 0},
		{"a failed write happened", map[string]string{"a/kept": "1", "a/unclear": "2"}, 0, 0},
		{"a failed deletion happened", map[string]string{"a/kept": "1"}, 0, 0},
		{"lost", map[string]string{}, 1, 0},
		{"older value", map[string]string{"a/kept": "0"}, 1, 0},
		{"deleted row is back", map[string]string{"a/kept": "1", "a/deleted": "1"}, 1, 0},
		{"older than acknowledged", map[string]string{"a/kept": "1", "a/unclear": "0"}, 1, 0},
		{"invented", map[string]string{"a/kept": "1", "a/never": "1"}, 1, 0},
		{"torn", map[string]string{"a/kept": "1", "pair/00/left": "1", "pair/00/right": "2", "pair/01/left": "1"}, 0, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			if found := w.faults(c.exported); len(found) != c.faults {
				t.Errorf("found %d faults, want %d: %q", len(found), c.faults, found)
			}
			if found := tornPairs(c.exported); len(found) != c.torn {
				t.Errorf("found %d torn pairs, want %d: %q", len(found), c.torn, found)
			}
		})
	}
}
