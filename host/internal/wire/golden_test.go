package wire_test

import (
	"encoding/hex"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/wire"
)

// unhex reads hexadecimal with blanks and line breaks anywhere.
func unhex(t *testing.T, text string) []byte {
	data, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The encodings of the sample records, by hand from the layout. They lie in logs and must never change.
var goldenBodies = []string{
	// put, typed, JSON: flags, key "k", no parents, type "note", value
	"08 016b 00 046e6f7465 7b226e223a317d",
	// access list: no key, one parent one generation before
	"00 00 01 0001 7b7d",
	// delete: parent of writer b, seen {b:300}
	"11 016b 01 01 000000000000006200000001ac02 01 000000000000006200000001ac02",
	// link: winner of b, loser of a, seen {b:300 c:1}
	"12 016b 02 01 000000000000006200000001ac02 0001 02 000000000000006200000001ac02 000000000000006300000001 01",
	// put of bytes
	"04 08d0bad0bbd18ed187 00 000102",
	// resolution by a delete: parents of b and c, seen {b:300 c:1}, beside a7 (five before), b299, round 3
	"71 016b 02 01 000000000000006200000001ac02 01 00000000000000630000000101" +
		"02 000000000000006200000001ac02 00000000000000630000000101 02 0005 01 000000000000006200000001ab02 03",
}

func TestGoldenBodies(t *testing.T) {
	for i, r := range sampleRecords() {
		want := unhex(t, goldenBodies[i])
		if got := wire.AppendBody(nil, &r); string(got) != string(want) {
			t.Errorf("record %d is %x, want %x", i, got, want)
		}
	}
}

func TestGoldenCommit(t *testing.T) {
	want := "01 000000000000006100000001 07 06 1000000000000000 00 00" + // version, writer, first, count, time, author, signature
		"02 00 016f 0163   01 016f 0163" // two collections
	want += "06"
	for i, head := range []string{"00 00 10", "01 00 07", "02 01 22", "03 00 31", "04 00 0e", "05 00 50"} { // index, collection, length
		want += head + goldenBodies[i]
	}
	c := sampleCommit()
	if got, want := hex.EncodeToString(c.Append(nil)), strings.Join(strings.Fields(want), ""); got != want {
		t.Errorf("commit is\n%s, want\n%s", got, want)
	}
}

func TestGoldenVector(t *testing.T) {
	got := wire.AppendVector(nil, id.Vector{writer('b'): 128, writer('a'): 1})
	want := unhex(t, "02 000000000000006100000001 01 000000000000006200000001 8001")
	if string(got) != string(want) {
		t.Errorf("vector is %x, want %x", got, want)
	}
}

// Every rule of a body has a body that breaks it and nothing else. They are read as generation 10 of writer a.
func TestBodyRefusals(t *testing.T) {
	b5 := "01 000000000000006200000001 05"
	tests := map[string]string{
		"nothing":                            "",
		"unknown flag":                       "80 016b 00",
		"beside is announced and empty":      "20 016b 00 00",
		"beside is itself":                   "20 016b 00 01 01 000000000000006100000001 0a",
		"beside twice":                       "20 016b 00 02 0001 0001",
		"beside out of order":                "20 016b 00 02 0001 0002",
		"resolution of one":                  "40 016b 01 " + b5 + "01",
		"resolution of round 0":              "40 016b 02 " + b5 + "0001 00",
		"resolution of too high a round":     "40 016b 02 " + b5 + "0001 8002",
		"resolution that is a link":          "42 016b 02 " + b5 + "0001 01",
		"unknown kind":                       "03 016b 00",
		"key cut short":                      "00 026b",
		"key without parents":                "00 016b",
		"key length not shortest":            "00 81006b 00",
		"key longer than allowed":            "00 8120" + strings.Repeat("6b", 4097) + "00",
		"key with a control character":       "00 0107 00",
		"key not UTF-8":                      "00 01ff 00",
		"key length overflows":               "00 ffffffffffffffffff7f",
		"number too long":                    "00 ffffffffffffffffffff01",
		"more parents than bytes":            "00 016b 05 0001",
		"more parents than allowed":          "00 016b 8102" + strings.Repeat("0001", 257),
		"parent of unknown form":             "00 016b 01 0201",
		"parent cut short":                   "00 016b 01 01 0000",
		"parent is itself":                   "00 016b 01 0000",
		"parent before the first":            "00 016b 01 000a",
		"parent later, same writer":          "00 016b 01 01 000000000000006100000001 0b",
		"parent not in its shortest form":    "00 016b 01 01 000000000000006100000001 05",
		"parent of generation 0":             "00 016b 01 01 000000000000006200000001 00",
		"parent of nobody":                   "00 016b 01 01 000000000000000000000000 01",
		"seen is announced and empty":        "10 016b 00 00",
		"seen has its own writer":            "10 016b 00 01 000000000000006100000001 01",
		"seen has generation 0":              "10 016b 00 01 000000000000006200000001 00",
		"seen has nobody":                    "10 016b 00 01 000000000000000000000000 01",
		"seen out of order":                  "10 016b 00 02 000000000000006300000001 01 000000000000006200000001 01",
		"seen twice":                         "10 016b 00 02 000000000000006200000001 01 000000000000006200000001 01",
		"seen longer than the body":          "10 016b 00 ffff03 000000000000006200000001 01",
		"type is announced and empty":        "08 016b 00 00",
		"type too long":                      "08 016b 00 8102" + strings.Repeat("61", 257),
		"type with a control character":      "08 016b 00 0107",
		"value too long":                     "00 016b 00" + strings.Repeat("61", wire.MaxValueLen+1),
		"delete with a value":                "01 016b 00 61",
		"delete of bytes":                    "05 016b 00",
		"delete with a type":                 "09 016b 00 0161",
		"link with a value":                  "02 016b 02 " + b5 + "0001 61",
		"link without a loser":               "02 016b 01 " + b5,
		"link without anything":              "02 016b 00",
		"more writers seen than are allowed": "10 016b 00 818004" + strings.Repeat("00", 65537*13),
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			if r, err := wire.DecodeBody(unhex(t, text), version('a', 10)); !errors.Is(err, wire.ErrMalformed) {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
}

// The same for commits.
func TestCommitRefusals(t *testing.T) {
	const (
		head  = "01 000000000000006100000001 07 02 0000000000000001 00 00"
		colls = "01 00 016f 0163"
		body  = "00 016b 00"
		rec   = "00 00 04 00 016b 00"
	)
	good := head + colls + "01" + rec
	if _, err := wire.DecodeCommit(unhex(t, good)); err != nil {
		t.Fatalf("the commit that is to be broken: %v", err)
	}
	tests := map[string]string{
		"nothing":                       "",
		"other version":                 "02" + good[2:],
		"cut in its head":               "01 0000000000",
		"nobody's":                      "01 000000000000000000000000 07 02 0000000000000001 00 00" + colls + "01" + rec,
		"first generation 0":            "01 000000000000006100000001 00 02 0000000000000001 00 00" + colls + "01" + rec,
		"of no records":                 "01 000000000000006100000001 07 00 0000000000000001 00 00" + colls + "01" + rec,
		"of too many records":           "01 000000000000006100000001 07 a18d06 0000000000000001 00 00" + colls + "01" + rec,
		"generations overflow":          "01 000000000000006100000001 ffffffffffffffffff01 02 0000000000000001 00 00" + colls + "01" + rec,
		"with an author":                "01 000000000000006100000001 07 02 0000000000000001 0161 00" + colls + "01" + rec,
		"with a signature":              "01 000000000000006100000001 07 02 0000000000000001 00 0161" + colls + "01" + rec,
		"without records":               head + "00 00",
		"collection without a record":   head + "02 00 016f 0163 00 016f 0164 01" + rec,
		"collection twice":              head + "02 00 016f 0163 00 016f 0163 02 00 00 04" + body + "01 01 04" + body,
		"more collections than records": head + "03 00 016f 0163 00 016f 0164 00 016f 0165 01" + rec,
		"collection of unknown kind":    head + "01 02 016f 0163 01" + rec,
		"collection without a name":     head + "01 00 016f 00 01" + rec,
		"collection without an owner":   head + "01 00 00 0163 01" + rec,
		"collection of a bad owner":     head + "01 00 014f 0163 01" + rec,
		"collections not in first use":  head + "02 00 016f 0163 00 016f 0164 02 00 01 04" + body + "01 00 04" + body,
		"collection out of range":       head + colls + "01 00 01 04" + body,
		"record out of range":           head + colls + "01 02 00 04" + body,
		"records out of order":          head + colls + "02 01 00 04" + body + rec,
		"record twice":                  head + colls + "02" + rec + rec,
		"more records than it has":      head + colls + "03" + rec + "01 00 04" + body + "02 00 04" + body,
		"record cut short":              head + colls + "01 00 00 05" + body,
		"record malformed":              head + colls + "01 00 00 04 03 016b 00",
		"something behind":              good + "00",
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			if c, err := wire.DecodeCommit(unhex(t, text)); !errors.Is(err, wire.ErrMalformed) {
				t.Errorf("got %+v, %v", c, err)
			}
		})
	}
	for cut := range unhex(t, good) {
		if _, err := wire.DecodeCommit(unhex(t, good)[:cut]); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("cut at byte %d: %v", cut, err)
		}
	}
	if _, err := wire.DecodeCommit(make([]byte, wire.MaxCommitLen+1)); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("too long a commit: %v", err)
	}
}

// A few bytes that announce very much are refused before room is made for it.
func TestGarbageAllocatesLittle(t *testing.T) {
	const count = "e0d403" // 60,000, as many as there are bytes behind
	junk := strings.Repeat("00", 60_000)
	head := "01 000000000000006100000001 07 a08d06 0000000000000001 00 00"
	commit := func(data []byte) { _, _ = wire.DecodeCommit(data) }
	tests := map[string]struct {
		data   string
		decode func([]byte)
	}{
		"vector":      {count + junk, func(data []byte) { _, _ = wire.DecodeVector(data) }},
		"parents":     {"00 016b 8002 0001", func(data []byte) { _, _ = wire.DecodeBody(data, version('a', 10)) }},
		"collections": {head + count + junk, commit},
		"records":     {head + "01 00 016f 0163" + count + junk, commit},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			data := unhex(t, test.data)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			test.decode(data)
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > 100_000 {
				t.Errorf("%d bytes allocated for %d bytes of garbage", got, len(data))
			}
		})
	}
}
