package delta_test

import (
	"testing"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
)

// Fingerprints can be compared only if they are of one scope and both sides know the same; then they differ in the buckets
// whose sums do.
func TestDiffering(t *testing.T) {
	base := func() *delta.Fingerprint {
		return &delta.Fingerprint{Scope: scope(""), Vector: id.Vector{writer('a'): 2}}
	}
	tests := map[string]struct {
		change     func(*delta.Fingerprint)
		buckets    uint64
		comparable bool
	}{
		"equal":          {func(*delta.Fingerprint) {}, 0, true},
		"first and last": {func(f *delta.Fingerprint) { f.Sums[0], f.Sums[delta.Buckets-1] = 1, 1 }, 1 | 1<<63, true},
		"knows more":     {func(f *delta.Fingerprint) { f.Vector[writer('a')], f.Sums[0] = 3, 1 }, 0, false},
		"knows less":     {func(f *delta.Fingerprint) { f.Vector[writer('a')], f.Sums[0] = 1, 1 }, 0, false},
		"knows another":  {func(f *delta.Fingerprint) { f.Vector = id.Vector{writer('b'): 2} }, 0, false},
		"other counting": {func(f *delta.Fingerprint) { f.Counting, f.Sums[0] = delta.CountLive, 1 }, 0, false},
		"other scope":    {func(f *delta.Fingerprint) { f.Scope = scope("a"); f.Sums[0] = 1 }, 0, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			other := base()
			test.change(other)
			for _, pair := range [][2]*delta.Fingerprint{{base(), other}, {other, base()}} {
				if buckets, comparable := pair[0].Differing(pair[1]); buckets != test.buckets || comparable != test.comparable {
					t.Errorf("%x, %t, want %x, %t", buckets, comparable, test.buckets, test.comparable)
				}
			}
		})
	}
}

// Versions that differ in anything that tells them apart have different sums, and a deleted one has none.
func TestSumTellsVersionsApart(t *testing.T) {
	base := delta.RowVersion{Key: "k", Version: id.Version{Writer: id.Writer{Device: id.Device{1}, Epoch: 1}, Gen: 1}, Time: 1}
	seen := map[delta.Sum]string{base.Sum(): "the version itself"}
	for name, change := range map[string]func(*delta.RowVersion){
		"key":        func(v *delta.RowVersion) { v.Key = "l" },
		"device":     func(v *delta.RowVersion) { v.Version.Writer.Device[7] = 1 },
		"epoch":      func(v *delta.RowVersion) { v.Version.Writer.Epoch = 2 },
		"generation": func(v *delta.RowVersion) { v.Version.Gen = 2 },
		"time":       func(v *delta.RowVersion) { v.Time = 2 },
		"deleted":    func(v *delta.RowVersion) { v.Deleted = true },
	} {
		v := base
		change(&v)
		if other, found := seen[v.Sum()]; found {
			t.Errorf("another %s: the same sum as %s", name, other)
		}
		seen[v.Sum()] = "another " + name
		if v.Deleted && v.Sum() != (delta.Sum{}) {
			t.Error("a deleted version counts")
		}
		if v.Contested = true; v.Deleted && v.Sum() != base.Sum() {
			t.Error("a delete in conflict does not count like any other version")
		}
	}
}
