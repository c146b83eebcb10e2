// Package resolver is for authors of plugins that resolve conflicts.
//
// The answer to a conflict must depend on the conflict and the configuration alone: no clock, no randomness, no input or
// output. Every member of a syncgroup asks its own copy of the plugin, and all have to come to the same result.
//
// Implement [Resolver], pass its factory to [Kind] and that to plugin.Main; package resolvertest checks the result.
package resolver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/syncbase/syncbase/sdk/plugin"
)

// Resolver is what an author implements. It is called concurrently.
type Resolver interface {
	// Resolve decides a conflict. An error leaves the conflict open and shows its text to people; the next conflicts
	// are not affected. The host waits a second for each.
	Resolve(ctx context.Context, conflict Conflict) (Decision, error)
}

// Factory makes the author's implementation from an instance's setup. The context ends when the factory returns.
type Factory func(ctx context.Context, setup plugin.Setup) (Resolver, error)

// Conflict is a row with concurrent versions. The receiver must not change what it points to.
type Conflict struct {
	// Collection is "owner:name".
	Collection string
	Key        string
	// Base is the nearest common ancestor; nil when there is none or it has been reclaimed.
	Base *Version
	// Siblings are two or more versions in ascending order of their ids.
	Siblings []Version
}

// Version is one state of a row.
type Version struct {
	// ID and Author are opaque.
	ID     []byte
	Author []byte
	// HLC is the hybrid logical time of the write; larger is later.
	HLC uint64
	// Deleted says that this version deleted the row; then it has no value.
	Deleted bool
	// Type is the type name that was stored with the value; may be empty.
	Type  string
	Value []byte
}

// Bounds of the protocol.
const (
	MaxSiblings   = 256
	MaxIDBytes    = 256
	MaxNameBytes  = 4 << 10
	MaxTypeBytes  = 256
	MaxValueBytes = 4 << 20
)

// Choice tells decisions apart.
type Choice int

const (
	// ChoosePick takes one of the siblings.
	ChoosePick Choice = iota + 1
	// ChooseMerge stores a new value.
	ChooseMerge
	// ChooseDelete deletes the row.
	ChooseDelete
	// ChooseKeep leaves the conflict open and visible.
	ChooseKeep
)

// Decision is the answer to a conflict. Pick, Merge, Delete and Keep make one; the zero value is none.
type Decision struct {
	Choice Choice
	// ID is the sibling that ChoosePick takes.
	ID []byte
	// Type and Value are what ChooseMerge stores.
	Type  string
	Value []byte
}

// Pick takes one of the siblings.
func Pick(v Version) Decision { return Decision{Choice: ChoosePick, ID: v.ID} }

// Merge stores a new value.
func Merge(typeName string, value []byte) Decision {
	return Decision{Choice: ChooseMerge, Type: typeName, Value: value}
}

// Delete deletes the row.
func Delete() Decision { return Decision{Choice: ChooseDelete} }

// Keep leaves the conflict open and visible.
func Keep() Decision { return Decision{Choice: ChooseKeep} }

// Validate lists how the conflict breaks the protocol.
func (c Conflict) Validate() error {
	var faults []error
	if n := len(c.Siblings); n < 2 || n > MaxSiblings {
		faults = append(faults, fmt.Errorf("%d siblings, allowed are 2 to %d", n, MaxSiblings))
	}
	if len(c.Collection) > MaxNameBytes || len(c.Key) > MaxNameBytes {
		faults = append(faults, fmt.Errorf("collection and key may have %d bytes at most", MaxNameBytes))
	}
	for i, v := range c.Siblings {
		if i > 0 && bytes.Compare(c.Siblings[i-1].ID, v.ID) >= 0 {
			faults = append(faults, fmt.Errorf("siblings %d and %d are not in ascending order of their ids", i-1, i))
		}
		faults = append(faults, v.validate())
	}
	if c.Base != nil {
		faults = append(faults, c.Base.validate())
	}
	return errors.Join(faults...)
}

func (v Version) validate() error {
	switch {
	case len(v.ID) == 0 || len(v.ID) > MaxIDBytes || len(v.Author) > MaxIDBytes:
		return fmt.Errorf("version id of %d and author of %d bytes, at most %d are allowed", len(v.ID), len(v.Author), MaxIDBytes)
	case len(v.Type) > MaxTypeBytes || len(v.Value) > MaxValueBytes:
		return fmt.Errorf("version %x has a type of %d and a value of %d bytes", v.ID, len(v.Type), len(v.Value))
	case v.Deleted && len(v.Value) > 0:
		return fmt.Errorf("version %x is deleted and has a value", v.ID)
	default:
		return nil
	}
}

// Check reports why a decision does not fit the conflict; nil when it does.
func (c Conflict) Check(d Decision) error {
	switch d.Choice {
	case ChoosePick:
		if !slices.ContainsFunc(c.Siblings, func(v Version) bool { return bytes.Equal(v.ID, d.ID) }) {
			return fmt.Errorf("picked %x, which is none of the siblings", d.ID)
		}
	case ChooseMerge:
		if len(d.Type) > MaxTypeBytes || len(d.Value) > MaxValueBytes {
			return fmt.Errorf("merged to a type of %d and a value of %d bytes", len(d.Type), len(d.Value))
		}
	case ChooseDelete, ChooseKeep:
	default:
		return fmt.Errorf("choice %d is unknown", d.Choice)
	}
	return nil
}
