package id

import (
	"fmt"
	"strings"
)

// CollectionKind tells what a collection holds. The kinds keep the engine's own objects out of the applications' name
// space without reserving any of their names.
type CollectionKind uint8

const (
	// Rows is a collection of an application.
	Rows CollectionKind = iota
	// Syncgroup is the metadata of the syncgroup of the same name: its specification and one register for each member.
	Syncgroup
)

// Collection names a collection within a database.
type Collection struct {
	Kind CollectionKind
	Name Name
}

// Validate checks kind and name.
func (c Collection) Validate() error {
	if c.Kind > Syncgroup {
		return fmt.Errorf("%w: collection kind %d", ErrInvalid, c.Kind)
	}
	return c.Name.Validate()
}

// String is for messages.
func (c Collection) String() string {
	if c.Kind == Syncgroup {
		return "syncgroup " + c.Name.String()
	}
	return c.Name.String()
}

// Compare orders by kind, then by name.
func (c Collection) Compare(o Collection) int {
	if c.Kind != o.Kind {
		return int(c.Kind) - int(o.Kind)
	}
	return c.Name.Compare(o.Name)
}

// Scope is the unit of knowledge: a collection, narrowed to the row keys that begin with Prefix. Scopes may nest. The
// collection's own record (its access list, row key "") belongs to every scope of the collection.
type Scope struct {
	Collection Collection
	Prefix     string
}

// Validate checks collection and prefix.
func (s Scope) Validate() error {
	if err := s.Collection.Validate(); err != nil {
		return err
	}
	if s.Prefix == "" {
		return nil
	}
	return checkText("key prefix", s.Prefix, MaxKeyLen)
}

// Has reports whether the row key of the collection lies in the scope.
func (s Scope) Has(c Collection, key string) bool {
	return s.Collection == c && (key == "" || strings.HasPrefix(key, s.Prefix))
}

// Covers reports whether everything in o also lies in s.
func (s Scope) Covers(o Scope) bool {
	return s.Collection == o.Collection && strings.HasPrefix(o.Prefix, s.Prefix)
}

// String is for messages.
func (s Scope) String() string {
	if s.Prefix == "" {
		return s.Collection.String()
	}
	return s.Collection.String() + "[" + s.Prefix + "]"
}

// Compare orders by collection, then by prefix.
func (s Scope) Compare(o Scope) int {
	if c := s.Collection.Compare(o.Collection); c != 0 {
		return c
	}
	return strings.Compare(s.Prefix, o.Prefix)
}
