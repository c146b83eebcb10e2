package kv

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"net"
	"syscall"
	"testing"
	"time"
)

// sketchStep is how many rows are ingested together.
const sketchStep = 50_000

// BenchmarkSketchSync is what an initial sync is held against: the same work with nothing of what makes it safe. It scans the rows
// of one store, sends them in frames through TLS 1.3, and writes three keys for each in sorted tables that another store ingests.
func BenchmarkSketchSync(b *testing.B) {
	for _, rows := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprint("rows=", rows), func(b *testing.B) {
			from := fill(b, rows)
			var used time.Duration
			for b.Loop() {
				to, err := Open(b.TempDir(), Options{})
				if err != nil {
					b.Fatal(err)
				}
				before := processorTime()
				sender, receiver := tlsPipe(b)
				sent := make(chan error, 1)
				go func() { sent <- errors.Join(sketchSend(from, sender), sender.Close()) }()
				n, err := sketchReceive(receiver, to)
				if err = errors.Join(err, <-sent, receiver.Close()); err != nil || n != rows {
					b.Fatalf("%d rows of %d, %v", n, rows, err)
				}
				used += processorTime() - before
				if err := to.Close(); err != nil {
					b.Fatal(err)
				}
			}
			done := float64(rows) * float64(b.N)
			b.ReportMetric(done/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(used.Seconds()*1e6/done, "cpu-us/row")
		})
	}
}

func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // never fails for oneself
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// fill makes a store of rows of 100 bytes.
func fill(b *testing.B, rows int) *Store {
	b.Helper()
	s, err := Open(b.TempDir(), Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	random := rand.NewChaCha8([32]byte{1})
	value := make([]byte, 100)
	for i := 0; i < rows; {
		batch := s.NewBatch()
		for end := min(rows, i+10_000); i < end; i++ {
			_, _ = random.Read(value[:50]) // never fails
			batch.Set(fmt.Appendf([]byte{0x12, 0, 0, 0, 1, 0, 0, 0, 1}, "AA/%09d", i), value)
		}
		if err := batch.Commit(NoSync); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

func sketchSend(from *Store, to io.Writer) error {
	w := bufio.NewWriterSize(to, 256<<10)
	it, err := from.Iter([]byte{0x12}, []byte{0x13})
	if err != nil {
		return err
	}
	var frame []byte
	for ok := it.First(); ok; ok = it.Next() {
		frame = binary.AppendUvarint(frame[:0], uint64(len(it.Key())))
		frame = binary.AppendUvarint(frame, uint64(len(it.Value())))
		frame = append(append(frame, it.Key()...), it.Value()...)
		if _, err := w.Write(frame); err != nil {
			return errors.Join(err, it.Close())
		}
	}
	return errors.Join(it.Close(), w.Flush())
}

// sketchReceive writes row, log record and place in the log for each row.
func sketchReceive(from io.Reader, to *Store) (rows int, err error) {
	r := bufio.NewReaderSize(from, 256<<10)
	step := make([]entry, 0, sketchStep)
	for {
		e, err := readRow(r)
		if err == nil {
			step = append(step, e)
		}
		if len(step) == sketchStep || err != nil {
			if err := sketchStepIn(to, rows, step); err != nil {
				return rows, err
			}
			rows, step = rows+len(step), step[:0]
		}
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
	}
}

func readRow(r *bufio.Reader) (e entry, err error) {
	keyLen, err := binary.ReadUvarint(r)
	if err != nil {
		return e, err
	}
	valueLen, err := binary.ReadUvarint(r)
	if err != nil {
		return e, err
	}
	data := make([]byte, keyLen+valueLen)
	if _, err := io.ReadFull(r, data); err != nil {
		return e, err
	}
	return entry{key: data[:keyLen], value: data[keyLen:]}, nil
}

func sketchStepIn(to *Store, first int, step []entry) error {
	t := to.NewTables()
	for i := range step {
		if err := t.Set(step[i].key, step[i].value); err != nil {
			return err
		}
	}
	for space := byte(0x14); space < 0x16; space++ {
		key := []byte{space, 0, 0, 0, 1, 0, 0, 0, 1, 'w', 'r', 'i', 't', 'e', 'r'}
		for i := range step {
			value := step[i].value
			if space == 0x15 {
				value = value[:8]
			}
			if err := t.Set(binary.BigEndian.AppendUint64(key, uint64(first+i)), value); err != nil {
				return err
			}
		}
	}
	return t.Ingest()
}

// tlsPipe returns both ends of a connection over loopback.
func tlsPipe(b *testing.B) (near, far net.Conn) {
	b.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(crand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		b.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer listener.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			err = conn.(*tls.Conn).Handshake()
		}
		if err != nil {
			b.Error(err)
		}
		accepted <- conn
	}()
	// Who is at the other end does not matter to what it costs.
	near, err = tls.Dial("tcp", listener.Addr().String(), &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true})
	if err != nil {
		b.Fatal(err)
	}
	return near, <-accepted
}
