package hosttest_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/hosttest"
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
