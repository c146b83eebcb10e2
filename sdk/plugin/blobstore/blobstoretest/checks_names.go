package blobstoretest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	blobstorev1 "github.com/syncbase/syncbase/sdk/api/blobstore/v1"
	"github.com/syncbase/syncbase/sdk/plugin/blobstore"
)

// checkKeys uses names that file systems, URLs and databases like to change.
func checkKeys(ctx context.Context, e *Env) error {
	names := []string{
		"\x00", "\x00\x00", "\xff", "\xff\xff", "\xfe\x00", "/", "//", "a/", "a/b", ".", "..", "../..", "../../etc/passwd", "/etc/passwd",
		"a", "A", "aa", "a.tmp", "CON", "nul.txt", "\n", "\r\n", " ", "a ", "%2e%2e", "%", "?x=y#z", "é", "e\u0301", "\\", "a\\b", "*", "~",
		strings.Repeat("k", blobstore.MaxKeyBytes-len(e.prefix)),
		strings.Repeat("\xff", blobstore.MaxKeyBytes-len(e.prefix)),
		strings.Repeat("/", blobstore.MaxKeyBytes-len(e.prefix)),
	}
	var want []blobstore.Key
	for _, name := range names {
		key := e.Key(name)
		if err := e.put(ctx, key, []byte(name)); err != nil {
			return err
		}
		want = append(want, key)
	}
	for i, name := range names {
		if err := e.holds(ctx, want[i], []byte(name)); err != nil {
			return err
		}
	}
	slices.Sort(want)
	got, err := e.keys(ctx, "", "")
	if err != nil {
		return err
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("list: %q, want %q", got, want)
	}
	return nil
}

func checkLists(ctx context.Context, e *Env) error {
	want := make([]blobstore.Key, e.Opts.ListKeys)
	for i := range want {
		want[i] = e.Key(fmt.Sprintf("%c%05d", "abc"[i%3], i))
	}
	if err := e.putMany(ctx, want, 8); err != nil {
		return err
	}
	slices.Sort(want)
	middle := want[len(want)/2]
	for _, c := range []struct {
		prefix, after blobstore.Key
		limit         uint64
	}{
		{prefix: e.Key("")},
		{prefix: e.Key("b")},
		{prefix: e.Key("nothing begins so")},
		{prefix: want[3]},
		{prefix: e.Key(""), after: middle},
		{prefix: e.Key(""), after: middle + "\x00"},
		{prefix: e.Key("a"), after: e.Key("b")},
		{prefix: e.Key("c"), after: e.Key("b")},
		{prefix: e.Key(""), after: want[len(want)-1]},
		{prefix: e.Key(""), limit: 1},
		{prefix: e.Key(""), limit: blobstore.PageEntries},
		{prefix: e.Key(""), limit: blobstore.PageEntries + 1},
		{prefix: e.Key("b"), after: middle, limit: 17},
	} {
		expect := slices.Clone(want)
		expect = slices.DeleteFunc(expect, func(k blobstore.Key) bool {
			return k <= c.after || !strings.HasPrefix(string(k), string(c.prefix))
		})
		if c.limit > 0 {
			expect = expect[:min(len(expect), int(c.limit))]
		}
		var got []blobstore.Key
		for info, err := range e.Client.ListLimit(ctx, c.prefix, c.after, c.limit) {
			if err != nil {
				return fmt.Errorf("list: %w", err)
			}
			got = append(got, info.Key)
		}
		if !slices.Equal(got, expect) {
			return fmt.Errorf("list prefix %q after %q limit %d: %d keys, want %d, or in another order", c.prefix, c.after, c.limit, len(got), len(expect))
		}
	}
	return nil
}

// putMany puts an object of its own name for every key, over several streams.
func (e *Env) putMany(ctx context.Context, keys []blobstore.Key, streams int) error {
	faults := make([]error, streams)
	var wg sync.WaitGroup
	for i := range streams {
		wg.Go(func() {
			var mine []blobstore.Key
			for j := i; j < len(keys); j += streams {
				mine = append(mine, keys[j])
			}
			faults[i] = e.pipeline(ctx, mine)
		})
	}
	wg.Wait()
	return errors.Join(faults...)
}

// pipeline puts objects on one stream without waiting for answers in between.
func (e *Env) pipeline(ctx context.Context, keys []blobstore.Key) error {
	up, err := e.Client.Upload(ctx)
	if err != nil {
		return err
	}
	defer up.Close()
	answers := make(chan error, 1)
	go func() {
		for _, key := range keys {
			outcome, err := up.Answer()
			if err == nil && outcome != blobstore.Stored {
				err = fmt.Errorf("outcome %d, want Stored", outcome)
			}
			if err != nil {
				answers <- fmt.Errorf("put %q: %w", key, err)
				return
			}
		}
		answers <- nil
	}()
	for _, key := range keys {
		data := []byte(key)
		if err := up.Send(objectOf(key, data), bytes.NewReader(data)); err != nil {
			return errors.Join(err, <-answers)
		}
	}
	return errors.Join(up.Finish(), <-answers)
}

func checkBatches(ctx context.Context, e *Env) error {
	stub := blobstorev1.NewBlobStoreServiceClient(e.Conn)
	keys := make([][]byte, blobstore.MaxBatch+1)
	for i := range keys {
		keys[i] = []byte(e.Key(fmt.Sprint(i)))
	}
	answer, err := stub.Stat(ctx, &blobstorev1.StatRequest{Keys: keys[:blobstore.MaxBatch]})
	if err != nil || len(answer.GetEntries()) != blobstore.MaxBatch {
		return fmt.Errorf("stat of %d keys: %d entries, %v", blobstore.MaxBatch, len(answer.GetEntries()), err)
	}
	if _, err := stub.Stat(ctx, &blobstorev1.StatRequest{Keys: keys}); status.Code(err) != codes.InvalidArgument {
		return fmt.Errorf("stat of %d keys: %v, want InvalidArgument", len(keys), err)
	}
	if _, err := stub.Delete(ctx, &blobstorev1.DeleteRequest{Keys: keys}); status.Code(err) != codes.InvalidArgument {
		return fmt.Errorf("delete of %d keys: %v, want InvalidArgument", len(keys), err)
	}
	ranges := make([]*blobstorev1.Range, blobstore.MaxRanges+1)
	for i := range ranges {
		ranges[i] = &blobstorev1.Range{Key: keys[0]}
	}
	stream, err := stub.Get(ctx, &blobstorev1.GetRequest{Ranges: ranges})
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.InvalidArgument {
		return fmt.Errorf("get of %d ranges: %v, want InvalidArgument", len(ranges), err)
	}
	return nil
}
