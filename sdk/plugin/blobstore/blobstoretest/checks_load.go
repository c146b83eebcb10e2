package blobstoretest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	pluginv1 "github.com/syncbase/syncbase/sdk/api/plugin/v1"
	"github.com/syncbase/syncbase/sdk/plugin/blobstore"
)

// checkOneKey lets many writers put different bytes under one key: one of them wins and the others are told.
func checkOneKey(ctx context.Context, e *Env) error {
	const writers = 64
	key := e.Key("contended")
	var stored atomic.Int64
	winner := make(chan []byte, writers)
	faults := make([]error, writers)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			data := content(fmt.Sprint("writer", i), e.Opts.FrameBytes+i)
			outcome, err := e.Client.Put(ctx, objectOf(key, data), bytes.NewReader(data))
			if err != nil {
				faults[i] = fmt.Errorf("writer %d: %w", i, err)
			} else if outcome == blobstore.Stored {
				stored.Add(1)
				winner <- data
			}
		})
	}
	wg.Wait()
	if err := errors.Join(faults...); err != nil {
		return err
	}
	if n := stored.Load(); n != 1 {
		return fmt.Errorf("%d of %d writers of one key were told Stored, want 1", n, writers)
	}
	return e.holds(ctx, key, <-winner)
}

// checkMixed puts, reads, lists and deletes from several sides, each on keys of its own, and verifies every read.
func checkMixed(ctx context.Context, e *Env) error {
	const sides, rounds = 8, 10
	faults := make([]error, sides)
	var wg sync.WaitGroup
	for i := range sides {
		wg.Go(func() {
			for round := range rounds {
				key := e.Key(fmt.Sprintf("side%d/%d", i, round))
				data := content(string(key), 1+round*e.Opts.FrameBytes/5)
				if err := errors.Join(e.put(ctx, key, data), e.holds(ctx, key, data)); err != nil {
					faults[i] = err
					return
				}
				if round%2 == 0 {
					if err := errors.Join(e.Client.Delete(ctx, key), e.absent(ctx, key)); err != nil {
						faults[i] = err
						return
					}
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(faults...)
}

// checkHealth asks for health while writers are busy: the host gives up on an answer after two seconds.
func checkHealth(ctx context.Context, e *Env) error {
	loadCtx, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	for i := range 4 {
		wg.Go(func() {
			for round := 0; loadCtx.Err() == nil; round++ {
				key := e.Key(fmt.Sprintf("load%d/%d", i, round%4))
				data := content(string(key), 4<<20)
				// Failures are the business of other checks; these are cut off in the end.
				_, _ = e.Client.Put(loadCtx, objectOf(key, data), bytes.NewReader(data))
				_ = e.Client.Delete(loadCtx, key)
			}
		})
	}
	stub := pluginv1.NewPluginServiceClient(e.Conn)
	for range 10 {
		if err := askHealth(ctx, stub); err != nil {
			return err
		}
	}
	return nil
}

func askHealth(ctx context.Context, stub pluginv1.PluginServiceClient) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	answer, err := stub.Health(ctx, &pluginv1.HealthRequest{})
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	if answer.GetState() == pluginv1.State_STATE_NOT_SERVING || answer.GetState() == pluginv1.State_STATE_UNSPECIFIED {
		return fmt.Errorf("health: %v, %s", answer.GetState(), answer.GetMessage())
	}
	return nil
}

// checkDrain starts the store again in the middle of a put: what was acknowledged is there, the rest is absent or whole.
func checkDrain(ctx context.Context, e *Env) error {
	kept, half := e.Key("kept"), e.Key("half")
	data := content("kept", 4*e.Opts.FrameBytes)
	if err := e.put(ctx, kept, data); err != nil {
		return err
	}
	up, err := e.Client.Upload(ctx)
	if err != nil {
		return err
	}
	defer up.Close()
	if err := e.beginPut(up, half, data, 2); err != nil {
		return err
	}
	conn, err := e.Opts.Reopen(ctx)
	if err != nil {
		return fmt.Errorf("start the store again: %w", err)
	}
	e.connect(conn)
	if err := e.holds(ctx, kept, data); err != nil {
		return err
	}
	if e.absent(ctx, half) == nil {
		err = e.put(ctx, half, data)
	}
	return errors.Join(err, e.holds(ctx, half, data))
}

// checkFull writes until nothing fits any more; the store has to say so, to keep what it has and to recover.
func checkFull(ctx context.Context, e *Env) error {
	old := e.Conn
	e.connect(e.Opts.Small)
	defer func() { e.connect(old) }()
	const piece, most = 1 << 20, 65
	kept := 0
	var err error
	for ; kept < most && err == nil; kept++ {
		key := e.Key(fmt.Sprintf("%03d", kept))
		err = e.put(ctx, key, content(string(key), piece))
	}
	if !errors.Is(err, blobstore.ErrFull) {
		return fmt.Errorf("after %d MiB: %v, want an error that says full", kept, err)
	}
	kept--
	if err := e.absent(ctx, e.Key(fmt.Sprintf("%03d", kept))); err != nil {
		return fmt.Errorf("the object that did not fit: %w", err)
	}
	for i := range kept {
		key := e.Key(fmt.Sprintf("%03d", i))
		if err := e.holds(ctx, key, content(string(key), piece)); err != nil {
			return fmt.Errorf("in a full store: %w", err)
		}
	}
	if err := e.clean(ctx); err != nil {
		return err
	}
	return errors.Join(e.put(ctx, e.Key("again"), content("again", piece)), e.clean(ctx))
}
