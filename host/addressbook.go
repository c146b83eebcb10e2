package host

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/peer"
)

// viaMeeting is the source of addresses where peers were reached before.
const viaMeeting = "meeting"

// maxContacts bounds the address book; whoever was not met for longest is forgotten.
const maxContacts = 1024

// spaceContact is the space of the address book, drawn in docs/format.md.
const spaceContact = 0x02

// contact is an entry of the address book.
type contact struct {
	Address string    `json:"address"`
	Seen    time.Time `json:"seen"`
}

// addressBook remembers where peers were reached, so that a daemon that starts again finds them without being told. An
// address is a proposal: who answers there is proven by the session.
type addressBook struct{ kv *kv.Store }

func contactKey(p id.Principal) []byte { return append([]byte{spaceContact}, p...) }

// note takes down where a peer was reached and returns where it was reached before, empty if never.
func (b addressBook) note(p peer.Peer, now time.Time) (before string, err error) {
	var last contact
	switch data, err := b.kv.Get(contactKey(p.Principal)); {
	case err == nil:
		// What cannot be read is replaced.
		_ = json.Unmarshal(data, &last)
	case !errors.Is(err, kv.ErrNotFound):
		return "", err
	}
	value, err := json.Marshal(contact{Address: p.Address, Seen: now.UTC().Truncate(time.Second)})
	if err != nil {
		return "", err
	}
	batch := b.kv.NewBatch()
	batch.Set(contactKey(p.Principal), value)
	// Losing the last entries to a power cut costs nothing that the next meeting does not bring back.
	return last.Address, batch.Commit(kv.NoSync)
}

// load returns the addresses, the latest first, and forgets what the book has no room for.
func (b addressBook) load() ([]string, error) {
	type entry struct {
		key []byte
		contact
	}
	var all []entry
	it, err := b.kv.Iter([]byte{spaceContact}, []byte{spaceContact + 1})
	if err != nil {
		return nil, err
	}
	for ok := it.First(); ok; ok = it.Next() {
		e := entry{key: slices.Clone(it.Key())}
		// What cannot be read sorts last and is forgotten first.
		_ = json.Unmarshal(it.Value(), &e.contact)
		all = append(all, e)
	}
	if err := it.Close(); err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b entry) int { return b.Seen.Compare(a.Seen) })
	batch := b.kv.NewBatch()
	for _, e := range all[min(len(all), maxContacts):] {
		batch.Delete(e.key)
	}
	var addresses []string
	for _, e := range all[:min(len(all), maxContacts)] {
		if e.Address != "" {
			addresses = append(addresses, e.Address)
		}
	}
	return addresses, batch.Commit(kv.NoSync)
}
