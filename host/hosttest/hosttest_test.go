package hosttest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/syncbase/syncbase/host/hosttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestThreeHostsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := hosttest.New(t, hosttest.Options{Seed: 1, Hosts: []string{"a", "b", "c"}})
		c.Share()
		for _, h := range c.Hosts() {
			h.Commit(hosttest.Put(h.Name(), `1`))
		}
		c.Settle(time.Minute)
		if n := len(c.Host("a").Rows()); n != 3 {
			t.Errorf("%d rows, want 3", n)
		}
	})
}
