package rows

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// A row that was loaded with many others is the row that a look-up of its own finds, however the rows asked for lie among
// those that are there.
func TestPrefetchFindsWhatALookUpFinds(t *testing.T) {
	d := newDevice(t, 1).create()
	var puts, dels []Op
	for i := range 2000 {
		key := fmt.Sprintf("%06d", 3*i)
		puts = append(puts, Op{Kind: OpPut, Collection: notes, Key: key, Value: fmt.Appendf(nil, "%d", i)})
		if i%7 == 0 {
			dels = append(dels, Op{Kind: OpDelete, Collection: notes, Key: key})
		}
	}
	for _, ops := range [][]Op{puts, dels} {
		if _, err := d.db.Commit(ops, nil); err != nil {
			t.Fatal(err)
		}
	}
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 0))
	for name, next := range map[string]func(i int) int{
		"all":              func(i int) int { return i },
		"that are there":   func(i int) int { return 3 * i },
		"beside them":      func(i int) int { return 30*i + 1 },
		"scattered":        func(int) int { return rnd.IntN(7000) },
		"beside, then all": func(i int) int { return max(6*i+1, 4*i+400) },
	} {
		coll := d.db.colls[notes]
		together, alone := d.db.begin(), d.db.begin()
		var refs []rowRef
		for i := range 500 {
			refs = append(refs, rowRef{coll, fmt.Sprintf("%06d", next(i))})
		}
		if err := together.prefetch(refs); err != nil {
			t.Fatal(err)
		}
		for _, ref := range refs {
			want, err := alone.row(coll, ref.key)
			if err != nil {
				t.Fatal(err)
			}
			got := together.loaded(ref)
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(trace{}, addition{}, rowState{}), cmpopts.IgnoreTypes(rowRef{}), cmpopts.IgnoreFields(rowState{}, "room")); diff != "" {
				t.Fatalf("rows %s, seed %d: row %s (-alone +together):\n%s", name, seed, ref.key, diff)
			}
		}
		together.b.Discard()
		alone.b.Discard()
	}
}
