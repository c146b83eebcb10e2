package kv

import "github.com/cockroachdb/pebble/v2"

// Usage is what all tables of a store take, without those that are about to be removed.
type Usage struct {
	Files, Bytes uint64
}

// Usage counts the tables. What is in the log alone is in none of them.
func (s *Store) Usage() Usage {
	all := s.db.Metrics().Total()
	return Usage{Files: uint64(all.TablesCount), Bytes: uint64(all.TablesSize)}
}

// DiskBytes estimates how much disk the range takes in tables; what is in the log alone does not count.
//
// Pebble's own EstimateDiskUsage keeps its sums beside those of the picker of compactions, in a list that one of them may make
// longer while the other writes into it; the sizes of the tables need none.
func (s *Store) DiskBytes(lo, hi []byte) (uint64, error) {
	levels, err := s.db.SSTables(pebble.WithKeyRangeFilter(lo, hi), pebble.WithApproximateSpanBytes())
	if err != nil {
		return 0, err
	}
	var sum uint64
	for _, tables := range levels {
		for i := range tables {
			sum += tables[i].ApproximateSpanBytes
		}
	}
	return sum, nil
}
