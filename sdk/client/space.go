package client

import (
	"time"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// DatabaseSpace is what a database takes, and what keeps it from taking less.
type DatabaseSpace struct {
	Database string `json:"database"`
	// LiveBytes are keys and values of what is in force, in the store and in its log; GarbageBytes about how much is history
	// that will be reclaimed. A quota bounds the two together.
	LiveBytes    uint64 `json:"live_bytes"`
	GarbageBytes uint64 `json:"garbage_bytes"`
	// DiskBytes is about what the database takes on the disk, LogBytes how much of that is the log. What was written last is
	// not in them yet.
	DiskBytes uint64 `json:"disk_bytes"`
	LogBytes  uint64 `json:"log_bytes"`
	// LogBegins is the last commit that was reclaimed, LogEnds the last one.
	LogBegins uint64 `json:"log_begins"`
	LogEnds   uint64 `json:"log_ends"`
	// OpenConflicts counts rows whose conflict waits for somebody to resolve it.
	OpenConflicts uint64 `json:"open_conflicts"`
	// HeldBy are those who keep the daemon from reclaiming what could go by its age or amount, the longest silent first.
	HeldBy []Holder `json:"held_by"`
	// SyncPaused: the database neither sends nor receives, until it is resumed.
	SyncPaused bool `json:"sync_paused"`
}

// StoreSpace is what the tables of the store take, in which all databases lie. What was written last is not in one yet.
type StoreSpace struct {
	TableFiles uint64 `json:"table_files"`
	TableBytes uint64 `json:"table_bytes"`
	// FreeBytes are what is left of the disk; nil where the file system does not tell.
	FreeBytes *uint64 `json:"free_bytes,omitempty"`
}

// Holder keeps history or deletes from being reclaimed.
type Holder struct {
	// Kind is reader (a watch or batch that is behind), member (it has not said that it holds what would go) or self (this
	// device is behind, or does not take part now).
	Kind string `json:"kind"`
	// Syncgroup and Member are empty for readers.
	Syncgroup string `json:"syncgroup,omitempty"`
	Member    string `json:"member,omitempty"`
	// Acknowledged is when the member last said what it holds; zero if it never has.
	Acknowledged time.Time `json:"acknowledged,omitzero"`
}

func spaceOf(d *nodev1.DatabaseSpace) DatabaseSpace {
	s := DatabaseSpace{
		Database: d.GetDatabase(), LiveBytes: d.GetLiveBytes(), GarbageBytes: d.GetGarbageBytes(), DiskBytes: d.GetDiskBytes(),
		LogBytes: d.GetLogBytes(), LogBegins: d.GetLogBegins(), LogEnds: d.GetLogEnds(), OpenConflicts: d.GetOpenConflicts(),
		HeldBy: []Holder{}, SyncPaused: d.GetSyncPaused(),
	}
	for _, h := range d.GetHeldBy() {
		s.HeldBy = append(s.HeldBy, Holder{
			Kind: h.GetKind(), Syncgroup: h.GetSyncgroup(), Member: h.GetMember(), Acknowledged: timeOf(h.GetAcknowledged()),
		})
	}
	return s
}
