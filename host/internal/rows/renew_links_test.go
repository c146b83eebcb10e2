package rows

import (
	"testing"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// A link of another member may say that it has seen more of this device than the version on which it lies. When names come to be
// doubted between the two, the version keeps its own and the row is there as before.
func TestRenewalLeavesTheWriterOfAVersionOutOfWhatItHasSeen(t *testing.T) {
	a := newDevice(t, 1).create()
	a.put("k", `"a"`)
	row, err := a.db.Get(notes, "k")
	if err != nil {
		t.Fatal(err)
	}
	kept := row.Version
	for range 4 {
		a.put("other", `1`)
	}
	// What somebody wrote beside it is settled by a link of this device, and that by the other one.
	beside := id.Version{Writer: aWriter, Gen: 1}
	link := wire.Record{
		Version: id.Version{Writer: aWriter, Gen: 2}, Kind: wire.Link, Key: "k", Parents: []id.Version{kept, beside},
		Seen: id.Vector{kept.Writer: kept.Gen + 3},
	}
	for i, rec := range []wire.Record{{Version: beside, Key: "k", Value: []byte(`"b"`)}, link} {
		commit := wire.Commit{Writer: aWriter, First: uint64(i) + 1, Count: 1, Time: 1, Records: []wire.Entry{{Collection: notes, Record: rec}}}
		if _, err := a.db.Receive(Step{Scopes: whole, Commits: []wire.Commit{commit}}); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if _, err := a.db.Settle([]ConflictRef{at("k")}); err != nil {
				t.Fatal(err)
			}
		}
	}
	proof := &SetBackError{Shown: id.Version{Writer: kept.Writer, Gen: 1 << 60}, Made: kept.Gen + 5, Sure: kept.Gen}
	if _, err := a.db.Renew(proof); err != nil {
		t.Fatal(err)
	}
	a.holds(map[string]string{"k": `"a"`, "other": `1`})
	a.sound()
	a.put("k", `"c"`)
	a.holds(map[string]string{"k": `"c"`, "other": `1`})
	a.sound()
}
