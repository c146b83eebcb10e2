package sched

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/syncbase/syncbase/host/internal/id"
)

// TestTranscripts replays testdata: each command is an event followed by Next, and its output is what to do. Peers are single
// letters; time begins at 0 s.
//
//	new [parallel=N] [window=N]        start anew; self is the peer Z
//	want ref=R [priority=N] [hints=(P,...)] [sizes=(N,...)]   sizes: the recipe is here already
//	located ref=R [peer=P] sizes=(N,...)
//	got ref=R peer=P piece=N
//	failed ref=R peer=P [piece=N] cause=C
//	up peer=P | down peer=P | hint ref=R peer=P | cancel ref=R | demand ref=R pieces=(N,...)
//	finished ref=R | stuck ref=R [lost=(N,...)]
//	wait [for=DURATION]                pass to the deadline, or for so long
func TestTranscripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var tr transcript
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			return tr.run(t, d)
		})
	})
}

type transcript struct {
	s   *Scheduler
	now time.Time
}

func (tr *transcript) run(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "new":
		tr.now = time.Unix(0, 0)
		opts := Options{Self: device("Z")}
		d.MaybeScanArgs(t, "parallel", &opts.Parallel)
		var window int
		d.MaybeScanArgs(t, "window", &window)
		opts.Window = int64(window)
		tr.s = New(opts)
		return ""
	case "wait":
		deadline, found := tr.s.Deadline()
		if !found && len(d.CmdArgs) == 0 {
			d.Fatalf(t, "there is no deadline to wait for")
		}
		if d.HasArg("for") {
			var text string
			d.ScanArgs(t, "for", &text)
			pause, err := time.ParseDuration(text)
			if err != nil {
				d.Fatalf(t, "%v", err)
			}
			deadline = tr.now.Add(pause)
		}
		tr.now = deadline
	default:
		tr.s.Handle(tr.now, parseEvent(t, d))
		if d.Cmd == "want" && d.HasArg("sizes") {
			d.Cmd = "located"
			tr.s.Handle(tr.now, parseEvent(t, d))
		}
	}
	return tr.next()
}

func (tr *transcript) next() string {
	var b strings.Builder
	for _, a := range tr.s.Next(tr.now) {
		fmt.Fprintln(&b, actionText(a))
	}
	if again := tr.s.Next(tr.now); len(again) > 0 {
		fmt.Fprintf(&b, "NOT SETTLED: %v\n", again)
	}
	if deadline, found := tr.s.Deadline(); found {
		fmt.Fprintf(&b, "deadline in %v\n", deadline.Sub(tr.now))
	}
	return b.String()
}

func device(letter string) (d id.Device) {
	copy(d[:], letter)
	return d
}

func letter(d id.Device) string { return strings.TrimRight(string(d[:]), "\x00") }

func actionText(a Action) string {
	switch a := a.(type) {
	case GetRecipe:
		return fmt.Sprintf("recipe of %s from %s", a.Ref, letter(a.Peer))
	case GetPiece:
		return fmt.Sprintf("piece %d of %s from %s", a.Piece, a.Ref, letter(a.Peer))
	case Finish:
		return "finish " + a.Ref
	}
	return fmt.Sprintf("%T", a)
}

func parseEvent(t *testing.T, d *datadriven.TestData) Event {
	text := func(name string) (value string) {
		for _, arg := range d.CmdArgs {
			if arg.Key == name {
				return strings.Join(arg.Vals, ",")
			}
		}
		return ""
	}
	number := func(word string) int {
		n, err := strconv.Atoi(word)
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		return n
	}
	numbers := func(name string) (all []int) {
		for _, word := range strings.FieldsFunc(text(name), func(r rune) bool { return r == ',' || r == '(' || r == ')' }) {
			all = append(all, number(word))
		}
		return all
	}
	ref, peer := text("ref"), device(text("peer"))
	switch d.Cmd {
	case "want":
		e := Want{Ref: ref}
		if d.HasArg("priority") {
			e.Priority = number(text("priority"))
		}
		for _, word := range strings.FieldsFunc(text("hints"), func(r rune) bool { return r == ',' }) {
			e.Hints = append(e.Hints, device(word))
		}
		return e
	case "located":
		e := Located{Ref: ref, Peer: peer}
		for _, n := range numbers("sizes") {
			e.Sizes = append(e.Sizes, int64(n))
		}
		return e
	case "got":
		return Got{Ref: ref, Peer: peer, Piece: number(text("piece"))}
	case "failed":
		e := Failed{Ref: ref, Peer: peer, Piece: NoPiece}
		if d.HasArg("piece") {
			e.Piece = number(text("piece"))
		}
		causes := []Cause{Unreachable, NotHeld, Bad, Local, Withdrawn}
		e.Cause = causes[slices.IndexFunc(causes, func(c Cause) bool { return c.String() == text("cause") })]
		return e
	case "up":
		return PeerUp{peer}
	case "down":
		return PeerDown{peer}
	case "hint":
		return Hint{Ref: ref, Peer: peer}
	case "cancel":
		return Cancel{ref}
	case "demand":
		return Demand{Ref: ref, Pieces: numbers("pieces")}
	case "finished":
		return Finished{ref}
	case "stuck":
		return Stuck{Ref: ref, Lost: numbers("lost")}
	}
	d.Fatalf(t, "unknown command %q", d.Cmd)
	return nil
}
