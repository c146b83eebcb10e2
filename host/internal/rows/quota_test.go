package rows

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

func liveBytes(db *DB) uint64 {
	live, _ := db.Used()
	return live
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
	_, err := d.db.Commit(put, nil)
	live, garbage := d.db.Used()
	if !errors.Is(err, ErrQuota) || garbage < 20*5000 {
		t.Fatalf("a second row: %v, with %d bytes of history", err, garbage)
	}
	for _, want := range []string{"database " + dbName.String(), fmt.Sprintf("quota is %d", quota), "bytes of history do not count", "delete something"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the message %q lacks %q", err, want)
		}
	}
	d.crash()
	if again, _ := d.db.Used(); again != live {
		t.Errorf("%d bytes are in force after a power loss, %d before", again, live)
	}
	d.del("first")
	d.put("second", big)
}

// What is parted from history by estimate is, once history is gone, all there is; and meanwhile the estimate is near it, also for
// versions that lose against others of another size.
func TestLiveBytesAreAboutWhatIsLeft(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2)
	a.put("k0", `1`)
	b.pull(a)
	for i := range 60 {
		key := fmt.Sprint("k", i%5)
		a.put(key, strconv.Quote(strings.Repeat("a", i%7*300)))
		b.put(key, strconv.Quote(strings.Repeat("b", i%3*900)))
		if i%4 == 0 {
			a.del(fmt.Sprint("k", i%3))
		}
		b.pull(a)
		a.pull(b)
	}
	for _, d := range []*device{a, b} {
		before, garbage := d.db.Used()
		for {
			got, err := d.db.Reclaim(Limits{Before: time.Unix(1<<40, 0)})
			if err != nil {
				t.Fatal(err)
			}
			if !got.More {
				break
			}
		}
		live, left := d.db.Used()
		if left > 2000 || garbage < 10*left {
			t.Errorf("device %d: %d bytes of history are left of %d", d.num, left, garbage)
		}
		if diff := max(before, live) - min(before, live); diff > garbage/10+2000 {
			t.Errorf("device %d: %d bytes in force beside %d of history, then %d", d.num, before, garbage, live)
		}
	}
}
