package peer

import (
	"errors"
	"fmt"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	peerv1 "github.com/syncbase/syncbase/sdk/api/peer/v1"
)

// maxInventoryBytes bounds the keys of one part of an inventory that has more than one.
const maxInventoryBytes = 256 << 10

func encodeInventory(v *delta.Inventory) (*peerv1.Inventory, error) {
	m := &peerv1.Inventory{
		Scope: encodeScope(v.Scope), From: []byte(v.From), To: []byte(v.To), Held: encodeVector(v.Held),
		Dropped: encodeVector(v.Dropped), DroppedAt: uint64(v.DroppedAt),
	}
	for _, key := range v.Keys {
		m.Keys = append(m.Keys, []byte(key))
	}
	if _, err := decodeInventory(m); err != nil {
		return nil, fmt.Errorf("pull: cannot send %w", err)
	}
	return m, nil
}

func decodeInventory(m *peerv1.Inventory) (*delta.Inventory, error) {
	v := &delta.Inventory{From: string(m.GetFrom()), To: string(m.GetTo()), DroppedAt: hlc.Time(m.GetDroppedAt())}
	var err error
	if v.Scope, err = decodeScope(m.GetScope()); err != nil {
		return nil, fmt.Errorf("an inventory: %w", err)
	}
	if v.Held, err = decodeVector(m.GetHeld()); err == nil {
		v.Dropped, err = decodeVector(m.GetDropped())
	}
	if err != nil {
		return nil, fmt.Errorf("an inventory of scope %s: %w", v.Scope, err)
	}
	if v.To != "" && v.To <= v.From || len(v.From) > id.MaxKeyLen || len(v.To) > id.MaxKeyLen {
		return nil, fmt.Errorf("an inventory of scope %s from %q to %q", v.Scope, v.From, v.To)
	}
	size := 0
	for i, k := range m.GetKeys() {
		key := string(k)
		size += len(key)
		switch {
		case len(key) > id.MaxKeyLen, !v.Scope.Has(v.Scope.Collection, key), key < v.From, v.To != "" && key >= v.To:
			return nil, fmt.Errorf("the key %q in an inventory of scope %s from %q to %q", key, v.Scope, v.From, v.To)
		case i > 0 && key <= v.Keys[i-1]:
			return nil, fmt.Errorf("an inventory of scope %s with the key %q after %q", v.Scope, key, v.Keys[i-1])
		}
		v.Keys = append(v.Keys, key)
	}
	if size > maxInventoryBytes && len(v.Keys) > 1 {
		return nil, fmt.Errorf("an inventory of %d bytes of keys, the limit is %d", size, maxInventoryBytes)
	}
	return v, nil
}

// takesInventory checks that a part of an inventory was asked for and follows the one before it. Used by Recv alone.
func (p *PullStream) takesInventory(v *delta.Inventory) error {
	switch next, begun := p.inventories[v.Scope]; {
	case p.told:
		return errors.New("an inventory after commits or progress")
	case !p.accepted[v.Scope] || !p.holding[v.Scope] && !p.forgotten:
		return fmt.Errorf("an inventory of the scope %s, which it was not asked for", v.Scope)
	case begun && next == "":
		return fmt.Errorf("an inventory of the scope %s after its end", v.Scope)
	case v.From != next:
		return fmt.Errorf("an inventory of the scope %s from %q on, which was at %q", v.Scope, v.From, next)
	}
	if v.Bare = !p.holding[v.Scope]; v.Bare && (v.To != "" || len(v.Keys)+len(v.Held) > 0) {
		return fmt.Errorf("an inventory of the scope %s that is not bare, as it was asked for", v.Scope)
	}
	p.inventories[v.Scope] = v.To
	return nil
}

// encodeHolding names scopes by their positions in known.
func encodeHolding(o delta.Open) (positions []uint32) {
	holding := map[id.Scope]bool{}
	for _, s := range o.Holding {
		holding[s] = true
	}
	for i, k := range o.Known {
		if holding[k.Scope] {
			positions = append(positions, uint32(i))
		}
	}
	return positions
}

func decodeHolding(o *delta.Open, positions []uint32) error {
	for i, at := range positions {
		if int64(at) >= int64(len(o.Known)) || i > 0 && at <= positions[i-1] {
			return fmt.Errorf("position %d among %d scopes", at, len(o.Known))
		}
		o.Holding = append(o.Holding, o.Known[at].Scope)
	}
	return nil
}
