package hosttest_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/hosttest"
)

// Hosts are set back to snapshots at random, while they are cut off from each other or not, and write on. In the end all
// agree, down to versions, and hold every row that another host had got or that was written since its host was set back.
func TestRandomSetBacksConverge(t *testing.T) {
	for _, seed := range histories(t, 4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { setBackAtRandom(t, seed) })
		})
	}
}

func setBackAtRandom(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 7))
	names := []string{"a", "b", "c"}
	c := hosttest.New(t, hosttest.Options{Seed: seed, Hosts: names})
	c.Share()
	var story []string
	defer func() {
		if t.Failed() {
			t.Logf("what happened:\n%s\nreplay with: %s", strings.Join(story, "\n"), replay("TestRandomSetBacksConverge", seed))
		}
	}()
	tell := func(format string, args ...any) { story = append(story, fmt.Sprintf(format, args...)) }
	snapshots := map[string]hosttest.Snapshot{}
	// safe are rows that must be there in the end; fresh are those that a host alone has so far, since it was set back.
	safe, fresh := map[string]string{}, map[string]map[string]string{"a": {}, "b": {}, "c": {}}
	next := 0
	see := func() {
		for _, h := range c.Hosts() {
			for key, value := range h.Rows() {
				for _, of := range names {
					if v, found := fresh[of][key]; found && of != h.Name() && v == value {
						safe[key] = value
						delete(fresh[of], key)
					}
				}
			}
		}
	}
	for range 30 {
		h := c.Hosts()[random.IntN(3)]
		switch n := random.IntN(20); {
		case n < 11:
			next++
			key, value := fmt.Sprint("unique/", next), fmt.Sprint(next)
			h.Commit(hosttest.Put(key, value), hosttest.Put(fmt.Sprint("shared/", random.IntN(3)), value))
			fresh[h.Name()][key] = value
			tell("%s writes %s", h.Name(), key)
		case n < 14:
			snapshots[h.Name()] = h.Snapshot()
			tell("snapshot of %s", h.Name())
		case n < 17:
			to, taken := snapshots[h.Name()]
			if !taken {
				continue
			}
			see()
			tell("%s is set back; what nobody else has got is lost: %v", h.Name(), fresh[h.Name()])
			h.SetBack(to)
			h.Start()
			fresh[h.Name()] = map[string]string{}
			for key, value := range h.Rows() {
				if _, known := safe[key]; !known && strings.HasPrefix(key, "unique/") {
					fresh[h.Name()][key] = value
				}
			}
		case n < 18:
			other := c.Hosts()[random.IntN(3)]
			if other != h {
				tell("part %s from %s", h.Name(), other.Name())
				c.Partition([]string{h.Name()}, []string{other.Name()})
			}
		default:
			tell("heal")
			c.Heal()
		}
		time.Sleep(time.Duration(random.Int64N(int64(20 * time.Second))))
		see()
	}
	c.Heal()
	c.Settle(2 * time.Hour)
	for _, of := range names {
		for key, value := range fresh[of] {
			safe[key] = value
		}
	}
	for _, h := range c.Hosts() {
		rows := h.Rows()
		for key, value := range safe {
			if rows[key] != value {
				t.Errorf("%s has %q at %s, want %s", h.Name(), rows[key], key, value)
			}
		}
	}
}
