package hosttest_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/syncbase/syncbase/host/hosttest"
	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// liar makes one host lie to all others. It makes up no values: in whose name a record was written nobody can check yet.
type liar struct {
	// mu guards the fields below it.
	mu     sync.Mutex
	random *rand.Rand
	// host is who lies now; empty for nobody.
	host string
	told map[string]int
	// past are commits and progress that were sent before.
	commits  [][]byte
	progress []delta.ScopeVector
}

func newLiar(seed uint64) *liar {
	return &liar{random: rand.New(rand.NewPCG(seed, 11)), told: map[string]int{}}
}

// is reports whether the host lies.
func (l *liar) is(host string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.host == host
}

func (l *liar) become(host string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.host = host
}

func (l *liar) answer(ctx context.Context, m delta.Message, send func(delta.Message) error) error {
	list, silent := l.lies(m)
	if silent {
		<-ctx.Done()
		return ctx.Err()
	}
	for _, m := range list {
		if err := send(m); err != nil {
			return err
		}
	}
	return nil
}

// lies returns what is said in place of the message.
func (l *liar) lies(m delta.Message) (list []delta.Message, silent bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kind := ""
	switch n := l.random.IntN(40); {
	case n == 0:
		kind = "silence"
	case n < 20:
	case m.Accepted != nil && n < 26:
		kind, m.Accepted = "scope", append(slices.Clone(m.Accepted), elsewhere())
	case m.Commits != nil:
		kind, list = l.commitLie(n, m.Commits)
	case m.Progress != nil && n < 30:
		kind, m.Progress = "progress", l.invent(m.Progress)
	case m.Progress != nil && n < 35 && l.progress != nil:
		kind, m.Progress = "old progress", l.progress
	}
	l.told[kind]++
	if len(m.Commits) > 0 {
		l.commits = append(l.commits, m.Commits...)
	}
	if len(m.Progress) > 0 && l.progress == nil {
		l.progress = m.Progress
	}
	if list == nil {
		list = []delta.Message{m}
	}
	return list, kind == "silence"
}

func (l *liar) commitLie(n int, commits [][]byte) (kind string, list []delta.Message) {
	say := func(c ...[]byte) delta.Message { return delta.Message{Commits: c} }
	switch n % 7 {
	case 0:
		kind, commits = "order", slices.Clone(commits)
		slices.Reverse(commits)
		return kind, []delta.Message{say(commits...)}
	case 1:
		if len(commits) > 1 {
			return "withheld", []delta.Message{say(commits[1:]...)}
		}
		return "withheld", []delta.Message{}
	case 2:
		return "twice", []delta.Message{say(commits...), say(commits...)}
	case 3:
		old := l.commits[:min(50, len(l.commits))]
		return "replay", []delta.Message{say(slices.Concat(old, commits)...)}
	case 4:
		return "garbage", []delta.Message{say(append(slices.Clone(commits), []byte{0xff, 1, 2})...)}
	case 5:
		last := commits[len(commits)-1]
		return "cut short", []delta.Message{say(append(slices.Clone(commits[:len(commits)-1]), last[:len(last)-1])...)}
	}
	return "record elsewhere", []delta.Message{say(append(slices.Clone(commits), strange())...)}
}

// invent adds generations that nobody has made.
func (l *liar) invent(list []delta.ScopeVector) []delta.ScopeVector {
	var out []delta.ScopeVector
	for _, sv := range list {
		v := sv.Vector.Clone()
		for _, w := range v.Writers() {
			if l.random.IntN(3) == 0 {
				v[w] += uint64(1 + l.random.IntN(50))
			}
		}
		out = append(out, delta.ScopeVector{Scope: sv.Scope, Vector: v})
	}
	return out
}

// elsewhere is a scope that nobody asked for.
func elsewhere() id.Scope {
	return id.Scope{Collection: id.Collection{Name: id.Name{Owner: "example.org/else", Local: "where"}}}
}

// strange is a commit of a record in it.
func strange() []byte {
	c := wire.Commit{Writer: id.Writer{Device: id.Device{7: 9}, Epoch: 1}, First: 1, Count: 1, Time: 1, Records: []wire.Entry{{
		Collection: elsewhere().Collection,
		Record:     wire.Record{Version: id.Version{Writer: id.Writer{Device: id.Device{7: 9}, Epoch: 1}, Gen: 1}, Key: "k", Value: []byte("1")},
	}}}
	return c.Append(nil)
}

var _ hosttest.Answer = (*liar)(nil).answer
