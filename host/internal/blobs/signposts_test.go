package blobs_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/blobs"
	"github.com/syncbase/syncbase/host/internal/id"
)

func TestSignpostKeepsTheBest(t *testing.T) {
	f := newFixture(t)
	ref := refOf("a")
	when := func(n int) time.Time { return time.UnixMilli(int64(1000 * n)) }
	for n := range 12 {
		l := blobs.Location{Device: id.Device{byte(n)}, Seen: when(n), Server: n == 0}
		if err := f.MarkLocationNow(ref, l); err != nil {
			t.Fatal(err)
		}
	}
	// An older sighting changes nothing; a later one moves a device up.
	for _, l := range []blobs.Location{{Device: id.Device{11}, Seen: when(1)}, {Device: id.Device{6}, Seen: when(20)}} {
		if err := f.MarkLocationNow(ref, l); err != nil {
			t.Fatal(err)
		}
	}
	want := []blobs.Location{{Device: id.Device{0}, Seen: when(0), Server: true}, {Device: id.Device{6}, Seen: when(20)}}
	for _, n := range []int{11, 10, 9, 8, 7, 5} {
		want = append(want, blobs.Location{Device: id.Device{byte(n)}, Seen: when(n)})
	}
	got, err := f.Locations(ref)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestSignpostDoesNotDependOnTheOrder(t *testing.T) {
	f := newFixture(t)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		ref := refOf(fmt.Sprint(run))
		seen := rapid.Permutation([]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}).Draw(rt, "order")
		for _, n := range seen {
			l := blobs.Location{Device: id.Device{byte(n)}, Seen: time.UnixMilli(int64(n % 3)), Server: n%5 == 0}
			if err := f.MarkLocationNow(ref, l); err != nil {
				rt.Fatal(err)
			}
		}
		got, err := f.Locations(ref)
		if err != nil {
			rt.Fatal(err)
		}
		var devices []byte
		for _, l := range got {
			devices = append(devices, l.Device[0])
		}
		if diff := cmp.Diff([]byte{5, 10, 0, 2, 8, 11, 1, 4}, devices); diff != "" {
			rt.Fatalf("-want +got:\n%s", diff)
		}
	})
}
