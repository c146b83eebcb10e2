package rows

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// keyDraw draws the parts of keys, with preference for those that look like each other and like what stands between them.
type keyDraw struct{ *rapid.T }

func (t keyDraw) number(label string) uint32 {
	return rapid.OneOf(rapid.SampledFrom([]uint32{0, 1, 'a', 0xfe, 0xff, 0x100, 0xff00, 0xffff, 0xfe0000, 1<<32 - 1}), rapid.Uint32()).Draw(t.T, label)
}

func (t keyDraw) text(label string) string {
	parts := []string{"a", "b", "ab", " ", ",", ":", "/", "%", "%2F", "%00", "~", "é", "þ", "ÿ", "\U0010ffff"}
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 1, 4).Draw(t.T, label), "")
}

func (t keyDraw) name() id.Name {
	owners := []id.Principal{"d", "d/a", "d/a/b", "d/ab", "e", "d-a", "d.a"}
	return id.Name{Owner: rapid.SampledFrom(owners).Draw(t.T, "owner"), Local: t.text("name")}
}

func (t keyDraw) version() id.Version {
	v := id.Version{Writer: id.Writer{Epoch: t.number("epoch")}, Gen: uint64(t.number("gen"))<<32 | uint64(t.number("gen"))}
	copy(v.Writer.Device[:], rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 'a', 0xfe, 0xff}), 8, 8).Draw(t.T, "device"))
	return v
}

// thing is what a key of the disk is the key of, as far as it has such parts.
type thing struct {
	space    byte
	db, coll uint32
	name     id.Name
	key      string
	version  id.Version
	bucket   byte
}

func (t keyDraw) thing() thing {
	spaces := []byte{spaceDatabase, spaceCollection, spaceRow, spaceTomb, spaceLog, spaceKnowledge, spaceSyncgroup, spaceOpen, spaceReclaim, spaceDigest}
	o := thing{space: rapid.SampledFrom(spaces).Draw(t.T, "space")}
	if o.space != spaceDatabase {
		o.db = t.number("db")
	}
	switch o.space {
	case spaceDatabase, spaceSyncgroup:
		o.name = t.name()
		return o
	}
	o.coll = t.number("coll")
	switch o.space {
	case spaceRow, spaceTomb, spaceKnowledge, spaceOpen, spaceDigest:
		o.key = t.text("key")
	}
	switch o.space {
	case spaceLog, spaceOpen, spaceReclaim:
		o.version = t.version()
	case spaceDigest:
		o.bucket = byte(t.number("bucket"))
	}
	return o
}

// diskKey is the key of a thing.
func (o thing) diskKey() []byte {
	switch o.space {
	case spaceDatabase:
		return databaseKey(o.name)
	case spaceSyncgroup:
		return appendName(dbKey(spaceSyncgroup, o.db), o.name)
	case spaceCollection:
		return collKey(o.space, o.db, o.coll)
	case spaceLog:
		return logKey(o.db, o.coll, o.version)
	case spaceOpen:
		return openKey(o.db, o.coll, o.key, o.version)
	case spaceReclaim:
		return waitingKey(o.db, litter{coll: o.coll, version: o.version, tomb: true})
	case spaceDigest:
		return digestKey(o.db, &digest{coll: &collection{num: o.coll}, scope: id.Scope{Prefix: o.key}}, o.bucket)
	default:
		return rowKey(o.space, o.db, o.coll, o.key)
	}
}

// readKey is the inverse of diskKey, made of what reads keys of the disk.
func readKey(key []byte) (o thing, ok bool) {
	if o.space = key[0]; o.space == spaceDatabase {
		o.name, ok = parseName(key[1:])
		return o, ok
	}
	o.db = binary.BigEndian.Uint32(key[1:])
	if o.space == spaceSyncgroup {
		o.name, ok = parseName(key[5:])
		return o, ok
	}
	rest := key[collKeyLen:]
	o.coll = binary.BigEndian.Uint32(key[5:])
	switch o.space {
	case spaceCollection:
		return o, len(rest) == 0
	case spaceLog:
		o.version = id.Version{Writer: wire.DecodeWriter(rest), Gen: logGen(key)}
		return o, len(key) == logKeyLen
	case spaceOpen:
		o.coll, o.key, o.version, ok = parseOpenKey(key)
		return o, ok
	case spaceReclaim:
		l, ok := parseWaiting(key)
		o.coll, o.version = l.coll, l.version
		return o, ok
	case spaceDigest:
		o.key, o.bucket = string(rest[:len(rest)-1]), rest[len(rest)-1]
		return o, true
	default:
		o.key = string(rest)
		return o, true
	}
}

// reference: store-011 the record of a database lies under its own name alone, and in the order of names.
//
// reference: store-012 what a key of the disk is made of is read back from it part by part.
//
// reference: store-013 the first part of a key tells its space, whatever bytes the parts after it have.
//
// reference: sync-006 keys of the log are read back without loss.
//
// Keys of different things differ, none but that of a row or a prefix begins like another of its space, and what lies in a
// collection, or belongs to a row in conflict, is one range of keys that holds nothing else.
func TestKeysOfTheDiskAreExact(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		t := keyDraw{rt}
		a, b := t.thing(), t.thing()
		ka, kb := a.diskKey(), b.diskKey()
		if got, ok := readKey(ka); !ok || got != a {
			t.Fatalf("%+v lies at %x, which reads %+v, %v", a, ka, got, ok)
		}
		if bytes.Equal(ka, kb) != (a == b) {
			t.Fatalf("%+v and %+v lie at %x and %x", a, b, ka, kb)
		}
		if a.space == b.space && a.space == spaceDatabase {
			if got, want := bytes.Compare(ka, kb), a.name.Compare(b.name); got != cmp.Compare(want, 0) {
				t.Fatalf("the keys of %s and %s compare as %d, the names as %d", a.name, b.name, got, want)
			}
			if a != b && bytes.HasPrefix(kb, ka) {
				t.Fatalf("the key of %s begins like that of %s", b.name, a.name)
			}
		}
		if b.space == spaceRow || b.space == spaceTomb || b.space == spaceOpen {
			own := collKey(b.space, a.db, a.coll)
			if in := bytes.Compare(own, kb) <= 0 && inRange(kb, own); in != (a.db == b.db && a.coll == b.coll) {
				t.Fatalf("%+v lies among the rows of collection %d of database %d: %v", b, a.coll, a.db, in)
			}
		}
		if b.space == spaceOpen {
			heads := openPrefix(a.db, a.coll, a.key)
			if in := inRange(kb, heads); in != (a.db == b.db && a.coll == b.coll && a.key == b.key) {
				t.Fatalf("%+v lies among the open heads of %q: %v", b, a.key, in)
			}
		}
	})
}

// inRange tells whether a key lies in the range of those that begin with a prefix, as an iterator over it does.
func inRange(key, prefix []byte) bool {
	end := kv.PrefixEnd(prefix)
	return bytes.Compare(key, prefix) >= 0 && (end == nil || bytes.Compare(key, end) < 0)
}

// reference: store-015 a key that is cut short, goes on after its end or has no end between its parts is not read as a row in
// conflict or as a name, whatever is in its parts.
//
// reference: sync-006 keys that are too short or too long are refused.
func TestMalformedKeysAreRefused(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		t := keyDraw{rt}
		o := t.thing()
		key := o.diskKey()
		refused := func(key []byte, what string) {
			if got, ok := readKey(key); ok {
				t.Fatalf("%x, the key of %+v %s, was read as %+v", key, o, what, got)
			}
		}
		least := collKeyLen
		switch o.space {
		case spaceDatabase:
			least = 1
		case spaceSyncgroup:
			least = 5
		case spaceLog, spaceOpen, spaceReclaim:
			if o.space == spaceLog {
				least += wire.WriterLen
			}
		default:
			return // every key that is long enough is one
		}
		for n := least; n < len(key); n++ {
			refused(key[:n], "cut short")
		}
		more := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 'a', 0xfe, 0xff}), 1, 24).Draw(rt, "more")
		refused(slices.Concat(key, more), "with more behind it")
		if o.space == spaceDatabase || o.space == spaceSyncgroup {
			refused(bytes.Replace(key, []byte{0}, []byte{1}, 1+bytes.Count(key[:least], []byte{0})), "without the end of a part")
		}
	})
}

// furnished is a device whose store has keys of every space: rows, deletes, open conflicts, letters, local values, sums, a
// collection that was destroyed and made again, and what reclaiming leaves.
func furnished(t *testing.T) *device {
	t.Helper()
	a, b := deferring(t)
	a.put("gone", `1`)
	a.del("gone")
	level(a, b)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(a.db.SetLocal(id.Name{Owner: owner, Local: "local"}, []byte(`1`)))
	more := id.Collection{Name: id.Name{Owner: owner, Local: "more"}}
	must(a.db.CreateCollection(more, allTags))
	_, err := a.db.Commit([]Op{{Collection: more, Key: "k", Value: []byte(`1`)}}, nil)
	must(err)
	tx := a.begin()
	must(tx.DestroyCollection(more))
	must(tx.CreateCollection(more, allTags))
	_, err = tx.Commit(nil)
	must(err)
	a.fingerprint(whole[0])
	a.put("later", `1`)
	a.del("later")
	a.quota(2000)
	b.put("big", big(3000))
	step := a.requestScopes(b, whole)
	step.From = "test.local/owner/device/b"
	_, err = a.db.Receive(step)
	must(err)
	_, err = a.db.Reclaim(Limits{Before: a.now.Add(-time.Hour)})
	must(err)
	a.sound()
	return a
}

// reference: store-014 what lies in the space of rows under a collection is its rows, and nothing else in the store is.
//
// reference: store-015 a key that has lost its last part, or has more than its parts, is named by a check and is nobody's row.
//
// reference: store-016 what follows the end of a key that is a number or a name, that of a collection or its access list among
// them, is an error.
//
// reference: sync-006 malformed keys of the log are refused.
//
// Where the store can be opened with such a key, reading tells the same as before.
func TestMalformedKeysAreNamedAndNotRead(t *testing.T) {
	sound := furnished(t)
	before, conflicts := sound.rows(), sound.conflicts()
	var planted []Finding // Key and, in Text, what was done to it
	covered := map[byte]bool{}
	seen := map[byte]int{}
	sound.eachKey(func(key, _ []byte) {
		space := key[0]
		if seen[space]++; seen[space] > 3 {
			return
		}
		covered[space] = true
		switch space {
		case spaceRow, spaceTomb, spaceKnowledge:
			// Longer ones are other rows, and other prefixes.
			planted = append(planted, Finding{Key: key[:collKeyLen-1], Text: "cut"})
		default:
			planted = append(planted, Finding{Key: key[:len(key)-1], Text: "cut"})
			for _, more := range []string{"\x00", "x", "\x00\x00\x00\x00\x00\x00\x00\x01"} {
				planted = append(planted, Finding{Key: append(slices.Clone(key), more...), Text: "longer"})
			}
		}
	})
	for _, space := range append([]byte{spaceDatabase}, spacesOfDatabase...) {
		if !covered[space] {
			t.Errorf("the store has no key of the space %x", space)
		}
	}
	for _, p := range planted {
		t.Run(fmt.Sprintf("%s %x", p.Text, p.Key), func(t *testing.T) {
			d := &device{t: t, num: sound.num, fs: sound.fs.CrashClone(), now: sound.now}
			d.open()
			defer d.close()
			b := d.kv.NewBatch()
			b.Set(p.Key, sound.valueLike(p.Key))
			if err := b.Commit(kv.Sync); err != nil {
				t.Fatal(err)
			}
			named := false
			if _, err := d.s.Check(t.Context(), func(f Finding) { named = named || bytes.Equal(f.Key, p.Key) }, Progress{}); err != nil || !named {
				t.Errorf("a check names the key: %v, %v", named, err)
			}
			s, err := Open(d.kv, d.s.opts)
			if err != nil {
				return // refused
			}
			if d.db, err = s.Database(dbName); err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(before, d.rows()); diff != "" {
				t.Errorf("rows (-before +after):\n%s", diff)
			}
			if got, err := d.db.ConflictRefs(); err == nil && len(got) != len(conflicts) {
				t.Errorf("in conflict are %v", got)
			}
		})
	}
}

// eachKey visits the keys of the spaces that have databases and what is in them.
func (d *device) eachKey(visit func(key, value []byte)) {
	d.t.Helper()
	it, err := d.kv.Iter([]byte{spaceDatabase}, []byte{spaceLetter + 1})
	if err != nil {
		d.t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		visit(slices.Clone(it.Key()), slices.Clone(it.Value()))
	}
	if err := it.Close(); err != nil {
		d.t.Fatal(err)
	}
}

// valueLike is the value of the key that is the most like this one.
func (d *device) valueLike(key []byte) (best []byte) {
	common := -1
	d.eachKey(func(k, v []byte) {
		n := 0
		for n < min(len(k), len(key)) && k[n] == key[n] {
			n++
		}
		if n > common {
			common, best = n, v
		}
	})
	return best
}
