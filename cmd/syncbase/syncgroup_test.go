package main

import (
	"testing"

	"github.com/syncbase/syncbase/sdk/client"
)

func TestMissing(t *testing.T) {
	const me, phone, laptop = "h/owner/device/me", "h/owner/device/phone", "h/owner/device/laptop"
	for _, c := range []struct {
		what, want string
		peers      []client.Peer
	}{
		{"nobody", "no other member is reachable", nil},
		{"a stranger", "no other member is reachable", []client.Peer{{Name: "other", Principal: "x/owner/device/other", Connected: true, LagRecords: 9}}},
		{"this daemon", "no other member is reachable", []client.Peer{{Name: "me", Principal: me, Connected: true}}},
		{"refused", "no other member is reachable; 10.0.0.1:1 is not connected: the peer does not trust us", []client.Peer{
			{Address: "10.0.0.1:1", Error: "the peer does\nnot trust us"},
		}},
		{"behind", "still 1 record behind phone; laptop is not connected: refused", []client.Peer{
			{Name: "phone", Principal: phone, Connected: true, LagRecords: 1}, {Name: "laptop", Principal: laptop, Error: "refused"},
		}},
		{"behind two", "still 2 records behind phone; still 3 records behind laptop", []client.Peer{
			{Name: "phone", Principal: phone, Connected: true, LagRecords: 2}, {Name: "laptop", Principal: laptop, Connected: true, LagRecords: 3},
		}},
		{"nothing known to be missing", "1 peer connected, but not yet compared to the end", []client.Peer{{Name: "phone", Principal: phone, Connected: true}}},
	} {
		got := missing(&client.Status{Principal: me, Peers: c.peers}, map[string]bool{me: true, phone: true, laptop: true})
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}
