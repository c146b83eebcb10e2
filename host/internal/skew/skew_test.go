package skew_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/skew"
)

var start = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)

// machine is a clock that tests set.
type machine struct {
	clock  time.Time
	uptime time.Duration
}

func (m *machine) read() skew.Reading { return skew.Reading{Clock: m.clock, Uptime: m.uptime} }

// pass lets time pass: clock and uptime move together.
func (m *machine) pass(d time.Duration) skew.Reading {
	m.clock, m.uptime = m.clock.Add(d), m.uptime+d
	return m.read()
}

// exchange asks somebody whose clock is offset from ours; there and back each take half of delay.
func (m *machine) exchange(offset, delay time.Duration) skew.Exchange {
	x := skew.Exchange{Asked: m.read()}
	x.Received = m.clock.Add(delay/2 + offset)
	x.Replied = x.Received
	x.Heard = m.pass(delay)
	return x
}

func newMachine() *machine { return &machine{clock: start, uptime: time.Hour} }

// informed is an estimate that a time server gave long before start.
func informed(off time.Duration, reboots, hops uint16) skew.Estimate {
	return skew.Estimate{Skew: off, Server: start.Add(-time.Hour), Reboots: reboots, Hops: hops}
}

// A clock that nobody has corrected is believed, and an estimate is added to it in either direction.
//
// reference: sync-117
// Without an estimate the time is what the machine says.
// reference: sync-118
// An estimate moves the time, forwards and backwards.
// reference: sync-119
// One minute of skew is one minute.
func TestAt(t *testing.T) {
	for _, off := range []time.Duration{0, 5 * time.Second, -5 * time.Second, time.Minute} {
		if got := (skew.Estimate{Skew: off}).At(start); !got.Equal(start.Add(off)) {
			t.Errorf("with a skew of %v it is %v", off, got)
		}
	}
}

func TestTick(t *testing.T) {
	tests := map[string]struct {
		from  skew.Estimate
		clock time.Duration // by how much more than uptime the clock moves
		wait  time.Duration // uptime between the ticks; negative is a restart
		want  skew.Estimate // apart from Last
	}{
		// reference: sync-120
		// While nothing happens nothing is corrected.
		"nothing happens": {wait: time.Second},
		// reference: sync-121
		// What is known of servers, restarts and hops outlives a tick.
		"nothing happens to what is known": {from: informed(time.Minute, 3, 1), wait: time.Second, want: informed(time.Minute, 3, 1)},
		// reference: store-129
		// A restart of the machine is seen by its uptime.
		// reference: sync-122
		// An uptime that runs backwards is a restart: it is counted, and the clock is taken as it then is.
		"restart":                       {from: informed(7*time.Second, 0, 0), wait: -time.Minute, clock: time.Hour, want: informed(7*time.Second, 1, 0)},
		"restart with a clock set back": {from: informed(0, 4, 1), wait: -time.Minute, clock: -time.Hour, want: informed(0, 5, 1)},
		// reference: sync-123
		// Clocks drift: a second is nothing.
		"drift":           {from: informed(0, 0, 0), wait: time.Minute, clock: time.Second, want: informed(0, 0, 0)},
		"drift backwards": {from: informed(0, 0, 0), wait: time.Minute, clock: -time.Second, want: informed(0, 0, 0)},
		// reference: sync-124
		// A clock that somebody sets does not move the time that a server gave.
		"set ahead": {from: informed(0, 0, 0), wait: time.Second, clock: 5 * time.Second, want: informed(-5*time.Second, 0, 0)},
		"set back":  {from: informed(time.Second, 0, 0), wait: time.Second, clock: -5 * time.Second, want: informed(6*time.Second, 0, 0)},
		// Whoever sets a clock that no server was ever asked about knows better.
		"set without a server": {wait: time.Second, clock: time.Hour},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m := newMachine()
			e := test.from.Tick(m.read())
			m.uptime += test.wait
			m.clock = m.clock.Add(test.wait + test.clock)
			got := e.Tick(m.read())
			if got.Last != m.read() {
				t.Errorf("the last reading is %v, want %v", got.Last, m.read())
			}
			got.Last = skew.Reading{}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("estimate (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTimeServer(t *testing.T) {
	tests := map[string]struct {
		from   skew.Estimate
		offset time.Duration
		want   time.Duration
	}{
		// reference: sync-128
		// A server that is nearly of our opinion corrects nothing.
		"below the tolerance": {offset: 1900 * time.Millisecond},
		// reference: sync-130
		// A greater offset is taken, in both directions.
		"above the tolerance": {offset: 2100 * time.Millisecond, want: 2100 * time.Millisecond},
		"behind":              {offset: -time.Hour, want: -time.Hour},
		// reference: sync-131
		// What counts is the distance from the estimate, not from the clock.
		"an estimate that is off": {from: informed(2300*time.Millisecond, 0, 0), offset: 200 * time.Millisecond, want: 200 * time.Millisecond},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m := newMachine()
			from := test.from
			from.Reboots, from.Hops = 2, 1
			x := m.exchange(test.offset, 10*time.Millisecond)
			got, err := from.TimeServer([]skew.Exchange{x})
			if err != nil {
				t.Fatal(err)
			}
			if name == "an estimate that is off" {
				// 2.1 s away from the estimate: more than the tolerance.
				if d := from.Skew - test.want; d <= skew.ServerTolerance {
					t.Fatalf("the case tests nothing: %v", d)
				}
			}
			// reference: sync-129
			// Whatever the offset, a server that answered makes restarts and hops forgotten.
			want := skew.Estimate{Skew: test.want, Server: x.Replied, Last: x.Heard}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("estimate (-want +got):\n%s", diff)
			}
		})
	}
}

// Of several answers the quickest counts, and one that makes no sense does not keep the others from counting.
func TestTimeServerTakesTheQuickestAnswer(t *testing.T) {
	m := newMachine()
	slow, quick := m.exchange(10*time.Second, time.Second), m.exchange(20*time.Second, time.Millisecond)
	wrong := m.exchange(30*time.Second, 0)
	wrong.Replied = wrong.Received.Add(-time.Second)
	got, err := skew.Estimate{}.TimeServer([]skew.Exchange{slow, quick, wrong})
	if err != nil || got.Skew != 20*time.Second {
		t.Errorf("skew %v, %v; want that of the quickest answer that makes sense", got.Skew, err)
	}
}

// reference: sync-126
// Without an answer that makes sense there is an error.
// reference: sync-127
// And nothing at all has changed.
func TestTimeServerWithoutAnswer(t *testing.T) {
	m := newMachine()
	backwards := m.exchange(time.Hour, time.Second)
	backwards.Replied = backwards.Received.Add(-time.Minute)
	impossible := m.exchange(time.Hour, time.Second)
	impossible.Replied = impossible.Received.Add(time.Minute)
	from := informed(time.Minute, 2, 1)
	for name, answers := range map[string][]skew.Exchange{"none": nil, "nonsense": {backwards, impossible}} {
		got, err := from.TimeServer(answers)
		if err == nil || got != from {
			t.Errorf("%s: %+v, %v; want what it was, and an error", name, got, err)
		}
	}
}

func TestPeer(t *testing.T) {
	minutes := func(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }
	none := time.Time{}
	tests := map[string]struct {
		ours   time.Time
		theirs skew.Witness
		offset time.Duration
		want   skew.Estimate // when followed, apart from Last
		taken  bool
	}{
		// reference: sync-106
		// Two clocks without a server do not move each other.
		"neither has a server": {theirs: skew.Witness{}, offset: time.Hour},
		// reference: sync-107
		// A peer that has asked a server is followed by one that has not.
		"only the peer has one": {theirs: skew.Witness{Server: minutes(-9)}, offset: 5 * time.Hour, taken: true, want: skew.Estimate{Skew: 5 * time.Hour, Server: minutes(-9), Hops: 1}},
		// reference: sync-108
		// The other way round nothing happens.
		"only we have one": {ours: minutes(-9), theirs: skew.Witness{}, offset: time.Hour},
		// reference: sync-109
		// An older answer of a server does not replace a newer one.
		"the peer's is older": {ours: minutes(-5), theirs: skew.Witness{Server: minutes(-9)}, offset: time.Hour},
		// Nor does one that is exactly as old, or two devices would hand it to and fro.
		"the peer's is as old": {ours: minutes(-9), theirs: skew.Witness{Server: minutes(-9)}, offset: time.Hour},
		// reference: sync-110
		// A newer one is taken through one device more.
		"newer, one hop": {ours: minutes(-9), theirs: skew.Witness{Server: minutes(-5), Hops: 1}, offset: time.Hour, taken: true, want: skew.Estimate{Skew: time.Hour, Server: minutes(-5), Hops: 2}},
		// reference: sync-111
		// But not through three.
		"newer, two hops": {ours: minutes(-9), theirs: skew.Witness{Server: minutes(-5), Hops: 2}, offset: time.Hour},
		// reference: sync-112
		// A peer that restarted is still good for a small correction, and its restarts are remembered.
		"restarted, near": {theirs: skew.Witness{Server: minutes(-5), Reboots: 3}, offset: 5 * time.Second, taken: true, want: skew.Estimate{Skew: 5 * time.Second, Server: minutes(-5), Hops: 1, Reboots: 3}},
		// reference: sync-113
		// But not for a large one.
		"restarted, far": {theirs: skew.Witness{Server: minutes(-5), Reboots: 3}, offset: 5 * time.Hour},
		// reference: sync-114
		// A second is not worth it.
		"one second":                       {theirs: skew.Witness{Server: minutes(-5)}, offset: time.Second},
		"server in the future of the peer": {theirs: skew.Witness{Server: minutes(100)}, offset: time.Minute},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m := newMachine()
			from := skew.Estimate{Server: test.ours, Last: m.read()}
			got, err := from.Peer(m.exchange(test.offset, 20*time.Millisecond), test.theirs)
			if test.taken != (err == nil) {
				t.Fatalf("error %v, want it followed: %v", err, test.taken)
			}
			if err != nil && !errors.Is(err, skew.ErrNotBetter) {
				t.Errorf("error %v, want %v", err, skew.ErrNotBetter)
			}
			got.Last = skew.Reading{}
			want := test.want
			if !test.taken {
				want = skew.Estimate{Server: none}
				want.Server = test.ours
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("estimate (-want +got):\n%s", diff)
			}
		})
	}
}

// reference: sync-116
// A clock that is set while a question is under way spoils the answer; what an honest clock does in that time does not.
// reference: sync-220
// Such an answer is discarded, whoever gave it.
func TestClockSetDuringExchange(t *testing.T) {
	tests := map[string]struct {
		clock time.Duration // by how much more than uptime the clock moves meanwhile
		want  error
	}{
		"nothing":        {0, nil},
		"a little":       {500 * time.Millisecond, nil},
		"a little back":  {-15 * time.Millisecond, nil},
		"far ahead":      {3 * time.Second, skew.ErrJumped},
		"into the past":  {-3 * time.Second, skew.ErrJumped},
		"very far ahead": {1000 * time.Hour, skew.ErrJumped},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m := newMachine()
			x := m.exchange(time.Hour, 20*time.Millisecond)
			x.Heard.Clock = x.Heard.Clock.Add(test.clock)
			before := skew.Estimate{Last: m.read()}
			got, err := before.Peer(x, skew.Witness{Server: start})
			if !errors.Is(err, test.want) {
				t.Errorf("from a peer: error %v, want %v", err, test.want)
			}
			if test.want != nil && got != before {
				t.Errorf("from a peer: the estimate became %+v", got)
			}
			got, err = before.TimeServer([]skew.Exchange{x})
			if !errors.Is(err, test.want) {
				t.Errorf("from a server: error %v, want %v", err, test.want)
			}
			if test.want != nil && got != before {
				t.Errorf("from a server: the estimate became %+v", got)
			}
		})
	}
}

// reference: sync-115
// Readings of one machine that are taken one after the other never look like a clock that was set.
func TestRealReadingsAreNoJump(t *testing.T) {
	begun := time.Now()
	read := func() skew.Reading { now := time.Now(); return skew.Reading{Clock: now, Uptime: now.Sub(begun)} }
	for range 10 {
		x := skew.Exchange{Asked: read()}
		x.Received, x.Replied = time.Now(), time.Now()
		x.Heard = read()
		if _, err := (skew.Estimate{}).TimeServer([]skew.Exchange{x}); err != nil {
			t.Errorf("an exchange with oneself: %v", err)
		}
	}
}

// A chain of devices in which each asks the one before: the time of a server reaches MaxHops of them, the freshest
// answer wins, and no order of questions makes a device trust further.
func TestChainIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const n = 5
		var devices [n]skew.Estimate
		off := time.Duration(rapid.IntRange(3, 1000).Draw(t, "offset")) * time.Second
		m := newMachine()
		devices[0], _ = devices[0].TimeServer([]skew.Exchange{m.exchange(off, time.Millisecond)})
		for range rapid.IntRange(1, 30).Draw(t, "questions") {
			i := rapid.IntRange(1, n-1).Draw(t, "asks")
			from := devices[i-1]
			x := m.exchange(from.Skew, time.Millisecond)
			devices[i], _ = devices[i].Peer(x, skew.Witness{Server: from.Server, Hops: from.Hops, Reboots: from.Reboots})
		}
		for i, e := range devices {
			if e.Informed() && (int(e.Hops) != i || e.Skew != off) {
				t.Fatalf("device %d is %d hops away with a skew of %v, want %v", i, e.Hops, e.Skew, off)
			}
			if i > skew.MaxHops && e.Informed() {
				t.Fatalf("device %d was reached", i)
			}
		}
	})
}

// An estimate outlives its encoding, and one that no device can have is refused.
func TestJSON(t *testing.T) {
	want := informed(-3*time.Second, 2, 1).Tick(newMachine().read())
	raw, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got skew.Estimate
	if err := json.Unmarshal(raw, &got); err != nil || got != want || got.Validate() != nil {
		t.Errorf("%s became %+v, %v, %v", raw, got, err, got.Validate())
	}
	if err := (skew.Estimate{Skew: 2 * skew.MaxSkew}).Validate(); err == nil {
		t.Error("a skew of 80 years is taken for possible")
	}
}
