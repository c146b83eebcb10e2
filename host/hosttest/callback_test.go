package hosttest_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/hosttest"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// What is written on hosts that nobody can dial reaches the others all the same, in both directions, over a host that all
// of them can dial, and after any of them was started again.
func TestHostsThatNobodyCanDial(t *testing.T) {
	hidden := func(name string) bool { return name != "b" }
	for name, opts := range map[string]hosttest.Options{
		"listening nowhere": {Deaf: hidden},
		"behind a wall":     {Walled: hidden},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				opts.Seed, opts.Hosts = 1, []string{"a", "b", "c"}
				opts.Knows = func(host, other string) bool { return other == "b" }
				c := hosttest.New(t, opts)
				a, b, d := c.Host("a"), c.Host("b"), c.Host("c")
				b.Create()
				a.Join(b)
				d.Join(b)
				reaches := func(writer *hosttest.Host, key string, readers ...*hosttest.Host) {
					t.Helper()
					writer.Commit(hosttest.Put(key, `1`))
					begun := time.Now()
					for _, r := range readers {
						for r.Rows()[key] != `1` {
							if time.Since(begun) > 2*time.Minute {
								t.Fatalf("%s of %s has not reached %s", key, writer.Name(), r.Name())
							}
							time.Sleep(10 * time.Millisecond)
						}
					}
					t.Logf("%s of %s has arrived after %s", key, writer.Name(), time.Since(begun))
				}
				c.Settle(time.Minute)
				reaches(a, "first", b, d)
				begun := time.Now()
				reaches(a, "second", b, d)
				reaches(d, "third", b, a)
				if took := time.Since(begun); took > time.Second {
					t.Errorf("two changes took %s with connections that stand", took)
				}
				for i, h := range []*hosttest.Host{a, b, d, b} {
					h.Stop()
					h.Start()
					reaches(a, fmt.Sprintf("a%d", i), b, d)
					reaches(d, fmt.Sprintf("c%d", i), b, a)
				}
				b.Crash()
				b.Start()
				reaches(a, "last", b, d)
				for _, h := range c.Hosts() {
					h.Stop()
				}
			})
		})
	}
}

// What was written while the database was paused reaches the others as soon as it goes on, however long that took.
func TestResumeIsNoticedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, hosttest.Options{Seed: 1, Hosts: []string{"a", "b", "c"}})
		c.Share()
		c.Settle(time.Minute)
		a := c.Host("a")
		set := func(paused bool) {
			t.Helper()
			_, err := a.API().UpdateDatabase(t.Context(), &nodev1.UpdateDatabaseRequest{
				Database: hosttest.Database, Settings: &nodev1.DatabaseSettings{SyncPaused: &paused},
			})
			mustDo(t, 0, err)
		}
		for i, pause := range []time.Duration{time.Second, 10 * time.Minute, 3*time.Hour + 7*time.Second} {
			set(true)
			key := fmt.Sprintf("k%d", i)
			a.Commit(hosttest.Put(key, `1`))
			time.Sleep(pause)
			set(false)
			time.Sleep(500 * time.Millisecond)
			for _, h := range []*hosttest.Host{c.Host("b"), c.Host("c")} {
				if h.Rows()[key] != `1` {
					t.Errorf("after a pause of %s %s lacks what was written during it", pause, h.Name())
				}
			}
			time.Sleep(time.Minute)
		}
	})
}
