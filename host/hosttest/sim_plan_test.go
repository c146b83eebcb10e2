package hosttest_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"
)

// plan is what a seed decides of a random history: who takes part, over what links, and what befalls them. It is drawn before
// anything happens, and nothing in it depends on what comes of anything, so each run of a seed has the same.
type plan struct {
	Seed     uint64
	Flavour  flavour
	Hosts    []string
	Topology int
	// Older are the hosts that speak the first version of the protocol.
	Older             []string
	MaxSkew, MaxDelay time.Duration
	// Keep is how long history is kept; 0 is the default of daemons, longer than any history here.
	Keep time.Duration
	// Joins is how many join before the first step.
	Joins int
	Steps []step
}

// act is what is done in a step.
type act string

const (
	doWrite    act = "write"
	doInner    act = "write to the inner collection, or join it"
	doLimit    act = "limit"
	doLie      act = "lie"
	doCopy     act = "run a copy, or write to it"
	doPause    act = "pause or resume"
	doAccess   act = "set the access list"
	doQuota    act = "set the quota"
	doJoin     act = "join"
	doCut      act = "cut"
	doPart     act = "part"
	doHeal     act = "heal"
	doReset    act = "reset"
	doCrash    act = "crash"
	doClock    act = "set the clock"
	doSnapshot act = "take a snapshot"
	doSetBack  act = "set back"
	doStop     act = "stop"
	doStart    act = "start all"
	doLose     act = "lose"
	doStrand   act = "strand"
	doAskAgain act = "ask again"
)

// step is one thing that is done, and how long to wait then.
type step struct {
	Do act
	// Host is who does it or whom it befalls. A member stands in for one who has not joined yet.
	Host, Other string
	// Sides are those of a partition.
	Sides [2][]string
	// Batches are what is written: one, or what a host is writing when it crashes.
	Batches []batch
	// Off is how wrong a clock is, or how late something comes.
	Off time.Duration
	// N is a rate, how much of 100 is lost, a time in milliseconds, the number of a guest or of a key, how much room a quota leaves, or
	// what decides what is asked again; On what is done of two things.
	N  int
	On bool
	// Looked are the members that are looked at afterwards: whether they show batches whole, and hold what they say.
	Looked [2]string
	Pause  time.Duration
}

// batch is what is written together.
type batch struct {
	// Private is for the keys that a host alone writes, always all of them together; otherwise Keys are written.
	Private bool
	Keys    []string
	// Value is unlike all others of the history; empty deletes.
	Value string
}

// draft is a plan in the making.
type draft struct {
	plan
	random *rand.Rand
	// next makes every value unlike all others.
	next int
}

func planOf(seed uint64) plan {
	d := &draft{plan: plan{Seed: seed}, random: rand.New(rand.NewPCG(seed, 2))}
	d.Flavour = flavourOf(seed, d.random)
	d.Hosts = []string{"a", "b", "c", "d", "e"}[:3+d.random.IntN(3)]
	d.Topology = d.random.IntN(3)
	if d.Flavour == withOlder { // some, but not all
		d.Older = slices.Clone(d.Hosts)
		d.random.Shuffle(len(d.Older), func(i, j int) { d.Older[i], d.Older[j] = d.Older[j], d.Older[i] })
		d.Older = d.Older[:1+d.random.IntN(len(d.Older)-1)]
	}
	d.MaxSkew = oneOf(d, 0, time.Second, 2*time.Minute)
	d.MaxDelay = oneOf(d, time.Millisecond, 20*time.Millisecond, 300*time.Millisecond)
	d.Keep = oneOf(d, 0, 0, time.Second)
	d.Joins = d.random.IntN(len(d.Hosts))
	for range 40 + d.random.IntN(60) {
		p := d.step()
		p.Looked = [2]string{oneOf(d, d.Hosts...), oneOf(d, d.Hosts...)}
		p.Pause = d.pause()
		d.Steps = append(d.Steps, p)
	}
	d.weather()
	return d.plan
}

// oneOf draws one of several.
func oneOf[T any](d *draft, of ...T) T { return of[d.random.IntN(len(of))] }

func (d *draft) yes() bool { return d.random.IntN(2) == 0 }

// two returns a step that befalls two hosts.
func (d *draft) two(do act) step {
	i := d.random.IntN(len(d.Hosts))
	j := (i + 1 + d.random.IntN(len(d.Hosts)-1)) % len(d.Hosts)
	return step{Do: do, Host: d.Hosts[i], Other: d.Hosts[j]}
}

// step draws what is done.
func (d *draft) step() step {
	p := d.two("")
	writes := 51
	if d.Flavour.repairs() {
		writes -= 6 // so that they do have what is special about them
	}
	switch n := d.random.IntN(100); {
	case n < writes:
		p.Do, p.Batches = doWrite, []batch{d.batch()}
	case n < 55:
		return d.vary()
	case n < 60:
		return d.administer()
	case n < 65:
		p.Do = doJoin
	case n < 69:
		p.Do = doCut
	case n < 74:
		p.Do = doPart
		for _, name := range d.Hosts {
			side := d.random.IntN(2)
			p.Sides[side] = append(p.Sides[side], name)
		}
	case n < 80:
		p.Do = doHeal
	case n < 83:
		p.Do = doReset
	case n < 87:
		p.Do, p.On = doCrash, d.yes()
		for range d.random.IntN(4) {
			p.Batches = append(p.Batches, d.batch())
		}
	case n < 93:
		p.Do = oneOf(d, doClock, doSnapshot, doSnapshot, doSetBack)
		p.Off = time.Duration(d.random.Int64N(int64(20*time.Minute))) - 10*time.Minute
	case n < 95:
		p.Do = doStop
	default:
		p.Do = doStart
	}
	return p
}

// vary draws what not every history has.
func (d *draft) vary() step {
	switch n := d.random.IntN(4); {
	case n == 0:
		return step{Do: doInner, On: d.yes(), N: d.random.IntN(9)}
	case n == 1 || !d.Flavour.repairs():
		p := d.two(doLimit)
		p.N = oneOf(d, 0, 3_000, 30_000)
		return p
	case d.Flavour == withLiar:
		return d.two(doLie)
	}
	p := d.two(doCopy)
	p.Batches = []batch{d.batch()}
	return p
}

// administer draws what an owner does to a member now and then.
func (d *draft) administer() step {
	p := d.two(oneOf(d, doPause, doAccess, doQuota))
	p.On = d.yes()
	switch p.Do {
	case doAccess:
		p.N = d.random.IntN(4)
	case doQuota:
		p.N = d.random.IntN(1500)
	}
	return p
}

// pause is short as a rule, and sometimes longer than it takes to notice a dead connection.
func (d *draft) pause() time.Duration {
	longest := 200 * time.Millisecond
	if d.random.IntN(12) == 0 {
		longest = time.Minute
	}
	return time.Duration(d.random.Int64N(int64(longest)))
}

func (d *draft) batch() batch {
	d.next++
	b := batch{Value: strconv.Itoa(d.next)}
	switch n := d.random.IntN(10); {
	case n < 3:
		b.Private = true
		return b
	case n < 5:
		b.Value = ""
	}
	prefix := ""
	if d.Flavour == withRules {
		prefix = oneOf(d, "", "open/", "app/")
	}
	for _, i := range d.random.Perm(6)[:1+d.random.IntN(3)] {
		b.Keys = append(b.Keys, fmt.Sprint(prefix, "k", i))
	}
	return b
}
