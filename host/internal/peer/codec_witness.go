package peer

import (
	"fmt"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	peerv1 "github.com/syncbase/syncbase/sdk/api/peer/v1"
)

func encodeWitnesses(list []delta.Witness) []*peerv1.Witness {
	out := make([]*peerv1.Witness, 0, len(list))
	for i := range list {
		w := &list[i]
		out = append(out, &peerv1.Witness{
			Collection: encodeCollection(w.Collection), Device: w.Version.Writer.Device[:], Epoch: w.Version.Writer.Epoch,
			Generation: w.Version.Gen, Digest: w.Digest[:],
		})
	}
	return out
}

func decodeWitnesses(list []*peerv1.Witness) ([]delta.Witness, error) {
	if n := len(list); n > delta.MaxWitnesses {
		return nil, fmt.Errorf("%d witnesses, the limit is %d", n, delta.MaxWitnesses)
	}
	var out []delta.Witness
	for _, m := range list {
		c, err := decodeCollection(m.GetCollection())
		if err != nil {
			return nil, fmt.Errorf("a witness: %w", err)
		}
		device, err := decodeDevice(m.GetDevice())
		if err != nil {
			return nil, fmt.Errorf("a witness: %w", err)
		}
		if m.GetGeneration() == 0 || len(m.GetDigest()) != len(delta.Digest{}) {
			return nil, fmt.Errorf("a witness of generation %d with a digest of %d bytes", m.GetGeneration(), len(m.GetDigest()))
		}
		out = append(out, delta.Witness{
			Collection: c, Digest: delta.Digest(m.GetDigest()),
			Version: id.Version{Writer: id.Writer{Device: device, Epoch: m.GetEpoch()}, Gen: m.GetGeneration()},
		})
	}
	return out, nil
}
