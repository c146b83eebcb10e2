package hosttest_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/syncbase/syncbase/host/hosttest"
)

// A device that is ejected and denied, as the operations page says for a lost one, takes nobody off the list by what it changes
// afterwards, and nobody of those who have heard listens to it. Where it was only ejected its change counts, so the administrator is off the
// list until another one puts it back; the device stays out all the same.
func TestLostDeviceThatChangesTheSpecification(t *testing.T) {
	for _, denied := range []bool{true, false} {
		t.Run(fmt.Sprintf("denied %t", denied), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := hosttest.New(t, hosttest.Options{Seed: 1, Hosts: []string{"a", "lost", "c"}})
				c.Share()
				c.Settle(time.Minute)
				a, lost, other := c.Host("a"), c.Host("lost"), c.Host("c")
				in, err := json.Marshal(spec(t, a).Permissions["Read"].In)
				if err != nil {
					t.Fatal(err)
				}
				without := func(member string) string {
					access := `{"in":` + string(in) + `}`
					if member != "" {
						access = fmt.Sprintf(`{"in":%s,"not_in":[%q]}`, in, memberNamed(t, other, member))
					}
					return `{"permissions":{"Admin":` + access + `,"Read":` + access + `}}`
				}
				withoutA, withoutLost, all := without("a"), without("lost"), without("")
				c.Partition([]string{"lost"}, []string{"a", "c"})
				eject(t, a, "lost")
				if denied {
					setSpec(t, a, withoutLost)
				}
				eventually(t, "c has heard", func() bool { return members(other) == "a c" && other.State().Spec == a.State().Spec })
				time.Sleep(time.Second)
				setSpec(t, lost, withoutA)
				c.Heal()
				if !denied {
					eventually(t, "a is off the list", func() bool { return state(t, a) == "removed" && other.State().Spec == lost.State().Spec })
					setSpec(t, other, all)
				}
				agree := func() bool {
					return state(t, a) == "member" && state(t, other) == "member" && state(t, lost) == "ejected" && members(a) == "a c" && members(other) == "a c"
				}
				eventually(t, "a is a member and the lost device is out", agree)
				time.Sleep(5 * time.Minute)
				if !agree() {
					t.Errorf("it did not stay so: a is %s, c %s, lost %s", state(t, a), state(t, other), state(t, lost))
				}
			})
		})
	}
}
