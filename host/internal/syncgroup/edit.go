package syncgroup

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/internal/strictjson"
)

// trusts reports whether the principal may speak for the syncgroup.
func trusts(g *Group, p id.Principal) bool { return g.Spec.Permissions.Allows(p, perm.Admin) }

// editable are the fields that Edit may be given.
var editable = []string{"description", "permissions", "publish", "private", "collections", "creator", "made"}

// Edit changes the specification and returns its new version: the fields of change, a JSON object, replace those that
// there are. Collections and creator may be named, but not changed, and the caller and this device, self, have to keep
// Read. Unless version is zero, it fails with ErrConflict when that is not the specification's any more.
func Edit(db *rows.DB, name id.Name, self, caller id.Principal, change []byte, version id.Version) (id.Version, error) {
	for {
		made, err := edit(db, name, self, caller, change, version)
		if !errors.Is(err, rows.ErrConflict) {
			return made, err
		}
		if !version.IsZero() {
			return id.Version{}, fmt.Errorf("specification of %s %w", name, ErrConflict)
		}
	}
}

func edit(db *rows.DB, name id.Name, self, caller id.Principal, change []byte, version id.Version) (id.Version, error) {
	g, err := ready(db, name)
	if err != nil {
		return id.Version{}, err
	}
	if !version.IsZero() && g.Version != version {
		return id.Version{}, fmt.Errorf("specification of %s has version %s, not %s: it %w", name, g.Version, version, ErrConflict)
	}
	meta := Metadata(name)
	row, err := db.Get(meta, specKey)
	if err != nil {
		return id.Version{}, err
	}
	value, err := edited(&g, row.Value, change, self, caller)
	if err != nil {
		return id.Version{}, err
	}
	versions, err := db.Commit([]rows.Op{
		{Kind: rows.OpCheck, Collection: meta, Key: specKey, Expect: &rows.Expect{Version: row.Version}},
		{Collection: meta, Key: specKey, Value: value},
	}, nil)
	if err != nil {
		return id.Version{}, err
	}
	return versions[1], nil
}

// edited returns the encoded specification after the change.
func edited(g *Group, value, change []byte, keepers ...id.Principal) ([]byte, error) {
	now, err := parseFields(value)
	if err != nil {
		return nil, err
	}
	if err := checkChange(change, now); err != nil {
		return nil, fmt.Errorf("%w: specification: %w", ErrInvalid, err)
	}
	given, err := parseFields(change)
	if err != nil {
		return nil, fmt.Errorf("%w: a specification is a JSON object: %w", ErrInvalid, err)
	}
	for name, raw := range given {
		if _, known := now[name]; !known && !slices.Contains(editable, name) {
			return nil, fmt.Errorf("%w: unknown field %q, want %v", ErrInvalid, name, editable)
		}
		if name == "permissions" {
			if _, err := perm.Parse(raw, perm.SyncgroupTags); err != nil {
				return nil, fmt.Errorf("permissions: %w", err)
			}
		}
		if !slices.Contains(fixed, name) {
			now[name] = raw
		}
	}
	if err := unchanged(g, given); err != nil {
		return nil, err
	}
	data, err := json.Marshal(now)
	if err != nil {
		return nil, err
	}
	spec, err := parseSpec(data)
	if err != nil {
		return nil, err
	}
	for _, p := range keepers {
		if !spec.Permissions.Allows(p, perm.Read) {
			return nil, fmt.Errorf("%w: %s would lose Read; let another administrator remove it, from another device", ErrInvalid, p)
		}
	}
	return data, nil
}

// checkChange refuses what would be read otherwise than it was meant. Fields that only a newer program knows are left to it.
func checkChange(change []byte, now fields) error {
	var given fields
	if err := strictjson.Decode(change, &given); err != nil {
		return err
	}
	for name := range given {
		if _, present := now[name]; present && !slices.Contains(editable, name) {
			return nil
		}
	}
	var known struct {
		Description *string          `json:"description"`
		Permissions perm.List        `json:"permissions"`
		Publish     *string          `json:"publish"`
		Private     *bool            `json:"private"`
		Collections []SpecCollection `json:"collections"`
		Creator     *id.Principal    `json:"creator"`
		Made        *time.Time       `json:"made"`
	}
	return strictjson.Decode(change, &known)
}

// unchanged checks that what never changes is given as it is.
func unchanged(g *Group, given fields) error {
	data, err := json.Marshal(given)
	if err != nil {
		return err
	}
	var spec Spec
	if err := json.Unmarshal(data, &spec); err != nil {
		return fmt.Errorf("%w: specification: %w", ErrInvalid, err)
	}
	if given["collections"] != nil && !sameScopes(spec.Collections, g.Spec.Collections) {
		return fmt.Errorf("%w: the collections of a syncgroup never change; create another syncgroup", ErrInvalid)
	}
	if given["creator"] != nil && spec.Creator != g.Spec.Creator {
		return fmt.Errorf("%w: the creator of a syncgroup never changes", ErrInvalid)
	}
	if given["made"] != nil && !spec.Made.Equal(g.Spec.Made) {
		return fmt.Errorf("%w: when a syncgroup was made never changes", ErrInvalid)
	}
	return nil
}
