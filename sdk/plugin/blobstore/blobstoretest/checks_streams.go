package blobstoretest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	blobstorev1 "github.com/syncbase/syncbase/sdk/api/blobstore/v1"
	"github.com/syncbase/syncbase/sdk/plugin/blobstore"
)

func checkDigest(ctx context.Context, e *Env) error {
	for _, size := range []int{0, 10, 2*e.Opts.FrameBytes + 1} {
		key := e.Key(fmt.Sprint("digest", size))
		data := content("right", size)
		object := objectOf(key, data)
		object.SHA256 = bytes.Repeat([]byte{7}, 32)
		if _, err := e.Client.Put(ctx, object, bytes.NewReader(data)); !errors.Is(err, blobstore.ErrCorrupt) {
			return fmt.Errorf("put of %d bytes with a wrong digest: %v, want a corruption error", size, err)
		}
		if err := e.absent(ctx, key); err != nil {
			return err
		}
		object.SHA256 = nil
		if _, err := e.Client.Put(ctx, object, bytes.NewReader(data)); err != nil {
			return fmt.Errorf("put of %d bytes without a digest: %w", size, err)
		}
		if err := e.holds(ctx, key, data); err != nil {
			return err
		}
	}
	return nil
}

// checkFaults sends objects that cannot be stored between others that can.
func checkFaults(ctx context.Context, e *Env) error {
	up, err := e.Client.Upload(ctx)
	if err != nil {
		return err
	}
	defer up.Close()
	good := content("good", 3*e.Opts.FrameBytes)
	wrong := objectOf(e.Key("wrong"), good)
	wrong.SHA256 = make([]byte, 32)
	short := objectOf(e.Key("short digest"), good)
	short.SHA256 = short.SHA256[:31]
	for _, c := range []struct {
		object blobstore.Object
		want   error
	}{
		{objectOf(e.Key("1"), good), nil},
		{objectOf("", good), blobstore.ErrInvalid},
		{objectOf(blobstore.Key(strings.Repeat("k", blobstore.MaxKeyBytes+1)), good), blobstore.ErrInvalid},
		{short, blobstore.ErrInvalid},
		{wrong, blobstore.ErrCorrupt},
		{objectOf(e.Key("2"), good), nil},
	} {
		if err := up.Send(c.object, bytes.NewReader(good)); err != nil {
			return fmt.Errorf("put %q: %w", c.object.Key, err)
		}
		if _, err := up.Answer(); !errors.Is(err, c.want) {
			return fmt.Errorf("put %q: %v, want %v", c.object.Key, err, c.want)
		}
	}
	return errors.Join(e.holds(ctx, e.Key("1"), good), e.holds(ctx, e.Key("2"), good), e.absent(ctx, e.Key("wrong")))
}

func checkPipeline(ctx context.Context, e *Env) error {
	var keys []blobstore.Key
	for i := range 200 {
		keys = append(keys, e.Key(fmt.Sprint(i)))
	}
	if err := e.pipeline(ctx, keys); err != nil {
		return err
	}
	for _, key := range keys {
		if err := e.listed(ctx, key, int64(len(key))); err != nil {
			return err
		}
	}
	return nil
}

// checkBreaches sends frames that break the protocol; the stream has to end, and nothing may have been stored.
func checkBreaches(ctx context.Context, e *Env) error {
	key := e.Key("breach")
	data := content("breach", 100)
	header := func(size uint64) *blobstorev1.PutHeader {
		return &blobstorev1.PutHeader{Key: []byte(key), Size: size}
	}
	huge := make([]byte, e.Opts.FrameBytes+1)
	for name, frames := range map[string][]*blobstorev1.PutRequest{
		"no header":           {{Seq: 1, Last: true, Data: data}},
		"wrong number":        {{Seq: 2, Header: header(100), Last: true, Data: data}},
		"offset at the start": {{Seq: 1, Header: header(101), Offset: 1, Last: true, Data: data}},
		"gap":                 {{Seq: 1, Header: header(200), Data: data}, {Seq: 1, Offset: 101, Last: true, Data: data[:99]}},
		"overlap":             {{Seq: 1, Header: header(200), Data: data}, {Seq: 1, Offset: 99, Last: true, Data: data}},
		"too much":            {{Seq: 1, Header: header(99), Last: true, Data: data}},
		"too little":          {{Seq: 1, Header: header(101), Last: true, Data: data}},
		"last is missing":     {{Seq: 1, Header: header(100), Data: data}, {Seq: 1, Offset: 100, Last: true}},
		"second header":       {{Seq: 1, Header: header(200), Data: data}, {Seq: 1, Header: header(200), Offset: 100, Last: true, Data: data}},
		"next object early":   {{Seq: 1, Header: header(200), Data: data}, {Seq: 2, Header: header(100), Last: true, Data: data}},
		"frame too large":     {{Seq: 1, Header: header(uint64(len(huge))), Last: true, Data: huge}},
		"end in the middle":   {{Seq: 1, Header: header(200), Data: data}},
		"offset overflows":    {{Seq: 1, Header: header(1<<64 - 1), Data: data}, {Seq: 1, Offset: 1<<64 - 1, Last: true, Data: data}},
	} {
		if err := e.breach(ctx, frames); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := e.absent(ctx, key); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (e *Env) breach(ctx context.Context, frames []*blobstorev1.PutRequest) error {
	up, err := e.Client.Upload(ctx)
	if err != nil {
		return err
	}
	defer up.Close()
	for _, frame := range frames {
		if err := up.SendFrame(frame); err != nil {
			break // the store may end the stream before it has seen all of it
		}
	}
	if err := up.Finish(); err != nil {
		return err
	}
	if _, err := up.Answer(); !errors.Is(err, blobstore.ErrInvalid) {
		return fmt.Errorf("answered with %v, want an invalid request", err)
	}
	return nil
}

func checkCancelledPut(ctx context.Context, e *Env) error {
	key := e.Key("cancelled")
	data := content("cancelled", 4*e.Opts.FrameBytes)
	for _, sent := range []int{0, 1, 3} {
		if err := e.halfPut(ctx, key, data, sent); err != nil {
			return err
		}
		if err := e.absent(ctx, key); err != nil {
			return fmt.Errorf("after %d of 4 frames: %w", sent, err)
		}
	}
	if err := e.put(ctx, key, data); err != nil {
		return fmt.Errorf("after cancelled attempts: %w", err)
	}
	return e.holds(ctx, key, data)
}

// halfPut sends some frames of an object, makes sure by a first object that the stream has been served, and cancels.
func (e *Env) halfPut(ctx context.Context, key blobstore.Key, data []byte, frames int) error {
	up, err := e.Client.Upload(ctx)
	if err != nil {
		return err
	}
	defer up.Close()
	return e.beginPut(up, key, data, frames)
}

func (e *Env) beginPut(up *blobstore.Upload, key blobstore.Key, data []byte, frames int) error {
	first := objectOf(e.Key("before "+string(key[len(e.prefix):])), nil)
	if err := up.Send(first, bytes.NewReader(nil)); err != nil {
		return err
	}
	if _, err := up.Answer(); err != nil {
		return err
	}
	header := &blobstorev1.PutHeader{Key: []byte(key), Size: uint64(len(data))}
	for i := range frames {
		offset := i * e.Opts.FrameBytes
		frame := &blobstorev1.PutRequest{Seq: 2, Header: header, Offset: uint64(offset), Data: data[offset : offset+e.Opts.FrameBytes]}
		if err := up.SendFrame(frame); err != nil {
			return err
		}
		header = nil
	}
	return nil
}

func checkCancelledGets(ctx context.Context, e *Env) error {
	key := e.Key("large")
	data := content("large", 8<<20)
	if err := e.put(ctx, key, data); err != nil {
		return err
	}
	for range 64 {
		r, _, err := e.Client.Open(ctx, key, 0, 0)
		if err != nil {
			return err
		}
		if _, err := r.Read(make([]byte, 10)); err != nil {
			return err
		}
		if err := r.Close(); err != nil {
			return err
		}
	}
	return e.holds(ctx, key, data)
}
