package engine

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/id"
)

func seatsOf(n int, group string) (devices []id.Device, seats map[id.Principal]seat) {
	seats = map[id.Principal]seat{}
	for i := range n {
		var d id.Device
		// Devices are random numbers, so their order says nothing.
		binary.BigEndian.PutUint64(d[:], uint64(i+1)*0x9e3779b97f4a7c15)
		devices = append(devices, d)
		seats[principalOf(i)] = seat{device: d, groups: []id.Name{{Owner: "o", Local: group}}}
	}
	return devices, seats
}

func principalOf(i int) id.Principal { return id.Principal(fmt.Sprintf("example.org/o/device/d%d", i)) }

// Where all members reach each other, what one of them writes has a way to everyone, in few steps, and nobody pulls from
// more than maxNeighbours.
func TestEveryChangeHasAWay(t *testing.T) {
	for _, n := range []int{2, 4, 5, 6, 10, 50, 100} {
		devices, seats := seatsOf(n, "g")
		pulls := make([]map[id.Principal]bool, n)
		for i, self := range devices {
			others := map[id.Principal]seat{}
			for p, s := range seats {
				if s.device != self {
					others[p] = s
				}
			}
			pulls[i] = choose(self, others)
			if len(pulls[i]) > maxNeighbours || len(pulls[i]) == 0 {
				t.Fatalf("%d devices: device %d pulls from %d others", n, i, len(pulls[i]))
			}
		}
		longest := 0
		for from := range n {
			steps, reached := 0, map[int]bool{from: true}
			for front := []int{from}; len(front) > 0 && len(reached) < n; steps++ {
				var next []int
				for i := range n {
					if !reached[i] && slices.ContainsFunc(front, func(f int) bool { return pulls[i][principalOf(f)] }) {
						next = append(next, i)
						reached[i] = true
					}
				}
				front = next
			}
			if len(reached) < n {
				t.Fatalf("%d devices: what device %d writes reaches only %d", n, from, len(reached))
			}
			longest = max(longest, steps)
		}
		if most := 5 + n/50; longest > most {
			t.Errorf("%d devices: the longest way has %d steps, want %d at most", n, longest, most)
		}
	}
}

// Everybody in a small syncgroup is a neighbour, whatever large syncgroups there are beside it.
func TestSmallGroupsAreWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		devices, seats := seatsOf(rapid.IntRange(1, 30).Draw(t, "members"), "large")
		small := id.Name{Owner: "o", Local: "small"}
		var inSmall []id.Principal
		for i := range rapid.IntRange(0, min(maxNeighbours, len(devices)-1)).Draw(t, "in the small one") {
			p := principalOf(i)
			s := seats[p]
			s.groups = append(slices.Clone(s.groups), small)
			seats[p] = s
			inSmall = append(inSmall, p)
		}
		got := choose(id.Device{1}, seats)
		for _, p := range inSmall {
			if !got[p] {
				t.Fatalf("%s is no neighbour", p)
			}
		}
		if most := maxNeighbours + len(inSmall); len(got) > most {
			t.Fatalf("%d neighbours, want %d at most", len(got), most)
		}
	})
}

// Who catches up goes first, the next begins when that is done, and one who only waits in line can go away.
func TestCatchUpTakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c catchUp
		first := c.enter(t.Context())
		gone, cancel := context.WithCancel(t.Context())
		var waiting sync.WaitGroup
		waiting.Go(func() { c.enter(gone).leave() })
		synctest.Wait()
		order := make(chan int, 3) // who had the turn, in order
		for i := range 3 {
			waiting.Go(func() {
				turn := c.enter(t.Context())
				order <- i
				turn.leave()
			})
			synctest.Wait()
		}
		cancel()
		synctest.Wait()
		if len(order) != 0 {
			t.Error("somebody began while the first was under way")
		}
		first.leave()
		first.leave()
		waiting.Wait()
		close(order)
		var got []int
		for i := range order {
			got = append(got, i)
		}
		if !slices.Equal(got, []int{0, 1, 2}) {
			t.Errorf("the turns went in the order %v", got)
		}
	})
}

// reference: sync-214
// A peer from which nothing comes holds up the others for no longer than catchUpSilence, and one that sends slowly for no
// longer than catchUpSlice; nobody is cut off while nobody waits.
func TestCatchUpIsRelieved(t *testing.T) {
	for name, test := range map[string]struct {
		alive time.Duration // every so often something arrives
		want  time.Duration
	}{
		"silent": {time.Hour, catchUpSilence},
		"slow":   {time.Second, catchUpSlice},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c catchUp
				ctx, cancel := context.WithCancel(t.Context())
				turn := c.enter(ctx)
				time.Sleep(time.Minute)
				select {
				case <-turn.over:
					t.Error("the turn ended although nobody waited")
				default:
				}
				turn.leave()
				turn = c.enter(ctx)
				var life sync.WaitGroup
				life.Go(func() {
					for ctx.Err() == nil {
						select {
						case <-time.After(test.alive):
							turn.alive()
						case <-ctx.Done():
						}
					}
				})
				begun := time.Now()
				other := c.enter(ctx)
				if waited := time.Since(begun); waited < test.want || waited > test.want+2*time.Second {
					t.Errorf("the next in line waited %v, want %v", waited, test.want)
				}
				select {
				case <-turn.over:
				default:
					t.Error("the one that is relieved is not told")
				}
				other.leave()
				cancel()
				life.Wait()
			})
		})
	}
}
