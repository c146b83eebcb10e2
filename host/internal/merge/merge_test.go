package merge_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/history"
	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/merge"
)

func head(device byte, gen uint64, at hlc.Time) history.Head {
	return history.Head{Version: id.Version{Writer: id.Writer{Device: id.Device{device}}, Gen: gen}, Time: at}
}

// reference: sync-061
// The later write wins on whichever side it stands, and between equal times the greater version.
func TestLastWins(t *testing.T) {
	deleted := head('a', 1, 9)
	deleted.Deleted = true
	tests := map[string]struct {
		heads []history.Head
		want  int
	}{
		"one head":                       {[]history.Head{head('a', 1, 5)}, 0},
		"first is later":                 {[]history.Head{head('a', 1, 6), head('b', 1, 5)}, 0},
		"second is later":                {[]history.Head{head('a', 1, 5), head('b', 1, 6)}, 1},
		"equal times, greater device":    {[]history.Head{head('b', 1, 5), head('a', 9, 5)}, 0},
		"equal times, greater version":   {[]history.Head{head('a', 1, 5), head('a', 2, 5)}, 1},
		"time counts before version":     {[]history.Head{head('z', 9, 5), head('a', 1, 6)}, 1},
		"the last of three":              {[]history.Head{head('a', 1, 5), head('b', 1, 7), head('c', 1, 6)}, 1},
		"a delete is like another write": {[]history.Head{deleted, head('b', 1, 8)}, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := merge.LastWins(test.heads); got != test.want {
				t.Errorf("head %d wins, want %d", got, test.want)
			}
		})
	}
}

// The winner does not depend on the order of the heads, nor on what else was compared first.
func TestLastWinsIsTotal(t *testing.T) {
	heads := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) history.Head {
		return head(rapid.ByteRange('a', 'c').Draw(t, "device"), rapid.Uint64Range(1, 3).Draw(t, "gen"),
			hlc.Time(rapid.Uint64Range(0, 2).Draw(t, "time")))
	}), 1, 6, func(h history.Head) id.Version { return h.Version })
	rapid.Check(t, func(t *rapid.T) {
		list := heads.Draw(t, "heads")
		want := list[merge.LastWins(list)].Version
		shuffled := rapid.Permutation(list).Draw(t, "shuffled")
		if got := shuffled[merge.LastWins(shuffled)].Version; got != want {
			t.Fatalf("%s wins, and in another order %s", want, got)
		}
		part := slices.DeleteFunc(slices.Clone(list), func(h history.Head) bool {
			return h.Version != want && rapid.Bool().Draw(t, "left out")
		})
		if got := part[merge.LastWins(part)].Version; got != want {
			t.Fatalf("%s wins over all, but %s over some", want, got)
		}
	})
}
