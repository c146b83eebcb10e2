package kv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
)

// Step brings a store from one version of its format to the next, while nobody else has it open.
//
// Power may fail at any write. The step is then run again when the store is opened the next time, so all that it does goes
// through Upgrade, which remembers in the same batches how far it came.
type Step struct {
	// From is the version that the step begins with; it leads to the next.
	From int
	// What changes, in a few words for people.
	What string
	// Run makes the change. Its calls of the Upgrade must be the same ones each time.
	Run func(*Upgrade) error
}

// Upgrade is a step under way.
type Upgrade struct {
	s *Store
	// at is where the step is, durable; done counts the calls of Each that returned.
	at   progress
	done uint64
}

// upgradeBatchBytes bounds what one batch of an upgrade changes.
const upgradeBatchBytes = 1 << 20

// Reader reads the store as it is.
func (u *Upgrade) Reader() Reader { return u.s }

// Each calls change with the keys lo <= key < hi that are there when it begins, in order, and exactly once for each, however
// often the upgrade is cut short. What change adds to the batch is written together with the note that it was done. It may
// write any key except those of the range that come after the one it is called with; key and value are valid until it
// returns.
func (u *Upgrade) Each(lo, hi []byte, change func(b *Batch, key, value []byte) error) error {
	if u.done++; u.done <= u.at.stages {
		return nil
	}
	if u.at.after != nil {
		lo = append(bytes.Clone(u.at.after), 0)
	}
	snap := u.s.Snapshot()
	it, err := snap.Iter(lo, hi)
	if err != nil {
		return errors.Join(err, snap.Close())
	}
	err = u.each(it, change)
	if err = errors.Join(err, it.Close(), snap.Close()); err != nil {
		return err
	}
	u.at = progress{stages: u.done}
	return u.note(u.s.NewBatch())
}

func (u *Upgrade) each(it *Iter, change func(b *Batch, key, value []byte) error) error {
	b := u.s.NewBatch()
	for ok := it.First(); ok; ok = it.Next() {
		if err := change(b, it.Key(), it.Value()); err != nil {
			b.Discard()
			return err
		}
		u.at.after = bytes.Clone(it.Key())
		if b.Size() < upgradeBatchBytes {
			continue
		}
		if err := u.note(b); err != nil {
			return err
		}
		b = u.s.NewBatch()
	}
	return u.note(b)
}

// note commits the batch with how far the step is.
func (u *Upgrade) note(b *Batch) error {
	b.Set(upgradeKey, u.at.append(nil))
	return b.Commit(Sync)
}

// progress is the value of upgradeKey: u8 1 | uvar stages | key of the last change of the stage under way, if any.
type progress struct {
	// stages are the calls of Each that are complete.
	stages uint64
	// after is the last key that the next one has done; nil is none.
	after []byte
}

const progressVersion = 1

func (p progress) append(dst []byte) []byte {
	dst = binary.AppendUvarint(append(dst, progressVersion), p.stages)
	return append(dst, p.after...)
}

func decodeProgress(data []byte) (*progress, error) {
	if len(data) < 2 || data[0] != progressVersion {
		return nil, fmt.Errorf("note of an upgrade %x: unknown form", data)
	}
	stages, n := binary.Uvarint(data[1:])
	if n <= 0 {
		return nil, fmt.Errorf("note of an upgrade %x: no number", data)
	}
	p := &progress{stages: stages}
	if rest := data[1+n:]; len(rest) > 0 {
		p.after = bytes.Clone(rest)
	}
	return p, nil
}

// bringForward makes the store one of the version that this program works on.
func (s *Store) bringForward(opts Options) error {
	to := opts.version
	version, at, err := s.format(to)
	switch {
	case err != nil:
		return err
	case s.readOnly && (version != to || at != nil):
		return fmt.Errorf("%s has format %d, and this program works on %d: start the daemon once, which brings it forward", s.dir, version, to)
	case s.readOnly:
		return nil
	case version == 0:
		b := s.NewBatch()
		b.Set(formatKey, []byte(strconv.Itoa(to)))
		return errors.Join(b.Commit(Sync), s.setFormat(to))
	}
	if at != nil {
		version--
	}
	for ; version < to; version, at = version+1, nil {
		if err := s.upgrade(version, at, opts); err != nil {
			return fmt.Errorf("bring %s from format %d to %d: %w", s.dir, version, version+1, err)
		}
	}
	return s.setFormat(to)
}

// upgrade runs one step, from its beginning or from where it was cut short.
func (s *Store) upgrade(from int, at *progress, opts Options) error {
	var step *Step
	for i := range opts.Steps {
		if opts.Steps[i].From == from {
			step = &opts.Steps[i]
		}
	}
	if step == nil {
		return errors.New("there is no step that does so in this program")
	}
	if opts.Upgrading != nil {
		opts.Upgrading(from, from+1, step.What)
	}
	u := &Upgrade{s: s}
	if at == nil {
		// From the first change on, the store is one that older programs must refuse.
		b := s.NewBatch()
		b.Set(formatKey, []byte(strconv.Itoa(from+1)))
		if err := errors.Join(s.setFormat(from+1), u.note(b)); err != nil {
			return err
		}
	} else {
		u.at = *at
	}
	if err := step.Run(u); err != nil {
		return err
	}
	b := s.NewBatch()
	b.Delete(upgradeKey)
	return b.Commit(Sync)
}
