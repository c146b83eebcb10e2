package api

import (
	"errors"
	"strings"
	"testing"

	"github.com/syncbase/syncbase/host/internal/id"
)

func TestMarkerRoundTrip(t *testing.T) {
	for _, m := range []marker{
		{},
		{kind: markerInitial, db: 7},
		{writer: id.Writer{Device: id.Device{1, 2, 3}, Epoch: 9}, db: 1<<32 - 1, seq: 1<<64 - 1},
	} {
		got, err := parseMarker(m.String())
		if err != nil || got != m {
			t.Errorf("%+v read back as %+v, %v", m, got, err)
		}
	}
}

func TestMarkerRefuses(t *testing.T) {
	good := marker{db: 1, seq: 5}.String()
	for what, text := range map[string]string{
		"empty": "", "short": good[1:], "long": good + "A", "other alphabet": strings.Repeat("+", len(good)),
		"version": "B" + good[1:], "kind": marker{kind: 2}.String(), "initial with a place": marker{kind: markerInitial, seq: 1}.String(),
		"stray bits": good[:len(good)-1] + "B",
	} {
		if m, err := parseMarker(text); !errors.Is(err, errMarker) {
			t.Errorf("%s %q: %+v, %v; want it refused", what, text, m, err)
		}
	}
}

func FuzzMarker(f *testing.F) {
	f.Add(marker{db: 1, seq: 5}.String())
	f.Add(marker{kind: markerInitial, db: 1}.String())
	f.Add("AQ")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := parseMarker(text)
		if err != nil {
			if !errors.Is(err, errMarker) {
				t.Errorf("%q: %v does not wrap the sentinel", text, err)
			}
			return
		}
		if m.String() != text {
			t.Errorf("%q is read as %+v, which is written %q", text, m, m)
		}
	})
}
