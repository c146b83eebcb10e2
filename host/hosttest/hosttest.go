// Package hosttest runs several whole daemons inside one test: real stores, identities, TLS and gRPC on a network, disks
// and clocks that the test can break.
//
// It guarantees that a crash loses what the disk had not synced and nothing else, that every fault is decided by the seed
// or by the test, and that all daemons have ended when the test does. Run it inside testing/synctest: hours of waiting
// cost nothing there.
//
// A seed decides which hosts there are, how far apart they are and how wrong their clocks, and in a random history every step:
// which host writes which rows, what is cut, reset, crashed, set back or stopped, and how long to wait then. All of that is
// drawn before the first step. A seed does not decide in which order the goroutines of one moment run, which of several cases
// that are ready a select takes, in which order a map is walked, nor keys, signatures and what daemons draw themselves, such as
// the jitter of their patience. So the bytes of a connection differ from run to run, with them when something arrives, and
// with that which of two versions wins, whether a join is in time, and what a liar gets to answer. Two runs of a seed end with
// other rows and digests; that all hosts of one run end with the same is what is tested. A failure may take several runs of its
// seed to come again.
//
// What random histories do to three to five hosts, connected each with each, in a line or in a star: links are cut one way or both,
// parted, limited in bytes a second and reset, which loses what is under way; they lose some of what is sent, which comes late then or breaks
// the connection; connections break for one side alone, whose bytes reach the other side late, beside those of a newer connection; requests are
// made again, also of an earlier run (within a connection nothing is lost, doubled or disordered; messages are, by liars); clocks differ, jump back and forth; hosts stop, start, lose power while they write, are put
// back to snapshots, run beside copies of themselves, speak the first version of the protocol, lie; members join late, pause, refuse by
// quota, change access lists, specifications and what conflicts are left to people; they leave, are ejected and come back; rows are written
// and deleted, alone and in batches; history is kept for ever or for a second.
//
// Checked at every step, of the hosts looked at: batches are seen whole; each has what it has said it holds, and says less only
// after it was stopped; none sends a record twice in one pull or to whom it may not. Checked after all faults have ended: within a bound of virtual time
// all have the same rows, access lists, members, specification and open conflicts, down to versions, and say that they have compared them; every
// acknowledged write is there or was overwritten by a later one, nobody's is; watchers were shown batches whole and end with the rows; nothing is
// refused any more; not much was sent twice; history and traces of deleted rows are gone where none are to be kept. Where somebody was set back and
// members had taken names for what they stood for before, an alarm is demanded in place of whole batches. TestMatrix plays fixed scenarios in each
// topology under each regime of clocks, ties included.
//
// It knows the daemons only by their service for clients. Read Cluster, Host and Watcher.
package hosttest

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/syncbase/syncbase/host"
)

// Options of a cluster.
type Options struct {
	// Seed decides the delays, the clocks and what Rand returns.
	Seed uint64
	// Hosts are the names of the daemons, all of which are started. Default: a and b.
	Hosts []string
	// Knows tells whether one host has the address of another in its configuration. Default: everybody knows everybody.
	Knows func(host, other string) bool
	// MaxSkew is how far the clocks of hosts are off, either way.
	MaxSkew time.Duration
	// MaxDelay is the longest that a byte is on the way. Default 5 ms.
	MaxDelay time.Duration
	// Keep is how long history is kept. Default: as the daemon does without a configuration.
	Keep time.Duration
	// Interval is how often a host asks peers from which it does not pull what they hold. Default: never.
	Interval time.Duration
	// Tap is shown the pulls between hosts. Default: none.
	Tap Tap
	// Older tells which hosts know nothing of what came after the first version of the protocol. Default: none.
	Older func(host string) bool
	// Miscounting tells which hosts leave all deletes out of what they compare, as daemons did. Default: none.
	Miscounting func(host string) bool
	// Deaf tells which hosts accept no connections, and Walled which ones only seem to: nobody reaches them there. Default: none.
	Deaf, Walled func(host string) bool
	// Apart tells which hosts cannot connect with each other, whoever of them dials. Default: none.
	Apart func(host, other string) bool
	// Log is the least level of what daemons log. Default: nothing.
	Log hclog.Level
	// LogTo is what daemons log to, all of them at once. Default: the test.
	LogTo io.Writer
}

func (o Options) withDefaults() Options {
	if o.Hosts == nil {
		o.Hosts = []string{"a", "b"}
	}
	if o.Knows == nil {
		o.Knows = func(string, string) bool { return true }
	}
	nobody := func(string) bool { return false }
	if o.Deaf == nil {
		o.Deaf = nobody
	}
	if o.Walled == nil {
		o.Walled = nobody
	}
	if o.Older == nil {
		o.Older = nobody
	}
	if o.Miscounting == nil {
		o.Miscounting = nobody
	}
	if o.Apart == nil {
		o.Apart = func(string, string) bool { return false }
	}
	if o.MaxDelay == 0 {
		o.MaxDelay = 5 * time.Millisecond
	}
	if o.Log == hclog.NoLevel {
		o.Log = hclog.Off
	}
	return o
}

// The one database, collection and syncgroup that Share and Join use.
const (
	Database   = "db"
	Collection = "notes"
	Syncgroup  = "sg"
)

// Cluster is some daemons of one owner and the network between them. Its methods are for one goroutine.
type Cluster struct {
	t       testing.TB
	opts    Options
	random  *rand.Rand
	network *network
	hosts   map[string]*Host
	order   []string
	// twins run on copies of hosts' data.
	twins []*Host
}

// New starts the daemons; they end with the test.
func New(t testing.TB, opts Options) *Cluster {
	t.Helper()
	opts = opts.withDefaults()
	c := &Cluster{
		t: t, opts: opts, random: rand.New(rand.NewPCG(opts.Seed, 1)), network: newNetwork(opts.Seed),
		hosts: map[string]*Host{}, order: opts.Hosts,
	}
	root := t.TempDir()
	authority := ""
	for i, name := range opts.Hosts {
		h := newHost(c, name, i, filepath.Join(root, name))
		c.hosts[name] = h
		if authority == "" {
			authority = h.identity
			h.must(host.InitIdentity(authority, name))
		} else {
			h.must(host.IssueIdentity(authority, name, h.identity))
		}
	}
	for _, from := range c.order {
		for _, to := range c.order {
			delay := time.Duration(1 + c.random.Int64N(int64(opts.MaxDelay)))
			c.network.set(c.way(from, to), func(c *condition) { c.delay = delay })
		}
	}
	for _, name := range c.order {
		c.hosts[name].Start()
	}
	t.Cleanup(func() {
		for _, name := range c.order {
			c.hosts[name].Stop()
		}
		for _, h := range c.twins {
			h.Stop()
		}
		// What a test has left cut, nobody is to wait for.
		c.network.reset(func(way) bool { return true })
	})
	return c
}

// Rand is the source of chance that the seed began.
func (c *Cluster) Rand() *rand.Rand { return c.random }

// Host returns the daemon of that name.
func (c *Cluster) Host(name string) *Host {
	h := c.hosts[name]
	if h == nil {
		c.t.Fatalf("no host %q among %v", name, c.order)
	}
	return h
}

// Hosts returns all daemons in the order of Options.Hosts.
func (c *Cluster) Hosts() []*Host {
	list := make([]*Host, 0, len(c.order))
	for _, name := range c.order {
		list = append(list, c.hosts[name])
	}
	return list
}

func (c *Cluster) way(from, to string) way { return way{c.Host(from).ip, c.Host(to).ip} }

// Cut stops everything on the way from one host to another, but not the other way. What is under way is held back.
func (c *Cluster) Cut(from, to string) {
	c.network.set(c.way(from, to), func(c *condition) { c.cut = true })
}

// Partition cuts every way between the two sides.
func (c *Cluster) Partition(one, other []string) {
	for _, a := range one {
		for _, b := range other {
			c.Cut(a, b)
			c.Cut(b, a)
		}
	}
}

// Heal opens every way again.
func (c *Cluster) Heal() {
	for _, from := range c.order {
		for _, to := range c.order {
			c.network.set(c.way(from, to), func(c *condition) { c.cut = false })
		}
	}
}

// Limit lets no more than so many bytes a second through from one host to another; 0 is no limit.
func (c *Cluster) Limit(from, to string, bytesPerSecond int) {
	c.network.set(c.way(from, to), func(c *condition) { c.rate = bytesPerSecond })
}

// Lose makes it so likely that what is sent from one host to another is lost and has to be sent again; 0 is never.
func (c *Cluster) Lose(from, to string, loss float64) {
	c.network.set(c.way(from, to), func(c *condition) { c.loss = loss })
}

// Strand breaks the connections between two hosts for the first of them alone, after a while. What it sends on them until then
// reaches the other one late, and only then the other one hears that they are broken. New ones can be made meanwhile.
func (c *Cluster) Strand(from, to string, after, late time.Duration) {
	c.network.strand(c.way(from, to), after, late)
}

// Reset breaks the connections between two hosts; what is under way is lost. New ones can be made at once.
func (c *Cluster) Reset(one, other string) {
	there, back := c.way(one, other), c.way(other, one)
	c.network.reset(func(w way) bool { return w == there || w == back })
}

// Carried returns how many bytes have been sent from one host to another.
func (c *Cluster) Carried(from, to string) uint64 { return c.network.carried(c.way(from, to)) }

// Traffic returns how many bytes have been sent between any hosts.
func (c *Cluster) Traffic() (sum uint64) {
	for _, from := range c.order {
		for _, to := range c.order {
			sum += c.Carried(from, to)
		}
	}
	return sum
}

// Share makes database, collection and syncgroup on the first host and lets the others join, one after the other, each at
// one that knows it or that it knows, and get what there is.
func (c *Cluster) Share() {
	c.t.Helper()
	hosts := c.Hosts()
	hosts[0].Create()
	for i, h := range hosts[1:] {
		h.Join(c.neighbour(h, hosts[:i+1]))
		h.Wait()
	}
}

// neighbour returns the first of the others that is connected with the host.
func (c *Cluster) neighbour(h *Host, others []*Host) *Host {
	c.t.Helper()
	for _, o := range others {
		if c.opts.Knows(h.name, o.name) || c.opts.Knows(o.name, h.name) {
			return o
		}
	}
	c.t.Fatalf("nobody knows %s", h.name)
	return nil
}

// Settle waits until all hosts agree, which they must within the time, and then checks that they agree for good reason:
// nobody lacks anything that somebody else is known to hold.
func (c *Cluster) Settle(within time.Duration) {
	c.t.Helper()
	deadline := time.Now().Add(within)
	for {
		diff := c.Diff()
		if diff == "" {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("seed %d: hosts do not agree after %s:\n%s", c.opts.Seed, within, diff)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// Diff says in what the hosts differ: rows, access lists, members, specification, or what they hold of each other. It is
// empty when they agree.
func (c *Cluster) Diff() string {
	c.t.Helper()
	hosts := c.Hosts()
	want := hosts[0].State()
	for _, h := range hosts[1:] {
		if diff := cmp.Diff(want, h.State()); diff != "" {
			return fmt.Sprintf("(-%s +%s):\n%s", hosts[0].name, h.name, diff)
		}
	}
	for _, h := range hosts {
		if lag := h.lag(); len(lag) > 0 {
			return fmt.Sprintf("%s lacks records that others hold: %v", h.name, lag)
		}
	}
	for _, h := range hosts {
		if n := len(want.Members); n != c.members() {
			return fmt.Sprintf("%s has %d members, %v, for %d hosts", h.name, n, slices.Collect(maps.Keys(want.Members)), c.members())
		}
	}
	return ""
}
