package client

import (
	"time"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// Alarm is something that works for now, but that somebody has to see to.
type Alarm struct {
	// Kind is "copy" when several daemons run with the keys of one device, "disk" when the disk has little or no space left,
	// "store" when the disk failed under a write. There may be others.
	Kind string `json:"kind"`
	// Text says what it is and what to do, for people.
	Text  string    `json:"text"`
	Since time.Time `json:"since"`
	// Principal of the device that it is about.
	Principal string `json:"principal"`
}

func alarmsOf(list []*nodev1.Alarm) []Alarm {
	alarms := []Alarm{}
	for _, a := range list {
		alarms = append(alarms, Alarm{Kind: a.GetKind(), Text: a.GetText(), Since: timeOf(a.GetSince()), Principal: a.GetPrincipal()})
	}
	return alarms
}
