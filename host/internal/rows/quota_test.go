package rows

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func liveBytes(db *DB) uint64 {
	live, _, err := db.Used()
	if err != nil {
		panic(err)
	}
	return live
}

// standing adds up what the rows and tombstones take.
func (d *device) standing() uint64 { return d.bytesIn(spaceRow, spaceTomb) }

// parted wants what is in force to be exactly what it is.
func (d *device) parted(when string) {
	d.t.Helper()
	live, garbage, err := d.db.Used()
	if rows := d.standing(); d.db.standing.bytes != int64(rows) {
		d.t.Fatalf("%s: %d bytes are said to be in rows and tombstones, stored are %d", when, d.db.standing.bytes, rows)
	}
	if all, rows := d.recount(), d.standing(); err != nil || live != min(2*rows, all) || live+garbage != all {
		d.t.Fatalf("%s: %d bytes are in force and %d history, %v; stored are %d, %d of them in rows and tombstones", when, live, garbage, err, all, rows)
	}
}

// The quota is about what readers see: writing one row again and again stays within it, and deleting makes room at once.
func TestQuotaDoesNotCountHistory(t *testing.T) {
	d := newDevice(t, 1).create()
	big := strconv.Quote(strings.Repeat("x", 5000))
	d.put("first", big)
	quota := liveBytes(d.db) + 5000
	d.set(func(s *Settings) { s.QuotaBytes = quota })
	for range 20 {
		d.put("first", big)
	}
	put := []Op{{Collection: notes, Key: "second", Value: []byte(big)}}
	_, refused := d.db.Commit(put, nil)
	live, garbage, err := d.db.Used()
	if err != nil || !errors.Is(refused, ErrQuota) || garbage < 20*5000 {
		t.Fatalf("a second row: %v, with %d bytes of history, %v", refused, garbage, err)
	}
	for _, want := range []string{"database " + dbName.String(), fmt.Sprintf("quota is %d", quota), "bytes of history do not count", "delete something"} {
		if !strings.Contains(refused.Error(), want) {
			t.Errorf("the message %q lacks %q", refused, want)
		}
	}
	d.crash()
	if again := liveBytes(d.db); again != live {
		t.Errorf("%d bytes are in force after a power loss, %d before", again, live)
	}
	d.del("first")
	d.put("second", big)
}

// Commits that come together are held against the quota one by one: one that does not fit is refused although the next one makes
// room, and those that fit are taken.
func TestEachOfAGroupKeepsToTheQuota(t *testing.T) {
	d := newDevice(t, 1).create()
	d.put("old", big(100_000))
	d.quota(1000)
	var got []bool
	for _, s := range d.db.StartCommits([][]Op{
		{{Collection: notes, Key: "small", Value: []byte(`1`)}},
		{{Collection: notes, Key: "large", Value: []byte(big(2000))}},
		{{Kind: OpDelete, Collection: notes, Key: "old"}},
		{{Collection: notes, Key: "later", Value: []byte(big(2000))}},
	}, nil) {
		_, err := s.Wait()
		if err != nil && !errors.Is(err, ErrQuota) {
			t.Fatal(err)
		}
		got = append(got, err == nil)
	}
	if want := []bool{true, false, true, true}; !slices.Equal(got, want) {
		t.Errorf("taken are %v, want %v", got, want)
	}
}

// However rows come and go, what is in force is exactly known: overwritten and deleted again and again, in conflict, with their
// collection, reclaimed, swept, after a restart and under another name of the device.
func TestWhatIsInForceIsExact(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	b.pull(a)
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 12 {
		for _, d := range []*device{a, b} {
			for range 10 {
				key := fmt.Sprint("k", random.IntN(8))
				if random.IntN(3) == 0 {
					d.del(key)
				} else {
					d.put(key, strconv.Quote(strings.Repeat("a", random.IntN(4)*300)))
				}
			}
			d.parted(fmt.Sprintf("round %d, written", round))
		}
		a.pull(b)
		b.pull(a)
		switch round % 4 {
		case 0:
			a.reclaim(a.everything())
			b.reclaim(Limits{Before: time.Unix(1<<40, 0)})
		case 1:
			a.crash()
		case 2:
			a.renewCollection()
			a.parted("a collection made anew")
			b.pull(a)
			a.sweep()
			b.sweep()
		}
		a.parted(fmt.Sprintf("round %d", round))
		b.parted(fmt.Sprintf("round %d", round))
	}
}
