package blobs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/syncbase/syncbase/host/internal/chunk"
	"github.com/syncbase/syncbase/host/internal/kv"
)

// errClosed is what a writer answers after its end.
var errClosed = errors.New("pack writer is closed")

// PackWriter stores chunks. While one pack travels to the object store the next one is filled, so it keeps two packs in
// memory at the most. A chunk is stored for certain once Flush or Close has returned without an error; after an error the
// writer is dead, and what it had not stored is forgotten. Safe for concurrent use. Close must be called.
type PackWriter struct {
	s *Store
	// ctx bounds the uploads, which outlive the calls that cause them.
	ctx context.Context
	// turn is held by the one call that changes the writer.
	turn chan struct{}
	// packs tells of those that were asked for whether they are there. Who holds the turn may use it.
	packs map[chunk.Hash]bool

	// mu guards what follows; it is never held while waiting.
	mu      sync.Mutex
	filling *pack
	// sending is the pack under way, nil when there is none.
	sending *pack
	// sent is closed when sending has ended.
	sent chan struct{}
	err  error
}

// NewPackWriter returns a writer whose uploads end with the context.
func (s *Store) NewPackWriter(ctx context.Context) *PackWriter {
	return &PackWriter{s: s, ctx: ctx, turn: make(chan struct{}, 1)}
}

// Add stores a chunk that came from elsewhere, after checking its hash; a wrong one is ErrCorrupt and does no harm. It
// waits when a pack is full and the one before is still under way. data is not kept.
func (w *PackWriter) Add(ctx context.Context, h chunk.Hash, data []byte) error {
	if len(data) == 0 || len(data) > chunk.MaxSize || chunk.Sum(data) != h {
		return fmt.Errorf("%w: %d bytes that do not match chunk %v", ErrCorrupt, len(data), h)
	}
	return w.add(ctx, h, data)
}

// add is Add for bytes whose hash is known.
func (w *PackWriter) add(ctx context.Context, h chunk.Hash, data []byte) error {
	if err := w.lock(ctx); err != nil {
		return err
	}
	defer w.unlock()
	known, err := w.has(ctx, h)
	if err != nil || known {
		return err
	}
	if w.filling != nil && !w.filling.fits(len(data)) {
		if err := w.send(ctx); err != nil {
			return err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.filling == nil {
		w.filling = newPack(w.s.takeBuffer())
	}
	w.filling.add(h, data)
	return nil
}

// has reports whether the chunk is stored or on its way.
func (w *PackWriter) has(ctx context.Context, h chunk.Hash) (bool, error) {
	w.mu.Lock()
	err := w.err
	known := w.filling.has(h) || w.sending.has(h)
	w.mu.Unlock()
	if err != nil || known {
		return known, err
	}
	return w.present(ctx, h)
}

// Get returns a copy of a chunk that was added and may not have been stored yet.
func (w *PackWriter) Get(h chunk.Hash) ([]byte, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range []*pack{w.filling, w.sending} {
		if data, found := p.chunk(h); found {
			return append([]byte(nil), data...), true
		}
	}
	return nil, false
}

// Flush returns when everything added before is durable.
func (w *PackWriter) Flush(ctx context.Context) error {
	if err := w.lock(ctx); err != nil {
		return err
	}
	defer w.unlock()
	if err := w.send(ctx); err != nil {
		return err
	}
	return w.wait(ctx)
}

// Close flushes and ends the writer. It waits for its uploads even when it fails.
func (w *PackWriter) Close(ctx context.Context) error {
	err := w.Flush(ctx)
	if ended := w.end(); err == nil {
		err = ended
	}
	return err
}

// Discard ends the writer without storing more than is under way.
func (w *PackWriter) Discard() { _ = w.end() }

// end waits for what is under way and makes every later call fail.
func (w *PackWriter) end() error {
	w.turn <- struct{}{}
	defer w.unlock()
	w.mu.Lock()
	sending, sent := w.sending, w.sent
	w.mu.Unlock()
	if sending != nil {
		<-sent
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.filling != nil {
		w.s.giveBuffer(w.filling.data)
		w.filling = nil
	}
	err := w.err
	if err == nil {
		w.err = errClosed
	}
	return err
}

func (w *PackWriter) lock(ctx context.Context) error {
	select {
	case w.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *PackWriter) unlock() { <-w.turn }

// send starts the upload of what was filled, after the one before. The caller holds the turn.
func (w *PackWriter) send(ctx context.Context) error {
	if err := w.wait(ctx); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.filling == nil || w.filling.empty() {
		return nil
	}
	p, sent := w.filling, make(chan struct{})
	name := p.seal()
	w.sending, w.sent, w.filling = p, sent, nil
	replace := w.damaged(name)
	delete(w.packs, name)
	go func() {
		var err error
		if replace {
			err = w.s.objects.Delete(w.ctx, packObject(name))
		}
		if err == nil {
			err = w.s.storePack(w.ctx, name, p)
		}
		w.mu.Lock()
		w.sending, w.err = nil, err
		w.mu.Unlock()
		w.s.giveBuffer(p.data)
		close(sent)
	}()
	return nil
}

// wait returns when no upload is under way, with the error of the last one. The caller holds the turn.
func (w *PackWriter) wait(ctx context.Context) error {
	w.mu.Lock()
	sending, sent := w.sending, w.sent
	w.mu.Unlock()
	if sending != nil {
		select {
		case <-sent:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// storePack puts the object and, once that is durable, enters its chunks in the index.
func (s *Store) storePack(ctx context.Context, name chunk.Hash, p *pack) error {
	if err := s.objects.Put(ctx, packObject(name), p.data); err != nil {
		return fmt.Errorf("store pack %v: %w", name, err)
	}
	b := s.kv.NewBatch()
	for _, e := range p.entries {
		b.Set(hashKey(spaceChunk, e.hash), position{pack: name, offset: e.offset, length: e.length}.encode())
	}
	record := binary.BigEndian.AppendUint32(nil, uint32(len(p.data)))
	b.Set(hashKey(spacePack, name), binary.BigEndian.AppendUint32(record, uint32(len(p.entries))))
	if err := b.Commit(kv.Sync); err != nil {
		return err
	}
	s.suspects.clear(name)
	return nil
}

func (s *Store) takeBuffer() []byte {
	if b, ok := s.buffers.Get().(*[]byte); ok {
		return *b
	}
	return nil
}

// giveBuffer keeps the buffer of a pack for the next one. Nobody may use it any more.
func (s *Store) giveBuffer(b []byte) { s.buffers.Put(&b) }
