package peer

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	peerv1 "github.com/syncbase/syncbase/sdk/api/peer/v1"
)

// FeatureHoldBack in Hello says that this daemon understands Elsewhere in a pull.
const FeatureHoldBack = "holdback"

// Tell tells the responder what this side gets from elsewhere. The peer must have FeatureHoldBack. It may block while the
// connection is slow.
func (p *PullStream) Tell(e delta.Elsewhere) error {
	p.send.Lock()
	defer p.send.Unlock()
	err := p.stream.Send(&peerv1.PullRequest{Elsewhere: encodeElsewhere(e)})
	if err != nil && !errors.Is(err, io.EOF) { // at io.EOF the stream has ended, and Recv tells why
		return p.link.failed(err)
	}
	return err
}

// Said implements ServerStream.
func (p *pullSender) Said() <-chan delta.Elsewhere { return p.said }

// hear hands on what the initiator said, together with what was said before and not taken out. Of knowledge that is too much to
// keep only the last is: it may be sent what it has, then.
func (p *pullSender) hear(e delta.Elsewhere, codec *holdBackCodec) {
	select {
	case before := <-p.said:
		last := e
		e = before.Then(e)
		codec.prune(e.Known)
		if entriesOf(e.Known)+entriesOf(e.News) > maxToldEntries {
			e.Known, e.News = last.Known, last.News
		}
	default:
	}
	p.said <- e
}

func entriesOf(known []delta.ScopeVector) (n int) {
	for _, k := range known {
		n += len(k.Vector)
	}
	return n
}

func encodeElsewhere(e delta.Elsewhere) *peerv1.Elsewhere {
	m := &peerv1.Elsewhere{Known: encodeVectors(e.Known), News: encodeVectors(e.News)}
	if e.Writers != nil {
		m.Writers = &peerv1.Writers{}
		for _, w := range e.Writers {
			m.Writers.Writers = append(m.Writers.Writers, &peerv1.Writer{Device: w.Device[:], Epoch: w.Epoch})
		}
	}
	return m
}

// holdBackCodec checks what an initiator says of elsewhere in one pull.
type holdBackCodec struct {
	asked   map[id.Scope]bool
	writers map[id.Writer]bool
}

func newHoldBackCodec(open delta.Open) *holdBackCodec {
	c := &holdBackCodec{asked: make(map[id.Scope]bool, len(open.Known))}
	for _, k := range open.Known {
		c.asked[k.Scope] = true
	}
	return c
}

func (c *holdBackCodec) decode(m *peerv1.Elsewhere) (e delta.Elsewhere, err error) {
	if m.GetWriters() != nil {
		if e.Writers, err = decodeWriters(m.GetWriters().GetWriters()); err != nil {
			return e, fmt.Errorf("from elsewhere %w", err)
		}
		c.writers = make(map[id.Writer]bool, len(e.Writers))
		for _, w := range e.Writers {
			c.writers[w] = true
		}
	}
	if e.Known, err = decodeVectors(m.GetKnown()); err != nil {
		return e, err
	}
	if e.News, err = decodeVectors(m.GetNews()); err != nil {
		return e, err
	}
	if n := entriesOf(e.Known) + entriesOf(e.News); n > maxToldEntries {
		return e, fmt.Errorf("from elsewhere %d vector entries, the limit is %d", n, maxToldEntries)
	}
	for _, k := range slices.Concat(e.Known, e.News) {
		if !c.asked[k.Scope] {
			return e, fmt.Errorf("knowledge of the scope %s, which was not asked for", k.Scope)
		}
	}
	for _, k := range e.Known {
		for w := range k.Vector {
			if !c.writers[w] {
				return e, fmt.Errorf("knowledge of the writer %s, who is not held back", w)
			}
		}
	}
	return e, nil
}

// prune forgets what is known of writers who are not held back any more, so that what waits stays within bounds.
func (c *holdBackCodec) prune(known []delta.ScopeVector) {
	for _, k := range known {
		for w := range k.Vector {
			if !c.writers[w] {
				delete(k.Vector, w)
			}
		}
	}
}

func decodeWriters(list []*peerv1.Writer) ([]id.Writer, error) {
	if len(list) > maxHeldBack {
		return nil, fmt.Errorf("%d writers, the limit is %d", len(list), maxHeldBack)
	}
	writers := make([]id.Writer, 0, len(list))
	seen := make(map[id.Writer]bool, len(list))
	for _, m := range list {
		device, err := decodeDevice(m.GetDevice())
		if err != nil {
			return nil, err
		}
		w := id.Writer{Device: device, Epoch: m.GetEpoch()}
		if seen[w] {
			return nil, fmt.Errorf("the writer %s twice", w)
		}
		seen[w] = true
		writers = append(writers, w)
	}
	return writers, nil
}
