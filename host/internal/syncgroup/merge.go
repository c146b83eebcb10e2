package syncgroup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
)

// Merge makes one value of those that were written concurrently to a row of a syncgroup's metadata, the preferred one
// first; ancestor is what they were made from, nil if that is not known. It reports false for rows that are not to be
// merged, and for values that it cannot read.
//
// It is a pure function, so devices that merge the same values write the same bytes: two such versions are no conflict.
// What comes out is the preferred value itself when the others add nothing to it.
func Merge(c id.Collection, key string, ancestor []byte, values [][]byte) ([]byte, bool) {
	combine := combinerOf(c, key)
	if combine == nil || len(values) == 0 {
		return nil, false
	}
	base, err := parseFields(ancestor)
	if err != nil {
		return nil, false
	}
	preferred, err := parseFields(values[0])
	if err != nil {
		return nil, false
	}
	merged := preferred
	for _, v := range values[1:] {
		other, err := parseFields(v)
		if err != nil {
			return nil, false
		}
		if merged, err = combine(base, merged, other); err != nil {
			return nil, false
		}
	}
	if maps.EqualFunc(merged, preferred, sameJSON) {
		return values[0], true
	}
	data, err := json.Marshal(merged)
	return data, err == nil && validRow(key, data)
}

// fields are the members of a JSON object in one spelling each, so that equal values have equal bytes.
type fields map[string]json.RawMessage

func sameJSON(a, b json.RawMessage) bool { return bytes.Equal(a, b) }

// combiner merges two objects that were made from the ancestor.
type combiner func(ancestor, preferred, other fields) (fields, error)

func combinerOf(c id.Collection, key string) combiner {
	switch {
	case c.Kind != id.Syncgroup:
		return nil
	case key == specKey:
		return mergeSpecs
	case strings.HasPrefix(key, memberPrefix):
		return mergeMembers
	case key == destroyedKey:
		return mergeEndings
	}
	return nil
}

// validRow checks what a merge came to.
func validRow(key string, data []byte) bool {
	if key != specKey {
		return true
	}
	_, err := parseSpec(data)
	return err == nil
}

func parseFields(data []byte) (fields, error) {
	f := fields{}
	if data == nil {
		return f, nil
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	if f == nil {
		return nil, errors.New("null in place of an object")
	}
	for name, raw := range f {
		var value any
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		var err error
		if f[name], err = json.Marshal(value); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// mergeFields takes each field from whoever changed it, and from preferred where both did.
func mergeFields(ancestor, preferred, other fields) fields {
	merged := maps.Clone(preferred)
	for name := range mergedNames(ancestor, other) {
		was, isPreferred, isOther := ancestor[name], preferred[name], other[name]
		switch {
		case !bytes.Equal(was, isPreferred) || bytes.Equal(was, isOther):
		case isOther == nil:
			delete(merged, name)
		default:
			merged[name] = isOther
		}
	}
	return merged
}

func mergedNames(lists ...fields) map[string]bool {
	names := map[string]bool{}
	for _, l := range lists {
		for name := range l {
			names[name] = true
		}
	}
	return names
}

// fixed are the fields of a specification that never change: where they differ all the same, preferred's count.
var fixed = []string{"collections", "creator", "made"}

// mergeSpecs merges access lists tag by tag and everything else field by field; of two incarnations the later one is all.
func mergeSpecs(ancestor, preferred, other fields) (fields, error) {
	if later, err := laterMade(preferred, other); later != nil || err != nil {
		return later, err
	}
	merged := mergeFields(ancestor, preferred, other)
	for _, name := range fixed {
		if raw := preferred[name]; raw != nil {
			merged[name] = raw
		}
	}
	var was, one, two struct{ Permissions perm.List }
	for _, from := range []struct {
		fields fields
		to     *struct{ Permissions perm.List }
	}{{ancestor, &was}, {preferred, &one}, {other, &two}} {
		if raw := from.fields["permissions"]; raw != nil {
			if err := json.Unmarshal(raw, &from.to.Permissions); err != nil {
				return nil, fmt.Errorf("%w: access list: %w", ErrInvalid, err)
			}
		}
	}
	merged["permissions"] = perm.Merge(was.Permissions, one.Permissions, two.Permissions).Marshal()
	return merged, nil
}

// membership are the fields of a register that say whether and since when its principal is a member; they belong
// together.
var membership = []string{"device", "joined", "changed", "gone", "by", "from", "knew"}

// announcement are the fields that a device says of itself. They belong together, too: whoever merges without having heard the
// latest must not take it back, or the device would say it again, and they would go on answering each other for ever.
var announcement = []string{"type", "addresses", "told"}

// take sets the named fields to what they are in from.
func (f fields) take(from fields, names []string) {
	for _, name := range names {
		delete(f, name)
		if raw := from[name]; raw != nil {
			f[name] = raw
		}
	}
}

// mergeMembers lets the later change of membership count as a whole, and merges everything else field by field: an
// address that a member announces does not undo that it was ejected meanwhile. Who let a principal in without knowing that
// it was ejected does not undo that either, however late that was; but an ejection that was undone is over, in whatever
// version it comes again.
func mergeMembers(ancestor, preferred, other fields) (fields, error) {
	if later, err := laterMade(preferred, other); later != nil || err != nil {
		return later, err
	}
	merged := mergeFields(ancestor, preferred, other)
	p, err := memberOf(preferred)
	if err != nil {
		return nil, err
	}
	o, err := memberOf(other)
	if err != nil {
		return nil, err
	}
	from := preferred
	outP, outO := p.ejectedBeyond(&o), o.ejectedBeyond(&p)
	if outO && !outP || outO == outP && o.since().After(p.since()) {
		from = other
	}
	merged.take(from, membership)
	if p.Told != o.Told {
		later := preferred
		if o.Told > p.Told {
			later = other
		}
		merged.take(later, announcement)
	}
	if o.Pardoned.After(p.Pardoned) {
		merged["pardoned"] = other["pardoned"]
	} else if raw := preferred["pardoned"]; raw != nil {
		merged["pardoned"] = raw
	}
	return merged, nil
}

func memberOf(f fields) (m Member, err error) {
	data, err := json.Marshal(f)
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	return m, err
}

// sameScopes reports whether two lists of collections name the same, in whatever order.
func sameScopes(a, b []SpecCollection) bool {
	in := func(list []SpecCollection) func(SpecCollection) bool {
		return func(c SpecCollection) bool { return !slices.Contains(list, c) }
	}
	return !slices.ContainsFunc(a, in(b)) && !slices.ContainsFunc(b, in(a))
}
