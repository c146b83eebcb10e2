package rows

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/perm"
)

// reference: store-092 an operator is told what each database takes on the disk and what the whole store does, in how many files:
// nothing when it is new, about as much as was written to it, and nothing of what its neighbour has.
func TestDiskBytesAreOfEachDatabase(t *testing.T) {
	d := newDevice(t, 1)
	if got := d.s.Disk(); got.Usage != (kv.Usage{}) {
		t.Errorf("a new store takes %+v", got)
	}
	d.create()
	small := id.Name{Owner: owner, Local: "small"}
	if _, err := d.s.Create(small, perm.For(owner, perm.DatabaseTags)); err != nil {
		t.Fatal(err)
	}
	takes := func(name id.Name) Space {
		t.Helper()
		db, err := d.s.Database(name)
		if err != nil {
			t.Fatal(err)
		}
		space, err := db.Space()
		if err != nil {
			t.Fatal(err)
		}
		return space
	}
	if got := takes(dbName); got.Disk != 0 || got.Log != 0 {
		t.Errorf("a new database takes %+v", got)
	}
	const each, n = 256 << 10, 40
	random, value := rand.NewChaCha8([32]byte{}), make([]byte, each)
	for i := range n {
		_, _ = random.Read(value) // never fails
		if _, err := d.db.Commit([]Op{{Collection: notes, Key: fmt.Sprint(i), Value: value, Raw: true}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	d.close()
	d.open() // it writes into tables what is in the log alone
	big, disk := takes(dbName), d.s.Disk()
	if big.Disk < n*each || big.Disk > 3*n*each || big.Log > big.Disk {
		t.Errorf("%d bytes of values take %+v", n*each, big)
	}
	if got := takes(small); got.Disk > each {
		t.Errorf("the database beside it takes %+v", got)
	}
	if disk.Files == 0 || disk.Bytes < big.Disk || disk.Bytes > 4*n*each {
		t.Errorf("the store takes %+v, of it one database %d", disk, big.Disk)
	}
}
