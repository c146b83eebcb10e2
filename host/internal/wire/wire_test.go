package wire_test

import (
	"bytes"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/wire"
)

func writer(name byte) id.Writer { return id.Writer{Device: id.Device{7: name}, Epoch: 1} }

func version(name byte, gen uint64) id.Version { return id.Version{Writer: writer(name), Gen: gen} }

func rowsOf(local string) id.Collection {
	return id.Collection{Name: id.Name{Owner: "o", Local: local}}
}

func drawVersion(t *rapid.T, before uint64) id.Version {
	name := rapid.ByteRange('a', 'd').Draw(t, "writer")
	if name == 'a' {
		return version(name, rapid.Uint64Range(1, before-1).Draw(t, "gen"))
	}
	return version(name, rapid.Uint64Min(1).Draw(t, "gen"))
}

// drawRecord makes any record that writer a may write as generation gen, which is at least 2.
func drawRecord(t *rapid.T, gen uint64) wire.Record {
	r := wire.Record{Version: version('a', gen), Kind: wire.Kind(rapid.IntRange(0, 2).Draw(t, "kind"))}
	r.Key = rapid.StringMatching(`[a-zäß/]{0,6}`).Draw(t, "key")
	least := 0
	if r.Kind == wire.Link {
		least = 2
	}
	for range rapid.IntRange(least, 4).Draw(t, "parents") {
		r.Parents = append(r.Parents, drawVersion(t, gen))
	}
	seen := id.Vector{}
	for range rapid.IntRange(0, 4).Draw(t, "seen") {
		seen.Add(version(rapid.ByteRange('b', 'z').Draw(t, "seen writer"), rapid.Uint64Min(1).Draw(t, "seen gen")))
	}
	if len(seen) > 0 {
		r.Seen = seen
	}
	if r.Kind == wire.Put {
		r.Raw = rapid.Bool().Draw(t, "raw")
		r.Type = rapid.StringMatching(`[a-z]{0,5}`).Draw(t, "type")
		r.Value = rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "value")
	}
	return r
}

func drawCommit(t *rapid.T) wire.Commit {
	c := wire.Commit{
		Writer: writer('a'), First: rapid.Uint64Range(2, 1<<60).Draw(t, "first"), Count: rapid.Uint64Range(1, 12).Draw(t, "count"),
		Time: hlc.Time(rapid.Uint64().Draw(t, "time")),
	}
	for gen := c.First; gen <= c.Last(); gen++ {
		if len(c.Records) > 0 && rapid.IntRange(0, 2).Draw(t, "left out") == 0 {
			continue
		}
		coll := rapid.SampledFrom([]id.Collection{rowsOf("c"), rowsOf("d"), rowsOf("e"), {Kind: id.Syncgroup, Name: rowsOf("c").Name}}).Draw(t, "collection")
		c.Records = append(c.Records, wire.Entry{Collection: coll, Record: drawRecord(t, gen)})
	}
	return c
}

func TestBodyRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawRecord(t, rapid.Uint64Range(2, 1<<62).Draw(t, "gen"))
		data := wire.AppendBody(nil, &want)
		got, err := wire.DecodeBody(data, want.Version)
		if err != nil {
			t.Fatalf("%+v: %v", want, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
		if again := wire.AppendBody([]byte("head"), &got); string(again) != "head"+string(data) {
			t.Fatalf("appended %x, first %x", again, data)
		}
	})
}

func TestCommitRoundTrip(t *testing.T) {
	var encoder wire.CommitEncoder // one for all, to see that it can be used again
	rapid.Check(t, func(t *rapid.T) {
		want := drawCommit(t)
		data := want.Append(nil)
		got, err := wire.DecodeCommit(data)
		if err != nil {
			t.Fatalf("%+v: %v", want, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
		encoder.Begin(want.Writer, want.First, want.Count, want.Time)
		for i := range want.Records {
			r := &want.Records[i]
			encoder.Add(r.Collection, r.Record.Version.Gen, wire.AppendBody(nil, &r.Record))
		}
		if built := encoder.Append(nil); !bytes.Equal(built, data) {
			t.Fatalf("encoder made %x, commit %x", built, data)
		}
	})
}

func TestVectorRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := id.Vector(rapid.MapOf(rapid.Map(rapid.Byte(), writer), rapid.Uint64Min(1)).Draw(t, "vector"))
		data := wire.AppendVector(nil, want)
		got, err := wire.DecodeVector(data)
		if err != nil || got.Compare(want) != id.Equal || len(got) != len(want) {
			t.Fatalf("%s became %s, %v", want, got, err)
		}
	})
}

func TestVersionsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := version('a', rapid.Uint64Min(2).Draw(t, "base"))
		var want []id.Version
		for range rapid.IntRange(0, 5).Draw(t, "count") {
			want = append(want, version(rapid.ByteRange('a', 'c').Draw(t, "writer"), rapid.Uint64Min(1).Draw(t, "gen")))
		}
		data := append(wire.AppendVersions(nil, base, want), "rest"...)
		got, rest, err := wire.DecodeVersions(data, base)
		if err != nil || string(rest) != "rest" {
			t.Fatalf("rest %q, %v", rest, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}

// Writers, as bytes, sort as writers do, because keys are built of them.
func TestWriterOrder(t *testing.T) {
	anybody := rapid.Custom(func(t *rapid.T) id.Writer {
		var w id.Writer
		copy(w.Device[:], rapid.SliceOfN(rapid.ByteRange(0, 2), 8, 8).Draw(t, "device"))
		w.Epoch = rapid.Uint32().Draw(t, "epoch")
		return w
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := anybody.Draw(t, "a"), anybody.Draw(t, "b")
		x, y := wire.AppendWriter(nil, a), wire.AppendWriter(nil, b)
		if len(x) != wire.WriterLen || wire.DecodeWriter(x) != a {
			t.Fatalf("%s became %x", a, x)
		}
		if bytes.Compare(x, y) != a.Compare(b) {
			t.Fatalf("%s and %s sort %d, their bytes %d", a, b, a.Compare(b), bytes.Compare(x, y))
		}
	})
}

// A commit in very many collections is as cheap for each record as one in a few.
func TestEncoderManyCollections(t *testing.T) {
	const n = 20_000
	c := wire.Commit{Writer: writer('a'), First: 1, Count: n}
	for i := range uint64(n) {
		local := strconv.FormatUint(i, 36)
		c.Records = append(c.Records, wire.Entry{Collection: rowsOf(local), Record: wire.Record{Version: version('a', 1+i), Key: "k"}})
	}
	data := c.Append(nil)
	got, err := wire.DecodeCommit(data)
	if err != nil {
		t.Fatal(err)
	}
	for i := range c.Records {
		if got.Records[i].Collection != c.Records[i].Collection {
			t.Fatalf("record %d is in %s, want %s", i, got.Records[i].Collection, c.Records[i].Collection)
		}
	}
	if !bytes.Equal(got.Append(nil), data) {
		t.Error("encoded again it differs")
	}
}

// What is decoded aliases its input, so that values are not copied, but appending to it writes elsewhere.
func TestDecodedValueAliases(t *testing.T) {
	r := wire.Record{Version: version('a', 1), Key: "k", Raw: true, Value: []byte("value")}
	data := append(wire.AppendBody(nil, &r), "behind"...)
	got, err := wire.DecodeBody(data[:len(data)-len("behind")], r.Version)
	if err != nil {
		t.Fatal(err)
	}
	_ = append(got.Value, "XXXXXX"...)
	if !bytes.HasSuffix(data, []byte("behind")) {
		t.Errorf("appending to a value wrote over what follows: %q", data)
	}
}
