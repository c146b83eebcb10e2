package syncgroup

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
	"github.com/syncbase/syncbase/host/internal/wire"
)

const ackPrefix = "ack/"

// Acks are what members have said they hold of the scopes of a syncgroup.
type Acks map[id.Principal][]delta.ScopeVector

// Of returns what the member said it holds of the scope, nil if nothing.
func (a Acks) Of(p id.Principal, s id.Scope) id.Vector {
	for _, sv := range a[p] {
		if sv.Scope == s {
			return sv.Vector
		}
	}
	return nil
}

// ack is the row "ack/PRINCIPAL" of the metadata, which the member alone writes.
type ack struct {
	Held []ackScope `json:"held"`
}

// ackScope is one scope of it; the vector is in the encoding of docs/format.md, as base64. Meta stands for the metadata.
type ackScope struct {
	Meta   bool         `json:"meta,omitempty"`
	Owner  id.Principal `json:"owner,omitempty"`
	Name   string       `json:"name,omitempty"`
	Prefix string       `json:"prefix,omitempty"`
	Vector string       `json:"vector"`
}

// ReadAcks returns what the members of the syncgroup said. What somebody else than the member's own device wrote in its
// name, and what cannot be read, counts for nothing.
func ReadAcks(db *rows.DB, name id.Name, members []Member) (Acks, error) {
	devices := map[id.Principal]string{}
	for _, m := range members {
		devices[m.Principal] = m.Device
	}
	acks := Acks{}
	err := db.Scan(Metadata(name), rows.ScanRange{Prefix: ackPrefix}, func(r *rows.RowView) (bool, error) {
		p := id.Principal(strings.TrimPrefix(string(r.Key), ackPrefix))
		if device, member := devices[p]; member && device == r.Version.Writer.Device.String() {
			acks[p] = decodeAck(name, r.Value)
		}
		return true, nil
	})
	if errors.Is(err, rows.ErrNoCollection) {
		err = nil
	}
	return acks, err
}

func decodeAck(name id.Name, value []byte) []delta.ScopeVector {
	var a ack
	if json.Unmarshal(value, &a) != nil || len(a.Held) > MaxCollections+1 {
		return nil
	}
	var list []delta.ScopeVector
	for _, s := range a.Held {
		data, err := base64.StdEncoding.DecodeString(s.Vector)
		if err != nil {
			return nil
		}
		v, err := wire.DecodeVector(data)
		if err != nil {
			return nil
		}
		scope := SpecCollection{Owner: s.Owner, Name: s.Name, Prefix: s.Prefix}.Scope()
		if s.Meta {
			scope = id.Scope{Collection: Metadata(name)}
		}
		list = append(list, delta.ScopeVector{Scope: scope, Vector: v})
	}
	return list
}

// PublishAck says to the other members what this device holds of the syncgroup's scopes.
func PublishAck(db *rows.DB, name id.Name, self id.Principal, held []delta.ScopeVector) error {
	var a ack
	for _, sv := range held {
		s := ackScope{Vector: base64.StdEncoding.EncodeToString(wire.AppendVector(nil, sv.Vector))}
		if sv.Scope.Collection == Metadata(name) {
			s.Meta = true
		} else {
			s.Owner, s.Name, s.Prefix = sv.Scope.Collection.Name.Owner, sv.Scope.Collection.Name.Local, sv.Scope.Prefix
		}
		a.Held = append(a.Held, s)
	}
	value, err := json.Marshal(a)
	if err != nil {
		return err
	}
	_, err = db.Commit([]rows.Op{{Collection: Metadata(name), Key: ackPrefix + string(self), Value: value}}, nil)
	return err
}

// Acknowledged is when the principal last said what it holds, by its own clock; zero if it never has.
func Acknowledged(db *rows.DB, name id.Name, p id.Principal) (time.Time, error) {
	row, err := db.Get(Metadata(name), ackPrefix+string(p))
	switch {
	case errors.Is(err, rows.ErrNoRow), errors.Is(err, rows.ErrNoCollection):
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, err
	}
	return row.Time.Wall(), nil
}
