package main

import (
	"testing"
	"time"

	"github.com/syncbase/syncbase/sdk/client"
)

func TestMissing(t *testing.T) {
	const me, phone, laptop = "h/owner/device/me", "h/owner/device/phone", "h/owner/device/laptop"
	begun := time.Now()
	before := begun.Add(-time.Minute)
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
		{"nothing known to be missing", "phone connected, but has not answered yet, or has nothing of it for this device (was the database deleted there?)", []client.Peer{{Name: "phone", Principal: phone, Connected: true}}},
		{"silent", "phone is connected, but has not said anything since " + ago(before) + "; still 1 record behind laptop", []client.Peer{
			{Name: "phone", Principal: phone, Connected: true, LastContact: before},
			{Name: "laptop", Principal: laptop, Connected: true, LastContact: begun.Add(time.Second), LagRecords: 1},
		}},
		{"serves nothing", "phone: it serves nothing", []client.Peer{{Name: "phone", Principal: phone, Connected: true, Error: "it serves nothing"}}},
	} {
		got := missing(&client.Status{Principal: me, Peers: c.peers}, map[string]bool{me: true, phone: true, laptop: true}, begun)
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}

// Who was let in and has not heard of the members yet knows by what is lacking who they are.
func TestMissingWhilePending(t *testing.T) {
	const me, phone = "h/owner/device/me", "h/owner/device/phone"
	stranger := client.Peer{Name: "other", Principal: "x/owner/device/other", Connected: true}
	for want, peers := range map[string][]client.Peer{
		"this device has not heard yet who the other members are": {stranger, {Name: "phone", Principal: phone, Connected: true}},
		"still 9 records behind phone":                            {stranger, {Name: "phone", Principal: phone, Connected: true, LagRecords: 9}},
	} {
		if got := missing(&client.Status{Principal: me, Peers: peers}, map[string]bool{}, time.Now()); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// What a wait says of comparisons is the oldest of those with members that are connected, and nothing if one was never made.
func TestVerifiedIsTheOldest(t *testing.T) {
	const me, phone, laptop, away = "h/owner/device/me", "h/owner/device/phone", "h/owner/device/laptop", "h/owner/device/away"
	now := time.Now()
	s := &client.Status{Principal: me, Peers: []client.Peer{
		{Principal: phone, Connected: true, Verified: now},
		{Principal: laptop, Connected: true, Verified: now.Add(-time.Minute)},
		{Principal: away, Verified: now.Add(-time.Hour)},
		{Principal: "h/owner/device/stranger", Connected: true},
	}}
	members := map[string]bool{me: true, phone: true, laptop: true, away: true}
	if got, compared := verified(s, members); !compared || !got.Equal(now.Add(-time.Minute)) {
		t.Errorf("verified %s, %t; want a minute ago", got, compared)
	}
	s.Peers[2].Connected, s.Peers[2].Verified = true, time.Time{}
	if got, compared := verified(s, members); compared {
		t.Errorf("verified %s, although there is one that was not compared", got)
	}
}
