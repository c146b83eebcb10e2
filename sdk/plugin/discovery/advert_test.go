package discovery

import (
	"testing"

	"google.golang.org/protobuf/proto"

	discoveryv1 "github.com/syncbase/syncbase/sdk/api/discovery/v1"
)

// FuzzEvent wants that what is accepted off the wire is within the bounds and survives the way back.
func FuzzEvent(f *testing.F) {
	for _, e := range []Event{
		{Kind: Synced},
		{Kind: Lost, Advert: Advert{NodeID: []byte("n")}},
		{Kind: Seen, Advert: Advert{NodeID: []byte("n"), Addresses: []string{":1"}, Groups: [][]byte{{1}}, Record: []byte("r")}, TTL: 1e9},
	} {
		data, err := proto.Marshal(eventToProto(e))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var p discoveryv1.WatchResponse
		if proto.Unmarshal(data, &p) != nil {
			return
		}
		e, err := eventFromProto(&p)
		if err != nil {
			return
		}
		if e.Kind == Seen && (e.TTL <= 0 || e.TTL > MaxTTL || len(e.Advert.Record) > MaxRecordBytes || len(e.Advert.NodeID) == 0) {
			t.Errorf("accepted %+v", e)
		}
		back, err := eventFromProto(eventToProto(e))
		if err != nil || back.Kind != e.Kind || back.TTL != e.TTL && e.Kind == Seen {
			t.Errorf("%+v came back as %+v, %v", e, back, err)
		}
	})
}
