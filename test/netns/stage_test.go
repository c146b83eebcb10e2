package netns

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/syncbase/syncbase/sdk/client"
)

const (
	databaseName, collectionName, syncgroupName = "places", "cities", "all"

	peerPort = 4001
	// healing is how long daemons may take to agree after a fault, on a busy machine.
	healing = 2 * time.Minute
)

// stage is five devices at a hub that share a collection, and write. Most pairs speak directly. The last device has nothing
// but bad lines, and two of the other pairs do so too.
type stage struct {
	t      *testing.T
	random *rand.Rand
	hub    *Hub
	nodes  []*node
	lines  []*Line
	// writers are in the order of the nodes.
	writers []*writer
	// stopWriters has them finish what they do and end.
	stopWriters func()
	rounds      int
}

var names = []string{"anna", "berta", "carl", "dora", "emil"}

// hasLines reports whether two devices have nothing but lines between them, one for each to the other.
func hasLines(i, j int) bool {
	return i == len(names)-1 || j == len(names)-1 || i/2 == j/2
}

func newStage(t *testing.T, binary string, seed uint64) *stage {
	t.Helper()
	s := &stage{t: t, random: rand.New(rand.NewPCG(seed, 5)), hub: NewHub(t, len(names))}
	dir := shortDir(t)
	for i, name := range names {
		d := &daemon{machine: s.hub.Machines[i], binary: binary, data: filepath.Join(dir, name)}
		s.nodes = append(s.nodes, newNode(t, d, name, s.peersOf(i)))
	}
	return s
}

// peersOf lays the lines that begin at a device, and returns the addresses at which it has its peers.
func (s *stage) peersOf(i int) (addresses []string) {
	s.t.Helper()
	for j, other := range s.hub.Machines {
		target := net.JoinHostPort(other.Address, strconv.Itoa(peerPort))
		switch {
		case i == j:
		case hasLines(i, j):
			line := NewLine(s.t, s.hub.Address, target)
			s.lines = append(s.lines, line)
			addresses = append(addresses, line.Address())
			s.hub.Machines[i].Mute(s.t, other.Address)
		default:
			addresses = append(addresses, target)
		}
	}
	return addresses
}

// share starts the daemons, the first of which issues the identities of the others, and makes all members.
func (s *stage) share() {
	s.t.Helper()
	first := s.nodes[0]
	first.start(s.t)
	first.run(s.t, "db", "create", databaseName)
	first.run(s.t, "collection", "create", databaseName, collectionName)
	first.run(s.t, "syncgroup", "create", databaseName, syncgroupName, "--collection", collectionName)
	for _, n := range s.nodes[1:] {
		issued := n.data + "-identity"
		first.run(s.t, "identity", "issue", n.name, "--data", first.data, "--out", issued)
		n.args = []string{"--identity", issued}
		n.start(s.t)
	}
	for _, n := range s.nodes[1:] {
		n.run(s.t, "syncgroup", "join", databaseName, syncgroupName)
		n.run(s.t, "syncgroup", "wait", databaseName, syncgroupName, "--timeout", "60s")
	}
}

// write lets every device write until stopWriters is called.
func (s *stage) write() {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	stop := make(chan struct{})
	var running sync.WaitGroup
	for _, n := range s.nodes {
		w := &writer{
			name: n.name, client: n.connect(s.t), rows: map[string]*record{},
			random: rand.New(rand.NewPCG(s.random.Uint64(), 0)),
		}
		s.writers = append(s.writers, w)
		running.Go(func() { w.run(ctx, stop) })
	}
	s.stopWriters = sync.OnceFunc(func() { close(stop); running.Wait() })
	s.t.Cleanup(func() {
		cancel()
		s.stopWriters()
		for _, w := range s.writers {
			if err := w.client.Close(); err != nil {
				s.t.Error(err)
			}
		}
	})
}

// progress waits until so many more writes were acknowledged on each of the devices.
func (s *stage) progress(writes int64, on ...*node) {
	s.t.Helper()
	goal := make([]int64, len(s.writers))
	for i, w := range s.writers {
		goal[i] = w.acked.Load() + writes
	}
	for i, n := range s.nodes {
		for _, o := range on {
			if o != n {
				continue
			}
			s.await(fmt.Sprintf("%d writes on %s", writes, n.name), patience, func() (bool, string) {
				left := goal[i] - s.writers[i].acked.Load()
				return left <= 0, fmt.Sprintf("%d to come", left)
			})
		}
	}
}

// await is await while no daemon ends by itself.
func (s *stage) await(what string, limit time.Duration, condition func() (bool, string)) time.Duration {
	s.t.Helper()
	return await(s.t, what, limit, func() (bool, string) {
		for _, n := range s.nodes {
			n.lives(s.t)
		}
		return condition()
	})
}

// others are the devices but those.
func (s *stage) others(but ...*node) (list []*node) {
	for _, n := range s.nodes {
		taken := false
		for _, b := range but {
			taken = taken || b == n
		}
		if !taken {
			list = append(list, n)
		}
	}
	return list
}

// pick chooses devices.
func (s *stage) pick(count int) (list []*node) {
	for _, i := range s.random.Perm(len(s.nodes))[:count] {
		list = append(list, s.nodes[i])
	}
	return list
}

// reachAll writes a mark on each of some devices and waits until those have all marks, while the writers go on. It
// returns how long that took.
func (s *stage) reachAll(among []*node) time.Duration {
	s.t.Helper()
	s.rounds++
	want := fmt.Sprintf(`"mark %d"`, s.rounds)
	for _, n := range among {
		s.await("a mark on "+n.name, patience, func() (bool, string) {
			ctx, cancel := context.WithTimeout(s.t.Context(), callLimit)
			defer cancel()
			_, err := n.cities().Put(ctx, "mark/"+n.name, json.RawMessage(want))
			return err == nil, fmt.Sprint(err)
		})
	}
	began := time.Now()
	for _, n := range among {
		for _, from := range among {
			s.await(fmt.Sprintf("%s has the mark of %s", n.name, from.name), healing, func() (bool, string) {
				ctx, cancel := context.WithTimeout(s.t.Context(), callLimit)
				defer cancel()
				row, err := n.cities().Get(ctx, "mark/"+from.name)
				return err == nil && string(row.Value.Bytes) == want, fmt.Sprintf("%s %v", row.Value.Bytes, err)
			})
		}
	}
	return time.Since(began)
}

func (n *node) cities() *client.Collection {
	return n.client.Database(databaseName).Collection(collectionName)
}

// settle stops the writers and waits until all devices have the same; it returns how long that took, and what they have.
func (s *stage) settle() (took time.Duration, export string) {
	s.t.Helper()
	s.stopWriters()
	took = s.await("all devices have the same and lack nothing", healing, func() (bool, string) {
		for i, n := range s.nodes {
			text := n.run(s.t, "export", databaseName, collectionName)
			if i == 0 {
				export = text
			}
			if text != export {
				return false, fmt.Sprintf("%s exports %d bytes, %s %d", s.nodes[0].name, len(export), n.name, len(text))
			}
			if lack := n.lacks(s.t); lack != "" {
				return false, n.name + " " + lack
			}
		}
		return true, ""
	})
	return took, export
}

// lacks says what is not as it has to be in the end; empty if all is.
func (n *node) lacks(t *testing.T) string {
	t.Helper()
	s := n.status(t)
	for _, g := range s.Syncgroups {
		if g.LagRecords != 0 || int(g.Members) != len(names) || int(g.Connected) != len(names)-1 {
			return fmt.Sprintf("stands at %+v", g)
		}
	}
	for _, p := range s.Peers {
		if p.LagRecords != 0 {
			return fmt.Sprintf("lacks %d records of %s", p.LagRecords, p.Name)
		}
	}
	return ""
}

// check looks at everything once the devices have settled.
func (s *stage) check(export string) {
	s.t.Helper()
	rows := decode(s.t, export)
	found := tornPairs(rows)
	for _, w := range s.writers {
		found = append(found, w.faults(rows)...)
		s.t.Logf("%s: %d writes acknowledged, %d failed", w.name, w.acked.Load(), w.failed.Load())
	}
	for _, fault := range found {
		s.t.Error(fault)
	}
	members := s.nodes[0].run(s.t, "syncgroup", "members", databaseName, syncgroupName)
	for _, n := range s.nodes {
		if got := n.run(s.t, "syncgroup", "members", databaseName, syncgroupName); got != members {
			s.t.Errorf("members as %s and %s know them:\n%s\n%s", s.nodes[0].name, n.name, members, got)
		}
		ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
		_, err := n.client.Doctor(ctx, func(f client.Finding) error {
			s.t.Errorf("the doctor finds on %s: %+v", n.name, f)
			return nil
		}, client.DoctorOptions{})
		cancel()
		if err != nil {
			s.t.Errorf("doctor on %s: %v", n.name, err)
		}
		for _, p := range n.status(s.t).Peers {
			if p.Divergences != 0 {
				s.t.Errorf("%s has diverged from %s %d times", n.name, p.Name, p.Divergences)
			}
		}
	}
	s.t.Logf("%d rows, %d bytes, the same on all", len(rows), len(export))
}

// stop ends the daemons, and checks that nothing is left of them and that none has complained.
func (s *stage) stop() {
	s.t.Helper()
	began := time.Now()
	for _, n := range s.nodes {
		n.lives(s.t)
		n.signal(s.t, syscall.SIGTERM)
	}
	for _, n := range s.nodes {
		if err := n.wait(s.t); err != nil {
			s.t.Errorf("%s ended with %v", n.name, err)
		}
		for _, line := range alarm.FindAllString(n.logText(s.t), 5) {
			s.t.Errorf("%s says: %s", n.name, line)
		}
	}
	s.await("no process is left", patience, func() (bool, string) {
		left := processesOf(s.nodes[0].binary)
		return len(left) == 0, strings.Join(left, " ")
	})
	s.t.Logf("all ended %v after they were asked to", time.Since(began).Round(time.Millisecond))
}

// decode reads what export prints.
func decode(t *testing.T, export string) map[string]string {
	t.Helper()
	rows := map[string]string{}
	lines := bufio.NewScanner(strings.NewReader(export))
	for lines.Scan() {
		var row struct {
			Key   string
			Value json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatalf("export: %v in %q", err, lines.Text())
		}
		rows[row.Key] = string(row.Value)
	}
	return rows
}
