package peer

import (
	"errors"
	"fmt"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	peerv1 "github.com/syncbase/syncbase/sdk/api/peer/v1"
)

// Bounds of comparisons.
const (
	maxFingerprints = 64
	maxVersions     = 1000
)

func encodeFingerprints(list []delta.Fingerprint) []*peerv1.Fingerprint {
	out := make([]*peerv1.Fingerprint, 0, len(list))
	for i := range list {
		f := &list[i]
		out = append(out, &peerv1.Fingerprint{
			Known: &peerv1.ScopeVector{Scope: encodeScope(f.Scope), Entries: encodeVector(f.Vector)}, Sums: f.Sums[:],
			Contested: f.Counting == delta.CountContested,
		})
	}
	return out
}

func decodeFingerprints(list []*peerv1.Fingerprint) ([]delta.Fingerprint, error) {
	if n := len(list); n == 0 || n > maxFingerprints {
		return nil, fmt.Errorf("%d fingerprints, want 1 to %d", n, maxFingerprints)
	}
	var known []*peerv1.ScopeVector
	for _, m := range list {
		known = append(known, m.GetKnown())
	}
	vectors, err := decodeVectors(known)
	if err != nil {
		return nil, err
	}
	out := make([]delta.Fingerprint, len(list))
	for i, m := range list {
		out[i].Scope, out[i].Vector = vectors[i].Scope, vectors[i].Vector
		if n := len(m.GetSums()); n != delta.Buckets {
			return nil, fmt.Errorf("%d sums, want %d", n, delta.Buckets)
		}
		copy(out[i].Sums[:], m.GetSums())
		if !m.GetContested() {
			out[i].Counting = delta.CountLive
		}
	}
	return out, nil
}

// decodeVerdicts reads the answer to fingerprints of some scopes.
func decodeVerdicts(list []*peerv1.Verdict, asked []delta.Fingerprint) ([]delta.Verdict, error) {
	open := map[id.Scope]bool{}
	for i := range asked {
		open[asked[i].Scope] = true
	}
	var out []delta.Verdict
	for _, m := range list {
		s, err := decodeScope(m.GetScope())
		if err != nil {
			return nil, err
		}
		if !open[s] {
			return nil, fmt.Errorf("a verdict on the scope %s, which was not asked about, or was twice", s)
		}
		open[s] = false
		out = append(out, delta.Verdict{Scope: s, Level: m.GetLevel(), Differing: m.GetDiffering()})
	}
	return out, nil
}

func encodeVersions(list []delta.RowVersion) []*peerv1.RowVersion {
	out := make([]*peerv1.RowVersion, 0, len(list))
	for i := range list {
		v := &list[i]
		out = append(out, &peerv1.RowVersion{
			Key: v.Key, Device: v.Version.Writer.Device[:], Epoch: v.Version.Writer.Epoch, Generation: v.Version.Gen,
			Time: uint64(v.Time), Deleted: v.Deleted, Past: v.Past,
		})
	}
	return out
}

func decodeVersions(list []*peerv1.RowVersion) ([]delta.RowVersion, error) {
	if n := len(list); n == 0 || n > maxVersions {
		return nil, fmt.Errorf("%d versions, want 1 to %d", n, maxVersions)
	}
	out := make([]delta.RowVersion, 0, len(list))
	for _, m := range list {
		if m.GetKey() != "" {
			if err := id.ValidateKey(m.GetKey()); err != nil {
				return nil, err
			}
		}
		device, err := decodeDevice(m.GetDevice())
		if err != nil {
			return nil, err
		}
		if m.GetGeneration() == 0 {
			return nil, errors.New("a version of generation 0")
		}
		out = append(out, delta.RowVersion{
			Key: m.GetKey(), Time: hlc.Time(m.GetTime()), Deleted: m.GetDeleted(), Past: m.GetPast(),
			Version: id.Version{Writer: id.Writer{Device: device, Epoch: m.GetEpoch()}, Gen: m.GetGeneration()},
		})
	}
	return out, nil
}
