package discover

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Discovery has the sources announce this node and watches them for others.
type Discovery struct {
	opts   Options
	events chan event
	// ask takes questions for what is known.
	ask chan chan []Node
	// done is closed when Run has returned.
	done chan struct{}
}

// event is a sighting on its way to the core.
type event struct {
	source   string
	sighting Sighting
}

// New starts nothing.
func New(opts Options) (*Discovery, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	return &Discovery{
		opts:   opts.withDefaults(),
		events: make(chan event),
		ask:    make(chan chan []Node),
		done:   make(chan struct{}),
	}, nil
}

// Run announces and watches until ctx ends, then withdraws and returns nil. What a source will never do is logged and
// does not concern the others. It must be called once only.
func (d *Discovery) Run(ctx context.Context) error {
	defer close(d.done)
	var sources sync.WaitGroup
	defer sources.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for name, source := range d.opts.Sources {
		sources.Go(func() { d.watch(ctx, name, source) })
		if len(d.opts.Addresses) > 0 {
			sources.Go(func() { d.announce(ctx, name, source) })
		}
	}
	d.loop(ctx)
	return nil
}

// loop owns the core.
func (d *Discovery) loop(ctx context.Context) {
	core := newSightings(d.opts.Device)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Stop()
		if at, ok := core.next(); ok {
			timer.Reset(time.Until(at))
		}
		select {
		case <-ctx.Done():
			return
		case e := <-d.events:
			d.report(core.handle(time.Now(), e.source, e.sighting))
		case <-timer.C:
			d.report(core.expire(time.Now()))
		case answer := <-d.ask:
			answer <- core.all()
		}
	}
}

func (d *Discovery) report(changes []change) {
	for _, c := range changes {
		if c.lost {
			d.opts.Log.Debug("lost", "device", c.node.Device, "name", c.node.Name, "addresses", c.node.Addresses)
			d.opts.Listener.Lost(c.node)
		} else {
			d.opts.Log.Debug("found", "device", c.node.Device, "name", c.node.Name, "addresses", c.node.Addresses)
			d.opts.Listener.Found(c.node)
		}
	}
}

func (d *Discovery) watch(ctx context.Context, name string, source Source) {
	err := source.Watch(ctx, func(s Sighting) error {
		select {
		case d.events <- event{source: name, sighting: s}:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	d.ended(ctx, name, "watching", err)
}

func (d *Discovery) announce(ctx context.Context, name string, source Source) {
	err := source.Announce(ctx, Advert{
		NodeID:    d.opts.Device[:],
		Addresses: d.opts.Addresses,
		Record:    []byte(cleanName([]byte(d.opts.Name))),
	})
	d.ended(ctx, name, "announcing", err)
}

// ended tells of a source that has given up; that it ends with ctx goes without saying.
func (d *Discovery) ended(ctx context.Context, name, what string, err error) {
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		err = errors.New("it returned without an error")
	}
	d.opts.Log.Error("a discovery plugin has given up", "plugin", name, "on", what, "error", err)
}

// Known returns every node that is seen, in the order of devices; nothing when Run is not running.
func (d *Discovery) Known(ctx context.Context) []Node {
	answer := make(chan []Node, 1)
	select {
	case d.ask <- answer:
		return <-answer
	case <-d.done:
	case <-ctx.Done():
	}
	return nil
}
