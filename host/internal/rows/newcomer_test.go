package rows

import (
	"testing"
	"time"

	"github.com/syncbase/syncbase/host/internal/delta"
)

// newcomer returns a device that has heard of nothing and shares the collection from now on.
func newcomer(t *testing.T, num byte) *device {
	t.Helper()
	d := newDevice(t, num)
	if err := d.db.Track(whole); err != nil {
		t.Fatal(err)
	}
	return d
}

// Who begins with nothing where a delete is forgotten writes later than that delete, also after a crash and however far its clock is
// behind: what it writes under that key wins where the delete is remembered.
func TestNewcomerIsLaterThanForgottenDeletes(t *testing.T) {
	a, b, fresh := newDevice(t, 1).create(), newDevice(t, 2).create(), newcomer(t, 3)
	fresh.now = a.now.Add(-time.Hour)
	a.put("k", `1`)
	a.del("k")
	b.fetch(a)
	a.forget()
	fresh.fetch(a)
	fresh.crash()
	fresh.put("k", `2`)
	b.fetch(fresh)
	a.fetch(b)
	fresh.fetch(a)
	for _, d := range []*device{a, b, fresh} {
		d.want2("k=2", "last=0")
		d.sound()
	}
}

// Who was away and comes back to one that began after the delete was forgotten hears of the delete all the same.
func TestNewcomerPassesOnThatDeletesAreForgotten(t *testing.T) {
	a, away, fresh := newDevice(t, 1).create(), newDevice(t, 2).create(), newcomer(t, 3)
	a.put("k", `1`)
	away.fetch(a)
	a.del("k")
	a.forget()
	fresh.fetch(a)
	away.fetch(fresh)
	away.want2("last=0")
	away.sound()
}

// A bare inventory takes nothing away. What this device wrote itself in the meantime is written anew if it is older than the deletes;
// what others wrote is not.
func TestBareInventoryRenewsWhatIsWrittenHere(t *testing.T) {
	a, b := newDevice(t, 1).create(), newDevice(t, 2).create()
	b.now = a.now.Add(-time.Hour)
	b.put("mine", `1`)
	a.put("theirs", `1`)
	a.put("k", `1`)
	b.pull(a)
	a.del("k")
	a.forget()
	r := b.db.BeginRebase()
	err := a.db.BareInventory(whole[0], nil, func(inv *delta.Inventory) error {
		got, err := r.Take(inv)
		if got != (Rebased{}) {
			t.Errorf("%+v at once, want nothing", got)
		}
		return err
	})
	got, endErr := r.End()
	if err != nil || endErr != nil || got != (Rebased{Renewed: 1}) {
		t.Errorf("%+v, %v, %v; want one row written anew", got, err, endErr)
	}
	b.want2("k=1", "mine=1", "theirs=1")
	b.sound()
}
