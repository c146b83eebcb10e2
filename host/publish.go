package host

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/syncbase/syncbase/host/internal/api"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/peer"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/syncgroup"
)

const (
	// publishTimeout bounds one attempt to publish a syncgroup.
	publishTimeout = 20 * time.Second
	// Pauses after an attempt that failed.
	firstPublishPause = time.Second
	lastPublishPause  = 5 * time.Minute
	// publishPoll is when to look again although nothing has happened.
	publishPoll = time.Minute
)

// publishAttempt is what the membership book keeps of attempts to publish a syncgroup that have failed. What is to be
// published stands in the metadata; a daemon that starts again tries at once.
type publishAttempt struct {
	Attempts int    `json:"attempts"`
	Error    string `json:"error"`
}

// publishKey is the key of the failed attempts to publish a syncgroup.
func publishKey(db *rows.DB, sg id.Name) []byte {
	key := binary.BigEndian.AppendUint32([]byte{spaceMembership, 'p'}, db.Num())
	return append(append(append(append(key, sg.Owner...), 0), sg.Local...), 0)
}

func (b membershipBook) attempt(db *rows.DB, sg id.Name) (a publishAttempt, err error) {
	data, err := b.kv.Get(publishKey(db, sg))
	if errors.Is(err, kv.ErrNotFound) {
		return a, nil
	}
	if err == nil {
		// What cannot be read is an attempt that never was.
		_ = json.Unmarshal(data, &a)
	}
	return a, err
}

// note takes down a failed attempt; nil means that it succeeded.
func (b membershipBook) note(db *rows.DB, sg id.Name, a *publishAttempt) error {
	batch := b.kv.NewBatch()
	if a == nil {
		batch.Delete(publishKey(db, sg))
		return batch.Commit(kv.NoSync)
	}
	value, err := json.Marshal(a)
	if err != nil {
		batch.Discard()
		return err
	}
	batch.Set(publishKey(db, sg), value)
	return batch.Commit(kv.NoSync)
}

// describePublication says how far the publishing of a syncgroup is.
func (h *Host) describePublication(db *rows.DB, g syncgroup.Group, state *api.SyncgroupState) error {
	if g.Spec.Publish == "" || !g.State.Synchronises() {
		return nil
	}
	done, err := syncgroup.Published(db, g)
	if err != nil || done {
		state.Publish = "published"
		return err
	}
	a, err := h.memberships().attempt(db, g.Name)
	state.Publish, state.PublishError = "pending", a.Error
	return err
}

// publisher is the queue of what is to be published: all of it stands in the metadata, where every member with Admin sees
// it and tries; this is only when to try next.
type publisher struct {
	h    *Host
	next map[publication]time.Time
}

// publication names a syncgroup and where it is to be published.
type publication struct {
	db     *rows.DB
	name   id.Name
	target string
}

// publishSyncgroups publishes syncgroups whose specification asks for it, until ctx ends.
func (h *Host) publishSyncgroups(ctx context.Context) error {
	p := publisher{h: h, next: map[publication]time.Time{}}
	for ctx.Err() == nil {
		linked := h.nextLink()
		pause := p.round(ctx)
		select {
		case <-ctx.Done():
		case <-h.publishable:
		case <-linked:
			// Whoever could not be reached may be there now.
			clear(p.next)
		case <-time.After(pause):
		}
	}
	return nil
}

// tellPublisher says that there may be something to publish.
func (h *Host) tellPublisher() {
	select {
	case h.publishable <- struct{}{}:
	default:
	}
}

// round tries everything that is due, and returns when the next round is.
func (p *publisher) round(ctx context.Context) time.Duration {
	pause := publishPoll
	dbs, _ := p.h.rows.Databases()
	for _, db := range dbs {
		groups, err := syncgroup.All(db)
		if err != nil {
			continue // the engine says so
		}
		for _, g := range groups {
			wanted, err := syncgroup.MayPublish(db, g, p.h.identity.Principal())
			key := publication{db, g.Name, g.Spec.Publish}
			if err != nil || !wanted || ctx.Err() != nil {
				continue
			}
			if !time.Now().Before(p.next[key]) {
				p.try(ctx, key, g)
			}
			if next, failed := p.next[key]; failed {
				pause = min(pause, max(0, time.Until(next)))
			}
		}
	}
	return pause
}

func (p *publisher) try(ctx context.Context, key publication, g syncgroup.Group) {
	err := p.publish(ctx, key.db, g)
	if ctx.Err() != nil {
		return
	}
	book := p.h.memberships()
	if err == nil {
		delete(p.next, key)
		p.h.log.Info("published a syncgroup", "syncgroup", g.Name, "database", key.db.Name(), "at", key.target)
		err = book.note(key.db, g.Name, nil)
	} else {
		var a publishAttempt
		a, _ = book.attempt(key.db, g.Name)
		a.Attempts, a.Error = a.Attempts+1, err.Error()
		p.next[key] = time.Now().Add(publishPause(a.Attempts))
		p.h.log.Info("cannot publish a syncgroup yet", "syncgroup", g.Name, "database", key.db.Name(), "at", key.target, "attempts", a.Attempts, "error", err)
		err = book.note(key.db, g.Name, &a)
	}
	if err != nil {
		p.h.log.Warn("cannot take note of publishing", "syncgroup", g.Name, "error", err)
	}
}

func publishPause(attempts int) time.Duration {
	return min(lastPublishPause, firstPublishPause<<min(attempts-1, 16))
}

// publish makes one attempt. What has been done by an attempt that was cut short is found done by the next one.
func (p *publisher) publish(ctx context.Context, db *rows.DB, g syncgroup.Group) error {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	link, err := p.h.peers.Connect(ctx, g.Spec.Publish)
	if err != nil {
		return err
	}
	at := link.Peer()
	if err := syncgroup.Publishable(g, at.Principal); err != nil {
		return err
	}
	as := syncgroup.Server
	if taken, err := isMember(db, g.Name, at); err != nil {
		return err
	} else if !taken {
		spec, err := json.Marshal(g.Spec)
		if err != nil {
			return err
		}
		text, err := link.Publish(ctx, db.Name(), g.Name, spec)
		if errors.Is(err, peer.ErrDenied) {
			return fmt.Errorf("%s does not take it: %s", at.Name, peer.Said(err))
		}
		if err != nil {
			return err
		}
		if as, err = syncgroup.ParseMemberType(text); err != nil {
			return fmt.Errorf("peer %s takes part as: %w", at.Name, err)
		}
	}
	return syncgroup.SetPublished(db, g, p.h.identity.Principal(), p.h.member(at.Principal, at.Device, as), p.h.opts.Seams.Now())
}

func isMember(db *rows.DB, name id.Name, at peer.Peer) (bool, error) {
	members, err := syncgroup.Members(db, name)
	return slices.ContainsFunc(members, func(m syncgroup.Member) bool { return m.Principal == at.Principal }), err
}
