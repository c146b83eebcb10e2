package blobstoretest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"testing/iotest"

	blobstorev1 "github.com/syncbase/syncbase/sdk/api/blobstore/v1"
	"github.com/syncbase/syncbase/sdk/plugin/blobstore"
)

// Checks lists the contract, simple things first.
func Checks() []Check {
	return []Check{
		{Name: "absent objects", Run: checkAbsent},
		{Name: "sizes around frames", Run: checkSizes},
		{Name: "reader that ends with data", Run: checkDataWithEOF},
		{Name: "ranges", Run: checkRanges},
		{Name: "many ranges in one get", Run: checkManyRanges},
		{Name: "objects never change", Run: checkImmutable},
		{Name: "delete and put again", Run: checkDelete},
		{Name: "opaque keys", Run: checkKeys},
		{Name: "lists", Run: checkLists},
		{Name: "bounds of batches", Run: checkBatches},
		{Name: "usage", Run: checkUsage},
		{Name: "wrong digest", Run: checkDigest},
		{Name: "fault leaves the stream up", Run: checkFaults},
		{Name: "answers in order", Run: checkPipeline},
		{Name: "breaches of the protocol", Run: checkBreaches},
		{Name: "cancelled put", Run: checkCancelledPut},
		{Name: "cancelled gets", Run: checkCancelledGets},
		{Name: "many writers of one key", Run: checkOneKey},
		{Name: "everything at once", Run: checkMixed},
		{Name: "health under load", Run: checkHealth},
		{Name: "local files", Needs: blobstore.LocalFiles, Run: checkLocate},
		{Name: "durable after drain", Needs: NeedsReopen, Run: checkDrain},
		{Name: "full store", Needs: NeedsSmall, Run: checkFull},
	}
}

func checkAbsent(ctx context.Context, e *Env) error {
	if err := e.absent(ctx, e.Key("nothing")); err != nil {
		return err
	}
	if err := e.Client.Delete(ctx, e.Key("nothing")); err != nil {
		return fmt.Errorf("delete what is absent: %w", err)
	}
	keys, err := e.keys(ctx, "", "")
	if err == nil && len(keys) > 0 {
		err = fmt.Errorf("list of an unused prefix: %q", keys)
	}
	return err
}

func checkSizes(ctx context.Context, e *Env) error {
	frame := e.Opts.FrameBytes
	for _, size := range []int{0, 1, frame - 1, frame, frame + 1, 3*frame + 7, 17 << 20} {
		key := e.Key(fmt.Sprint(size))
		data := content(string(key), size)
		if err := e.put(ctx, key, data); err != nil {
			return err
		}
		if err := e.holds(ctx, key, data); err != nil {
			return err
		}
		if err := e.Client.Delete(ctx, key); err != nil {
			return fmt.Errorf("delete %q: %w", key, err)
		}
		if err := e.absent(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

func checkDataWithEOF(ctx context.Context, e *Env) error {
	key := e.Key("eof")
	data := content("eof", 2*e.Opts.FrameBytes+11)
	reader := iotest.DataErrReader(bytes.NewReader(data))
	if _, err := e.Client.Put(ctx, objectOf(key, data), reader); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	return e.holds(ctx, key, data)
}

func checkRanges(ctx context.Context, e *Env) error {
	key := e.Key("ranges")
	frame := int64(e.Opts.FrameBytes)
	size := 2*frame + 5
	data := content("ranges", int(size))
	if err := e.put(ctx, key, data); err != nil {
		return err
	}
	good := [][2]int64{{0, 1}, {0, frame}, {1, frame}, {frame - 1, 2}, {frame, frame}, {size - 1, 1}, {0, size}, {7, 0}, {size, 0}}
	for _, r := range good {
		end := r[0] + r[1]
		if r[1] == 0 {
			end = size
		}
		got, whole, err := e.read(ctx, key, r[0], r[1])
		if err != nil {
			return fmt.Errorf("%d bytes at %d of %d: %w", r[1], r[0], size, err)
		}
		if whole != size || !bytes.Equal(got, data[r[0]:end]) {
			return fmt.Errorf("%d bytes at %d of %d: got %d bytes of %d, or others", r[1], r[0], size, len(got), whole)
		}
	}
	for _, r := range [][2]int64{{size, 1}, {size + 1, 0}, {size - 1, 2}, {0, size + 1}, {1 << 40, 1}, {1 << 62, 1 << 62}} {
		if _, _, err := e.read(ctx, key, r[0], r[1]); !errors.Is(err, blobstore.ErrRange) {
			return fmt.Errorf("%d bytes at %d of %d: %v, want a range error", r[1], r[0], size, err)
		}
	}
	return nil
}

// checkManyRanges puts a missing object between two that are there.
func checkManyRanges(ctx context.Context, e *Env) error {
	a, b := content("a", 1000), content("b", e.Opts.FrameBytes+1)
	if err := errors.Join(e.put(ctx, e.Key("a"), a), e.put(ctx, e.Key("b"), b)); err != nil {
		return err
	}
	stream, err := blobstorev1.NewBlobStoreServiceClient(e.Conn).Get(ctx, &blobstorev1.GetRequest{Ranges: []*blobstorev1.Range{
		{Key: []byte(e.Key("a")), Offset: 10, Length: 20},
		{Key: []byte(e.Key("missing"))},
		{Key: []byte(e.Key("b"))},
	}})
	if err != nil {
		return err
	}
	var got [3][]byte
	for {
		frame, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("the stream ends before the last range: %w", err)
		}
		i := frame.GetIndex()
		if i > 2 || (frame.GetFault() != nil) != (i == 1) {
			return fmt.Errorf("range %d: fault %v", i, frame.GetFault())
		}
		got[i] = append(got[i], frame.GetData()...)
		if i == 2 && frame.GetLast() {
			break
		}
	}
	if !bytes.Equal(got[0], a[10:30]) || !bytes.Equal(got[2], b) {
		return fmt.Errorf("the ranges around a missing object have %d and %d bytes, or wrong ones", len(got[0]), len(got[2]))
	}
	return nil
}

func checkImmutable(ctx context.Context, e *Env) error {
	key := e.Key("same")
	data := content("first", 5000)
	if err := e.put(ctx, key, data); err != nil {
		return err
	}
	for _, other := range [][]byte{data, content("second", 5000), content("third", 3*e.Opts.FrameBytes), {}} {
		outcome, err := e.Client.Put(ctx, objectOf(key, other), bytes.NewReader(other))
		if err != nil {
			return fmt.Errorf("put of %d bytes over an object: %w", len(other), err)
		}
		if outcome != blobstore.Exists {
			return fmt.Errorf("put of %d bytes over an object: outcome %d, want Exists", len(other), outcome)
		}
		if err := e.holds(ctx, key, data); err != nil {
			return err
		}
	}
	return nil
}

func checkDelete(ctx context.Context, e *Env) error {
	key := e.Key("again")
	for _, seed := range []string{"one", "two"} {
		data := content(seed, 777)
		if err := e.put(ctx, key, data); err != nil {
			return err
		}
		if err := e.holds(ctx, key, data); err != nil {
			return err
		}
		if err := e.Client.Delete(ctx, key); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
		if err := e.absent(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

func checkUsage(ctx context.Context, e *Env) error {
	if err := e.put(ctx, e.Key("u"), content("u", 4096)); err != nil {
		return err
	}
	usage, err := e.Client.Usage(ctx)
	if err != nil {
		return fmt.Errorf("usage: %w", err)
	}
	if usage.Objects > math.MaxInt64 || usage.Bytes > math.MaxInt64 {
		return fmt.Errorf("usage: %d objects, %d bytes: negative numbers?", usage.Objects, usage.Bytes)
	}
	return nil
}

func checkLocate(ctx context.Context, e *Env) error {
	key := e.Key("local")
	data := content("local", e.Opts.FrameBytes+3)
	if err := e.put(ctx, key, data); err != nil {
		return err
	}
	at, err := e.Client.Locate(ctx, key)
	if err != nil {
		return fmt.Errorf("locate: %w", err)
	}
	f, err := os.Open(at.Path)
	if err != nil {
		return fmt.Errorf("locate: %w", err)
	}
	defer f.Close()
	got := make([]byte, at.Length)
	if _, err := f.ReadAt(got, at.Offset); err != nil {
		return fmt.Errorf("locate: read %d bytes at %d: %w", at.Length, at.Offset, err)
	}
	if !bytes.Equal(got, data) {
		return fmt.Errorf("locate: the file %s holds other bytes", at.Path)
	}
	if _, err := e.Client.Locate(ctx, e.Key("missing")); !errors.Is(err, blobstore.ErrNotFound) {
		return fmt.Errorf("locate what is absent: %v, want not found", err)
	}
	return nil
}
