package syncgroup

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/syncbase/syncbase/host/internal/hlc"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// Bounds of the addresses in a register.
const (
	// MaxAddresses is how many addresses of one member count.
	MaxAddresses  = 16
	maxAddressLen = 255
)

// Announcement is what a device says of itself in its register.
type Announcement struct {
	Addresses []string
	// Beside: another daemon uses the register, too, because it is a copy of this one. What it has written there stays.
	Beside bool
}

// Written says who wrote a register and when, in the order in which records are made; zero if it has not arrived.
type Written struct {
	By id.Writer
	At hlc.Time
}

// RegisterWritten says who wrote the present version of a register.
func RegisterWritten(db *rows.DB, name id.Name, p id.Principal) (Written, error) {
	row, err := db.Get(Metadata(name), memberPrefix+string(p))
	if errors.Is(err, rows.ErrNoRow) || errors.Is(err, rows.ErrNoCollection) {
		return Written{}, nil
	}
	return Written{By: row.Version.Writer, At: row.Time}, err
}

// Announce writes where this device is reached, and as what it joined, into its own register, and leaves the rest of the
// register as it is, what this program does not know of included. The type is written by whoever admits this device, too,
// and that may lose against an announcement made at the same time; so this device sees to it. It writes nothing when the register says so already, has not arrived yet, cannot
// be read or belongs to another device that goes by the same principal.
func Announce(db *rows.DB, name id.Name, self id.Principal, how Announcement) error {
	addresses := slices.DeleteFunc(slices.Clone(how.Addresses), func(a string) bool { return checkAddress(a) != nil })
	addresses = addresses[:min(len(addresses), MaxAddresses)]
	meta, key := Metadata(name), memberPrefix+string(self)
	row, err := db.Get(meta, key)
	if errors.Is(err, rows.ErrNoRow) || errors.Is(err, rows.ErrNoCollection) {
		return nil
	}
	if err != nil {
		return err
	}
	g, err := Find(db, name)
	if err != nil {
		return err
	}
	var m Member
	if json.Unmarshal(row.Value, &m) != nil || m.Device != db.Writer().Device.String() {
		return nil
	}
	if how.Beside {
		g.Type = m.Type
		for _, a := range m.Reachable() {
			if !slices.Contains(addresses, a) && len(addresses) < MaxAddresses {
				addresses = append(addresses, a)
			}
		}
		slices.Sort(addresses)
	}
	if m.Type == g.Type && slices.Equal(m.Addresses, addresses) {
		return nil
	}
	value, err := announced(row.Value, Member{Type: g.Type, Addresses: addresses, Told: m.Told + 1})
	if err != nil {
		return fmt.Errorf("register of %s: %w", self, err)
	}
	_, err = db.Commit([]rows.Op{
		{Kind: rows.OpCheck, Collection: meta, Key: key, Expect: &rows.Expect{Version: row.Version}},
		{Collection: meta, Key: key, Value: value},
	}, nil)
	if errors.Is(err, rows.ErrConflict) {
		// Somebody else's version came in between, and whoever follows the metadata looks at it next.
		return nil
	}
	return err
}

// announced returns the register with what m says of type and addresses.
func announced(register []byte, m Member) ([]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(register, &fields); err != nil {
		return nil, err
	}
	said := map[string]any{"type": m.Type, "told": m.Told, "addresses": m.Addresses}
	delete(fields, "addresses")
	if len(m.Addresses) == 0 {
		delete(said, "addresses")
	}
	for name, value := range said {
		raw, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		fields[name] = raw
	}
	return json.Marshal(fields)
}

// Reachable returns the addresses of the register that can be tried: each is host:port, no more than MaxAddresses. They
// are proposals, since whoever may write the metadata may write them; the session proves who answers.
func (m Member) Reachable() []string {
	var list []string
	for _, a := range m.Addresses {
		if len(list) == MaxAddresses {
			break
		}
		if checkAddress(a) == nil && !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	return list
}

// checkAddress checks the form host:port. An unspecified host is where nobody else is reached.
func checkAddress(address string) error {
	if len(address) > maxAddressLen {
		return fmt.Errorf("%w: an address of %d bytes, want at most %d", ErrInvalid, len(address), maxAddressLen)
	}
	for _, c := range []byte(address) {
		if c <= ' ' || c > '~' {
			return fmt.Errorf("%w: the address %q has characters that no address has", ErrInvalid, address)
		}
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return fmt.Errorf("%w: the address %q, want host:port", ErrInvalid, address)
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Unmap().IsUnspecified() {
		return fmt.Errorf("%w: the address %q has no host", ErrInvalid, address)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%w: the address %q, want a port from 1 to 65535", ErrInvalid, address)
	}
	return nil
}
