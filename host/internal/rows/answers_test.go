package rows

import (
	"errors"
	"testing"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
)

// pulled returns the plan of a pull by another device that is being answered, and what ends it.
func (d *device) pulled(by *device) (plan *delta.Plan, end func()) {
	plan = delta.NewPlan(by.db.Writer(), delta.Request(by.db.Published().Know, whole))
	return plan, d.db.Answer(plan)
}

// A tombstone that everybody is said to know of stays as long as a pull is open on which it was not sent: the one who pulls is not
// the one who said so.
func TestTombstoneWaitsForOpenPulls(t *testing.T) {
	for _, how := range []string{"sent", "got from elsewhere", "pull ends"} {
		t.Run(how, func(t *testing.T) {
			d, level, behind := newDevice(t, 1).create(), newDevice(t, 2).create(), newDevice(t, 3).create()
			d.put("a", `1`)
			level.pull(d)
			behind.pull(d)
			plan, end := d.pulled(behind)
			defer end()
			d.del("a")
			d.put("last", `1`)
			level.pull(d)
			_, endOther := d.pulled(level)
			defer endOther()
			for range 2 { // the second time from the queue
				if got := d.reclaim(d.everything()); got.Tombstones != 0 {
					t.Fatalf("reclaimed %+v amid the pull of a device that has not been sent the delete", got)
				}
			}
			emitted := 0
			switch how {
			case "sent":
				if _, err := d.db.Send(t.Context(), plan, func(Outgoing) error { emitted++; return nil }); err != nil || emitted == 0 {
					t.Fatalf("sent %d commits: %v", emitted, err)
				}
			case "got from elsewhere":
				plan.Update(d.db.Published().Know)
				d.db.Learned(plan, delta.Request(level.db.Published().Know, whole))
			case "pull ends":
				end()
			}
			if got := d.reclaim(d.everything()); got.Tombstones != 1 {
				t.Errorf("reclaimed %+v, want the tombstone", got)
			}
		})
	}
}

// A pull of one collection holds back nothing of another.
func TestPullsHoldBackTheirCollectionsAlone(t *testing.T) {
	d, other := newDevice(t, 1).create(), newDevice(t, 2)
	d.put("a", `1`)
	d.del("a")
	d.put("last", `1`)
	tasks := id.Scope{Collection: id.Collection{Name: id.Name{Owner: owner, Local: "tasks"}}}
	defer d.db.Answer(delta.NewPlan(other.db.Writer(), []delta.ScopeVector{{Scope: tasks}}))()
	if got := d.reclaim(d.everything()); got.Tombstones != 1 {
		t.Errorf("reclaimed %+v, want the tombstone", got)
	}
}

// Who learns amid a pull, by an inventory, of a delete that others have forgotten has no tombstone to send of it. The pull ends before
// it says that it has sent all, and the next one begins with an inventory.
func TestPullIsOutrunByForgottenDeletes(t *testing.T) {
	for _, when := range []string{"between", "amid"} {
		t.Run(when, func(t *testing.T) {
			a, d, behind := newDevice(t, 1).create(), newDevice(t, 2).create(), newDevice(t, 3).create()
			a.put("k", `1`)
			d.fetch(a)
			behind.fetch(a)
			a.del("k")
			a.forget()
			d.put("first", `1`)
			d.put("second", `1`)
			plan, end := d.pulled(behind)
			defer end()
			emitted := 0
			if when == "between" {
				d.fetch(a)
			}
			progress, err := d.db.Send(t.Context(), plan, func(Outgoing) error {
				if emitted++; emitted == 1 && when == "amid" {
					d.fetch(a)
				}
				return nil
			})
			if !errors.Is(err, ErrOutrun) || progress != nil {
				t.Errorf("%d commits were sent, and then %v, %v; want ErrOutrun", emitted, progress, err)
			}
			end()
			behind.fetch(d)
			behind.want2(d.rows()...)
		})
	}
}

// Who knows the delete already is sent the rest on the same pull.
func TestPullGoesOnWithForgottenDeletesThatAreKnown(t *testing.T) {
	a, d, level := newDevice(t, 1).create(), newDevice(t, 2).create(), newDevice(t, 3).create()
	a.put("k", `1`)
	d.fetch(a)
	a.del("k")
	a.put("last", `0`)
	level.fetch(a)
	a.reclaim(a.everything())
	plan, end := d.pulled(level)
	defer end()
	d.fetch(a)
	d.put("more", `1`)
	if _, err := d.db.Send(t.Context(), plan, func(Outgoing) error { return nil }); err != nil {
		t.Error(err)
	}
}
