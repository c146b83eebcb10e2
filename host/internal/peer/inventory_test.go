package peer

import (
	"testing"

	"github.com/syncbase/syncbase/host/internal/id"
	peerv1 "github.com/syncbase/syncbase/sdk/api/peer/v1"
)

// Of what it has something the initiator takes whole inventories, of the rest bare ones if it asked for them, and each once.
func TestInventoriesAreThoseAskedFor(t *testing.T) {
	d := device(1)
	dropped := []*peerv1.VectorEntry{entry(d[:], 3)}
	bare := func(s id.Scope) *peerv1.Inventory {
		return &peerv1.Inventory{Scope: encodeScope(s), Dropped: dropped, DroppedAt: 7}
	}
	keys, held, part := bare(scope), bare(scope), bare(scope)
	keys.Keys, held.Held, part.To = [][]byte{[]byte("pk")}, dropped, []byte("pz")
	for name, tc := range map[string]struct {
		holding, forgotten bool
		sent               []*peerv1.Inventory
		fine               bool
		bare               bool
	}{
		"nothing asked for":     {sent: []*peerv1.Inventory{bare(scope)}},
		"a bare one":            {forgotten: true, sent: []*peerv1.Inventory{bare(scope)}, fine: true, bare: true},
		"a bare one with keys":  {forgotten: true, sent: []*peerv1.Inventory{keys}},
		"a bare one that knows": {forgotten: true, sent: []*peerv1.Inventory{held}},
		"a part of a bare one":  {forgotten: true, sent: []*peerv1.Inventory{part}},
		"a bare one twice":      {forgotten: true, sent: []*peerv1.Inventory{bare(scope), bare(scope)}},
		"another scope":         {forgotten: true, sent: []*peerv1.Inventory{bare(meta)}},
		"a whole one":           {holding: true, forgotten: true, sent: []*peerv1.Inventory{keys}, fine: true},
		"an empty whole one":    {holding: true, forgotten: true, sent: []*peerv1.Inventory{bare(scope)}, fine: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := &PullStream{
				accepted: map[id.Scope]bool{scope: true}, holding: map[id.Scope]bool{scope: tc.holding}, forgotten: tc.forgotten,
				inventories: map[id.Scope]string{},
			}
			var err error
			for _, m := range tc.sent {
				out, fault := p.decode(&peerv1.PullResponse{Message: &peerv1.PullResponse_Inventory{Inventory: m}})
				if err = fault; tc.fine && err == nil && out.Inventory.Bare != tc.bare {
					t.Errorf("taken for bare: %v", out.Inventory.Bare)
				}
			}
			if fine := err == nil; fine != tc.fine {
				t.Errorf("%v, want it taken: %v", err, tc.fine)
			}
		})
	}
}
