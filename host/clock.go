package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/beevik/ntp"
	"github.com/hashicorp/go-hclog"

	"github.com/syncbase/syncbase/host/internal/api"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/peer"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/skew"
)

const (
	// clockTick is how often the machine's clock is held against its uptime.
	clockTick = time.Second
	// keepReading is how often a reading is kept although nothing was learned.
	keepReading = 15 * time.Minute
	// serverRetry is the first pause after no time server answered.
	serverRetry = time.Minute
	// serverSamples is how often one server is asked in a round: its quickest answer counts.
	serverSamples = 4
	// comparePeriod is how often a peer is asked for its time.
	comparePeriod = 5 * time.Minute
	askTimeout    = 5 * time.Second
)

// spaceClock is the space of the estimates, drawn in docs/format.md.
const spaceClock = 0x04

// timekeeper keeps what is known of how wrong the machine's clock is: one estimate of its own, from time servers, and one
// for each database, which peers that share the database may improve. So a peer moves no clock but that of databases it
// shares, and there only within what package skew believes.
type timekeeper struct {
	h   *Host
	log hclog.Logger
	// mu guards the fields below it.
	mu  sync.Mutex
	own skew.Estimate
	dbs map[*rows.DB]skew.Estimate
}

func clockKey(db *rows.DB) []byte {
	key := []byte{spaceClock}
	if db != nil {
		key = append(key, db.Name().String()...)
	}
	return key
}

// openTimekeeper goes on from the estimates that were kept.
func openTimekeeper(h *Host) (*timekeeper, error) {
	k := &timekeeper{h: h, log: h.log.Named("clock"), dbs: map[*rows.DB]skew.Estimate{}}
	var err error
	if k.own, err = k.load(nil, skew.Estimate{}); err != nil {
		return nil, err
	}
	return k, k.meetDatabases()
}

// load reads an estimate; one that cannot be read is forgotten, since a new one is soon made.
func (k *timekeeper) load(db *rows.DB, otherwise skew.Estimate) (skew.Estimate, error) {
	data, err := k.h.kv.Get(clockKey(db))
	if errors.Is(err, kv.ErrNotFound) {
		return otherwise, nil
	}
	if err != nil {
		return skew.Estimate{}, err
	}
	var e skew.Estimate
	if err := errors.Join(json.Unmarshal(data, &e), e.Validate()); err != nil {
		k.log.Warn("forgot what was known of the clock", "error", err)
		return otherwise, nil
	}
	return e, nil
}

// save keeps an estimate. Losing the last one to a power cut costs nothing that is not soon learned again.
func (k *timekeeper) save(db *rows.DB, e skew.Estimate) {
	data, err := json.Marshal(e)
	if err == nil {
		b := k.h.kv.NewBatch()
		b.Set(clockKey(db), data)
		err = b.Commit(kv.NoSync)
	}
	if err != nil {
		k.log.Warn("cannot keep what is known of the clock", "error", err)
	}
}

// meetDatabases takes in databases that are new and lets go of those that are gone.
func (k *timekeeper) meetDatabases() error {
	dbs, _ := k.h.rows.Databases()
	k.mu.Lock()
	defer k.mu.Unlock()
	gone := maps.Clone(k.dbs)
	for _, db := range dbs {
		delete(gone, db)
		if _, known := k.dbs[db]; known {
			continue
		}
		e, err := k.load(db, k.own)
		if err != nil {
			return err
		}
		k.dbs[db] = e
		db.SetSkew(e.Skew)
	}
	for db := range gone {
		delete(k.dbs, db)
	}
	return nil
}

func (k *timekeeper) read() skew.Reading {
	return skew.Reading{Clock: k.h.opts.Seams.Now().Round(0), Uptime: k.h.opts.Seams.Uptime()}
}

// run follows the machine's clock and asks time servers, until ctx ends.
func (k *timekeeper) run(ctx context.Context) error {
	var servers sync.WaitGroup
	defer servers.Wait()
	if len(k.h.opts.Config.Clock.Servers) > 0 {
		servers.Go(func() { k.askServers(ctx) })
	}
	tick := time.NewTicker(clockTick)
	defer tick.Stop()
	// By the last reading that was kept a restart of the machine is noticed.
	keep := time.NewTicker(keepReading)
	defer keep.Stop()
	defer k.keep()
	for {
		if err := k.meetDatabases(); err != nil {
			return err
		}
		k.tick()
		select {
		case <-tick.C:
		case <-keep.C:
			k.keep()
		case <-ctx.Done():
			return nil
		}
	}
}

// keep writes every estimate down.
func (k *timekeeper) keep() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.save(nil, k.own)
	for db, e := range k.dbs {
		k.save(db, e)
	}
}

func (k *timekeeper) tick() {
	now := k.read()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.set(nil, k.own.Tick(now))
	for db, e := range k.dbs {
		k.set(db, e.Tick(now))
	}
}

// set replaces an estimate, the device's own when db is nil, and keeps it unless only time has passed. The caller holds mu.
func (k *timekeeper) set(db *rows.DB, e skew.Estimate) {
	before := k.own
	if db != nil {
		before = k.dbs[db]
		k.dbs[db] = e
		db.SetSkew(e.Skew)
	} else {
		k.own = e
	}
	first := before.Last.Clock.IsZero()
	before.Last = e.Last
	if first || before != e {
		k.save(db, e)
	}
	if before.Skew != e.Skew && db == nil {
		k.log.Info("the clock of this machine is wrong, and corrected", "by", e.Skew)
	} else if before.Skew != e.Skew && e.Skew != k.own.Skew {
		k.log.Info("follows the time of a peer", "database", db.Name(), "by", e.Skew)
	}
}

// askServers asks until ctx ends: every interval, and sooner after no server answered.
func (k *timekeeper) askServers(ctx context.Context) {
	retry := serverRetry
	for {
		wait := k.h.opts.Config.Clock.Interval
		if err := k.askRound(ctx); err != nil && ctx.Err() == nil {
			k.log.Warn("no time server answered", "error", err)
			wait, retry = min(wait, retry), 2*retry
		} else {
			retry = serverRetry
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// askRound takes the time of the first server that answers.
func (k *timekeeper) askRound(ctx context.Context) error {
	var all error
	for _, server := range k.h.opts.Config.Clock.Servers {
		var answers []skew.Exchange
		var err error
		for range serverSamples {
			var x skew.Exchange
			if x, err = k.askServer(ctx, server); err != nil {
				break
			}
			answers = append(answers, x)
		}
		if len(answers) > 0 {
			if err = k.believe(answers); err == nil {
				return nil
			}
		}
		all = errors.Join(all, fmt.Errorf("%s: %w", server, err))
	}
	return all
}

func (k *timekeeper) askServer(ctx context.Context, server string) (skew.Exchange, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	x := skew.Exchange{Asked: k.read()}
	offset, err := k.h.opts.Seams.AskTime(ctx, server)
	x.Heard = k.read()
	middle := x.Asked.Clock.Add(x.Heard.Clock.Sub(x.Asked.Clock) / 2)
	x.Received, x.Replied = middle.Add(offset), middle.Add(offset)
	return x, err
}

// believe takes the answers of a time server into every estimate.
func (k *timekeeper) believe(answers []skew.Exchange) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	own, err := k.own.TimeServer(answers)
	if err != nil {
		return err
	}
	k.set(nil, own)
	for db, e := range k.dbs {
		if better, err := e.TimeServer(answers); err == nil {
			k.set(db, better)
		}
	}
	return nil
}

// compare asks a peer for the time in every database that it shares, now and then, until ctx ends.
func (k *timekeeper) compare(ctx context.Context, link *peer.Link) {
	for {
		dbs, _ := k.h.rows.Databases()
		for _, db := range dbs {
			if share, err := k.h.engine.Shares(db, link.Peer().Principal); err == nil && share {
				k.askPeer(ctx, link, db)
			}
		}
		select {
		case <-time.After(comparePeriod):
		case <-ctx.Done():
			return
		}
	}
}

func (k *timekeeper) askPeer(ctx context.Context, link *peer.Link, db *rows.DB) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	x := skew.Exchange{Asked: k.read()}
	t, err := link.Time(ctx, db.Name())
	x.Heard = k.read()
	if err == nil {
		x.Received, x.Replied = t.Received, t.Replied
		err = k.hear(db, x, skew.Witness{Server: t.Server, Hops: t.Hops, Reboots: t.Reboots})
	}
	if err != nil && !errors.Is(err, skew.ErrNotBetter) {
		k.log.Debug("a peer's time was of no use", "peer", link.Peer().Name, "database", db.Name(), "error", err)
	}
}

// hear takes what a peer says into the estimate of the database.
func (k *timekeeper) hear(db *rows.DB, x skew.Exchange, w skew.Witness) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	e, known := k.dbs[db]
	if !known {
		return nil
	}
	e, err := e.Peer(x, w)
	if err == nil {
		k.set(db, e)
	}
	return err
}

// opinions returns the daemon's own estimate, then those of databases that differ from it, in order of their names.
func (k *timekeeper) opinions() []api.Clock {
	k.mu.Lock()
	defer k.mu.Unlock()
	list := []api.Clock{{Skew: k.own.Skew, Server: k.own.Server, Hops: k.own.Hops}}
	for db, e := range k.dbs {
		if e.Skew != k.own.Skew || !e.Server.Equal(k.own.Server) {
			list = append(list, api.Clock{Database: db.Name(), Skew: e.Skew, Server: e.Server, Hops: e.Hops})
		}
	}
	slices.SortFunc(list[1:], func(a, b api.Clock) int { return a.Database.Compare(b.Database) })
	return list
}

// Time answers a peer.
func (k *timekeeper) Time(caller peer.Caller, database id.Name) (peer.Time, error) {
	now := k.read().Clock
	db, err := k.h.rows.Database(database)
	if err != nil {
		return peer.Time{}, fmt.Errorf("%w: %w", peer.ErrNotFound, err)
	}
	if share, err := k.h.engine.Shares(db, caller.Principal); err != nil || !share {
		return peer.Time{}, errors.Join(peer.ErrNotFound, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.dbs[db]
	at := e.At(now)
	return peer.Time{Received: at, Replied: at.Add(k.read().Clock.Sub(now)), Server: e.Server, Hops: e.Hops, Reboots: e.Reboots}, nil
}

// begun is when the process started, by the clock that nobody can set.
var begun = time.Now()

func processAge() time.Duration { return time.Since(begun) }

// defaultUptime goes with the wall clock: one that a test made does not move with the machine's uptime.
func defaultUptime(madeClock bool) func() time.Duration {
	if madeClock {
		start := time.Now()
		return func() time.Duration { return time.Since(start) }
	}
	return machineUptime
}

// askTimeServer asks over NTP (RFC 5905), and refuses answers that are not valid by it.
func askTimeServer(now func() time.Time) func(context.Context, string) (time.Duration, error) {
	return func(ctx context.Context, server string) (time.Duration, error) {
		timeout := askTimeout
		if until, ok := ctx.Deadline(); ok {
			timeout = time.Until(until)
		}
		// Whoever stops the daemon does not wait for an answer.
		dial := func(_, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, "udp", address)
			if err == nil {
				context.AfterFunc(ctx, func() { _ = conn.Close() })
			}
			return conn, err
		}
		resp, err := ntp.QueryWithOptions(server, ntp.QueryOptions{Timeout: timeout, GetSystemTime: now, Dialer: dial})
		if err != nil {
			return 0, err
		}
		return resp.ClockOffset, resp.Validate()
	}
}
