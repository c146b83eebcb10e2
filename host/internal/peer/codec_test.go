package peer

import (
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	peerv1 "github.com/syncbase/syncbase/sdk/api/peer/v1"
)

// FuzzDecodeOpen feeds what a caller may send first: it is refused, or it survives a round trip unchanged.
func FuzzDecodeOpen(f *testing.F) {
	seed, err := proto.Marshal(encodeOpen(delta.Open{
		Database:   db,
		Syncgroups: []id.Name{sg},
		Known:      []delta.ScopeVector{{Scope: scope, Vector: id.Vector{writer(1): 7}}, {Scope: meta, Vector: id.Vector{}}},
		Window:     minWindow,
		Self:       writer(1),
	}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		m := &peerv1.PullOpen{}
		if proto.Unmarshal(data, m) != nil {
			return
		}
		first, err := decodeOpen(m)
		if err != nil {
			return
		}
		second, err := decodeOpen(encodeOpen(first))
		if err != nil {
			t.Fatalf("what was decoded is refused: %v", err)
		}
		if diff := cmp.Diff(first, second); diff != "" {
			t.Errorf("round trip (-first +second):\n%s", diff)
		}
	})
}

// FuzzDecodePull feeds what a responder may send: whatever it is, only checked messages come out.
func FuzzDecodePull(f *testing.F) {
	d := device(1)
	for _, m := range []*peerv1.PullResponse{accepted(scope, meta), commits([]byte{1}, []byte{2}), progress(scope, entry(d[:], 3))} {
		seed, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m := &peerv1.PullResponse{}
		if proto.Unmarshal(data, m) != nil {
			return
		}
		asked := map[id.Scope]bool{scope: true, meta: true}
		for _, p := range []*PullStream{
			{asked: asked, room: minWindow, window: minWindow},
			{asked: asked, accepted: map[id.Scope]bool{scope: true}, room: minWindow, window: minWindow},
		} {
			first := p.accepted == nil
			out, err := p.decode(m)
			if err != nil {
				continue
			}
			for _, s := range out.Accepted {
				if !asked[s] {
					t.Errorf("accepted %s", s)
				}
			}
			for _, v := range out.Progress {
				if v.Scope != scope {
					t.Errorf("progress of %s", v.Scope)
				}
			}
			if first != (out.Accepted != nil) || first == (out.Commits != nil || out.Progress != nil) {
				t.Errorf("message %+v, first %v", out, first)
			}
		}
	})
}

func TestSeenFrom(t *testing.T) {
	for _, tc := range []struct {
		remote string
		told   string
		want   []string
	}{
		{"10.0.0.7:1234", "0.0.0.0:4001", []string{"10.0.0.7:4001"}},
		{"10.0.0.7:1234", ":4001", []string{"10.0.0.7:4001"}},
		{"[fe80::1%eth0]:1234", "[::]:4001", []string{"[fe80::1%eth0]:4001"}},
		{"10.0.0.7:1234", "192.168.0.1:4001", []string{"192.168.0.1:4001"}},
		{"10.0.0.7:1234", "home.example.org:4001", []string{"home.example.org:4001"}},
		{"10.0.0.7:1234", "127.0.0.1:4001", nil},
		{"127.0.0.1:1234", "127.0.0.1:4001", []string{"127.0.0.1:4001"}},
		{"127.0.0.1:1234", "0.0.0.0:4001", []string{"127.0.0.1:4001"}},
	} {
		remote, err := net.ResolveTCPAddr("tcp", tc.remote)
		if err != nil {
			t.Fatal(err)
		}
		if got := seenFrom(remote, []string{tc.told}); !cmp.Equal(got, tc.want) {
			t.Errorf("%s told by %s is %v, want %v", tc.told, tc.remote, got, tc.want)
		}
	}
}

func TestClaims(t *testing.T) {
	c := claims{}
	for _, tc := range []struct {
		device    byte
		principal id.Principal
		ok        bool
	}{
		{1, "p", true},
		{1, "p", true},
		{1, "q", false},
		{2, "p", true}, // p was set up anew
		{1, "q", false},
		{3, "q", true},
	} {
		if err := c.claim(device(tc.device), tc.principal); (err == nil) != tc.ok {
			t.Errorf("device %d claimed by %s: %v", tc.device, tc.principal, err)
		}
	}
}
