package history_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/merge"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// stamped is a record with the time of its commit.
type stamped struct {
	wire.Record
	time hlc.Time
}

// device is one holder of the row, as a writer does its work: it writes on top of all heads, later than each of them.
type device struct {
	history.State
	self id.Writer
	gen  uint64
}

func writerOf(name byte) id.Writer { return id.Writer{Device: id.Device{name}, Epoch: 1} }

func (d *device) next() id.Version {
	d.gen++
	return id.Version{Writer: d.self, Gen: d.gen}
}

func (d *device) write(kind wire.Kind, wall hlc.Time) stamped {
	r := stamped{time: max(wall, d.Time()+1)}
	r.Version, r.Kind, r.Key = d.next(), kind, "row"
	next := d.Next(d.self)
	r.Parents, r.Seen, r.Beside = next.Parents, next.Seen, next.Beside
	if kind == wire.Put {
		r.Value = []byte(brief(r.Version))
	}
	d.Apply(&r.Record, r.time)
	return r
}

func (d *device) join() stamped {
	t := d.Time() + 1
	return stamped{Record: d.Join(merge.LastWins(d.Heads), "row", d.next()), time: t}
}

// brief names a version by its writer's letter and its generation.
func brief(v id.Version) string { return string(v.Writer.Device[0]) + strconv.FormatUint(v.Gen, 10) }

func briefs(list []id.Version) string {
	var names []string
	for _, v := range list {
		names = append(names, brief(v))
	}
	return strings.Join(names, " ")
}

func briefVector(x id.Vector) string {
	var parts []string
	for _, w := range x.Writers() {
		parts = append(parts, fmt.Sprintf("%c:%d", w.Device[0], x[w]))
	}
	return "{" + strings.Join(parts, " ") + "}"
}

func (r *stamped) String() string {
	var b strings.Builder
	switch r.Kind {
	case wire.Link:
		fmt.Fprintf(&b, "%s link %s", brief(r.Version), briefs(r.Parents))
	default:
		kind := "put"
		if r.Kind == wire.Delete {
			kind = "delete"
		}
		fmt.Fprintf(&b, "%s %s at %d", brief(r.Version), kind, r.time)
		if len(r.Parents) > 0 {
			b.WriteString(" on " + briefs(r.Parents))
		}
	}
	if len(r.Seen) > 0 {
		b.WriteString(" seen " + briefVector(r.Seen))
	}
	return b.String() + "\n"
}

func describe(s *history.State) string {
	var b strings.Builder
	for i := range s.Heads {
		h := &s.Heads[i]
		fmt.Fprintf(&b, "%s at %d", brief(h.Version), h.Time)
		if h.Deleted {
			b.WriteString(" deleted")
		}
		if len(h.Seen) > 0 {
			b.WriteString(" seen " + briefVector(h.Seen))
		}
		if len(h.Tips) > 0 {
			b.WriteString(" tips " + briefs(h.Tips))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

var outcomes = map[history.Outcome]string{
	history.Known: "known", history.Advanced: "advanced", history.Conflicted: "conflicted", history.Linked: "linked",
}

// world is what a transcript talks about. Its verbs:
//
//	write DEVICE WALL, delete DEVICE WALL   the device writes when its clock shows WALL
//	join DEVICE                             the device settles its conflict by the last writer
//	receive DEVICE RECORD...                the device takes the records, in this order
//	row DEVICE                              show the heads
//	reset                                   start afresh
type world struct {
	devices map[string]*device
	records map[string]stamped
}

func (w *world) device(name string) *device {
	if w.devices[name] == nil {
		w.devices[name] = &device{self: writerOf(name[0])}
	}
	return w.devices[name]
}

func (w *world) made(r stamped) string {
	w.records[brief(r.Version)] = r
	return r.String()
}

func (w *world) run(t *testing.T, d *datadriven.TestData) string {
	if d.Cmd == "reset" {
		*w = world{devices: map[string]*device{}, records: map[string]stamped{}}
		return ""
	}
	dev, rest := w.device(d.CmdArgs[0].Key), d.CmdArgs[1:]
	switch d.Cmd {
	case "write", "delete":
		wall, err := strconv.ParseUint(rest[0].Key, 10, 64)
		if err != nil {
			d.Fatalf(t, "time: %v", err)
		}
		kind := wire.Put
		if d.Cmd == "delete" {
			kind = wire.Delete
		}
		return w.made(dev.write(kind, hlc.Time(wall)))
	case "join":
		return w.made(dev.join())
	case "receive":
		var b strings.Builder
		for _, arg := range rest {
			r, found := w.records[arg.Key]
			if !found {
				d.Fatalf(t, "nobody made %s", arg.Key)
			}
			fmt.Fprintf(&b, "%s %s\n", arg.Key, outcomes[dev.Apply(&r.Record, r.time)])
		}
		return b.String()
	case "row":
		return describe(&dev.State)
	}
	d.Fatalf(t, "unknown command %q", d.Cmd)
	return ""
}

// reference: sync-012 a device's own writes form a chain: each follows from the one before, and a write without ancestry is legal at any time.
// reference: sync-013 a chain that arrives at a device that never heard of the row becomes its row, without a conflict.
// reference: sync-014 a chain that goes on from the local head replaces it without a conflict.
// reference: sync-015 two devices go on from the same version: a conflict. The version made from both ends it.
// reference: sync-016 a remote version made from two versions of which the local head followed only one still conflicts with that head.
// reference: sync-017 two devices create the row each for itself: a conflict without a common ancestor.
// reference: sync-021 a link by which the local head wins over a remote version confirms the local head.
// reference: sync-022 a link that covers an ancestor of the local head, and not the head itself, leaves the conflict as it is.
// reference: sync-023 a link by which the remote version wins over the local head moves the head without a conflict to settle.
// reference: sync-024 a write on top of the linked head moves the head on; the same link made by another device changes no head.
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata/transcripts", func(t *testing.T, path string) {
		w := world{devices: map[string]*device{}, records: map[string]stamped{}}
		datadriven.RunTest(t, path, w.run)
	})
}
