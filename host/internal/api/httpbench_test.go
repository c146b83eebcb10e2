package api

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
	"github.com/syncbase/syncbase/sdk/client"
)

// BenchmarkHTTP reads over HTTP what BenchmarkCall reads over gRPC: one row, and a scan of 10,000.
func BenchmarkHTTP(b *testing.B) {
	v := newWeb(b)
	v.fill(b, 10_000)
	read := func(b *testing.B, path string) {
		for b.Loop() {
			resp, err := v.http.Get("http://localhost" + path)
			if err != nil {
				b.Fatal(err)
			}
			n, err := io.Copy(io.Discard, resp.Body)
			if err != nil || resp.StatusCode != http.StatusOK {
				b.Fatal(resp.Status, err)
			}
			b.SetBytes(n)
			_ = resp.Body.Close()
		}
	}
	b.Run("row", func(b *testing.B) { read(b, httpRows+"/k00000") })
	b.Run("scan", func(b *testing.B) { read(b, httpRows) })
}

// BenchmarkCall is the baseline of BenchmarkHTTP.
func BenchmarkCall(b *testing.B) {
	w := newWorld(b)
	w.fill(b, 10_000)
	b.Run("row", func(b *testing.B) {
		for b.Loop() {
			if _, err := w.raw.Get(b.Context(), &nodev1.GetRequest{Database: "db", Collection: "c", Key: "k00000"}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("scan", func(b *testing.B) {
		for b.Loop() {
			if err := drain(w.raw.Scan(b.Context(), &nodev1.ScanRequest{Database: "db", Collection: "c"})); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// fill writes rows with values of 100 bytes.
func (w *world) fill(b *testing.B, n int) {
	b.Helper()
	c := w.collection("db", "c")
	var ops []client.Op
	for i := range n {
		op, err := c.PutOp(fmt.Sprintf("k%05d", i), strings.Repeat("v", 98))
		if err != nil {
			b.Fatal(err)
		}
		ops = append(ops, op)
	}
	if _, err := w.client().Database("db").Commit(b.Context(), ops...); err != nil {
		b.Fatal(err)
	}
}
