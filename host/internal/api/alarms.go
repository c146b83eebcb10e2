package api

import (
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/syncbase/syncbase/host/internal/id"
	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// Alarm is something that works for now, but that somebody has to see to.
type Alarm struct {
	// Kind is for programs, Text for people.
	Kind, Text string
	Since      time.Time
	// Principal of the device that it is about.
	Principal id.Principal
}

func (s *Server) alarms() (list []*nodev1.Alarm) {
	if s.opts.Alarms == nil {
		return nil
	}
	for _, a := range s.opts.Alarms() {
		list = append(list, &nodev1.Alarm{Kind: a.Kind, Text: a.Text, Since: timestamppb.New(a.Since), Principal: string(a.Principal)})
	}
	return list
}
