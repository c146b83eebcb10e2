package api

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// offers is a resolver that takes offers message by message.
type offers struct {
	t      testing.TB
	stream nodev1.NodeService_ServeConflictsClient
}

func (q *quarrel) offers() *offers {
	q.t.Helper()
	stream, err := q.raw.ServeConflicts(q.t.Context())
	if err == nil {
		err = stream.Send(&nodev1.ServeConflictsRequest{Message: &nodev1.ServeConflictsRequest_Database{Database: "db"}})
	}
	if err != nil {
		q.t.Fatal(err)
	}
	return &offers{q.t, stream}
}

// next returns the parts of an offer.
func (o *offers) next() (parts []*nodev1.GroupOffer) {
	o.t.Helper()
	for {
		m, err := o.stream.Recv()
		if err != nil {
			o.t.Fatal(err)
		}
		part := m.GetOffer()
		if part == nil {
			o.t.Fatalf("in place of an offer: %v", m)
		}
		if parts = append(parts, part); !part.GetContinued() {
			return parts
		}
	}
}

// takeLocal answers an offer with the local side of every conflict, in a message for each, and wants it accepted.
func (o *offers) takeLocal(parts []*nodev1.GroupOffer) {
	o.t.Helper()
	var list []*nodev1.Resolution
	for _, p := range parts {
		for _, c := range p.GetConflicts() {
			if c.GetRemote() != nil {
				list = append(list, &nodev1.Resolution{Collection: c.GetCollection(), Key: c.GetKey(), Result: &nodev1.Resolution_Pick{Pick: c.GetLocal().GetVersion()}})
			}
		}
	}
	for i, r := range list {
		answer := &nodev1.GroupAnswer{Group: parts[0].GetGroup(), Resolutions: []*nodev1.Resolution{r}, Continued: i < len(list)-1}
		if err := o.stream.Send(&nodev1.ServeConflictsRequest{Message: &nodev1.ServeConflictsRequest_Answer{Answer: answer}}); err != nil {
			o.t.Fatal(err)
		}
	}
	m, err := o.stream.Recv()
	if err != nil || m.GetOutcome() == nil || m.GetOutcome().GetError() != "" {
		o.t.Fatalf("outcome %v, %v", m, err)
	}
}

// reference: sync-065 nine groups come as nine offers, a large one in several messages: the batches stand in the first of them,
// only the last of an offer says that nothing follows, a side that was deleted has no value, and rows name their batches.
func TestOfferGoesOutInParts(t *testing.T) {
	q := newQuarrel(t, `{"resolver":"app"}`)
	for i := range 7 {
		q.here(fmt.Sprintf("single%d=1", i))
		q.there(fmt.Sprintf("single%d=2", i))
	}
	q.here("deleted1=1")
	if _, err := q.c.Delete(t.Context(), "deleted1"); err != nil {
		t.Fatal(err)
	}
	q.there("deleted1=2")
	var here, there []string
	for i := range 20 {
		here = append(here, fmt.Sprintf("large%02d=%s", i, `"`+strings.Repeat("h", messageBytes/5)+`"`))
		there = append(there, fmt.Sprintf("large%02d=2", i))
	}
	q.here(append(here, "drawn=1")...)
	q.there(there...)

	o := q.offers()
	var keys []string
	for range 9 {
		parts := o.next()
		rows, batches := 0, map[string]bool{}
		for i, p := range parts {
			if p.GetGroup() != parts[0].GetGroup() || (len(p.GetBatches()) > 0) != (i == 0) {
				t.Errorf("part %d of offer %d: group %d with %d batches", i, parts[0].GetGroup(), p.GetGroup(), len(p.GetBatches()))
			}
			for _, b := range p.GetBatches() {
				batches[b.GetBatch()] = true
			}
			rows += len(p.GetConflicts())
			for _, c := range p.GetConflicts() {
				keys = append(keys, c.GetKey())
				for _, side := range []*nodev1.ConflictVersion{c.GetLocal(), c.GetRemote()} {
					if side == nil {
						continue
					}
					if side.GetDeleted() != (len(side.GetValue()) == 0) {
						t.Errorf("%s: deleted %v with a value of %d bytes", c.GetKey(), side.GetDeleted(), len(side.GetValue()))
					}
					if !batches[side.GetBatch()] {
						t.Errorf("%s names the batch %q, the offer has %v", c.GetKey(), side.GetBatch(), batches)
					}
				}
			}
		}
		if want := 1; rows == 21 && len(parts) < 4 || rows != 21 && (rows != want || len(parts) != want) {
			t.Errorf("an offer of %d rows came in %d parts", rows, len(parts))
		}
		o.takeLocal(parts)
	}
	slices.Sort(keys)
	if len(keys) != 8+21 || len(slices.Compact(keys)) != len(keys) || q.open() != 0 {
		t.Errorf("offered were %q, %d conflicts are left", keys, q.open())
	}
	if err := o.stream.CloseSend(); err != nil {
		t.Error(err)
	}
}
