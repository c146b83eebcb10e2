package api

import (
	"errors"
	"time"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// Holder is who keeps a database from being reclaimed.
type Holder struct {
	// Kind is reader, member or self.
	Kind      string
	Syncgroup id.Name
	Member    id.Principal
	// Acknowledged is zero if the member has never said what it holds.
	Acknowledged time.Time
}

func (s *Server) storeSpace() *nodev1.StoreSpace {
	disk := s.opts.Rows.Disk()
	p := &nodev1.StoreSpace{TableFiles: disk.Files, TableBytes: disk.Bytes}
	if disk.Known {
		p.FreeBytes = &disk.Free
	}
	return p
}

// spaces tells what each database takes. One that is destroyed meanwhile is left out.
func (s *Server) spaces() (list []*nodev1.DatabaseSpace, err error) {
	dbs, _ := s.opts.Rows.Databases()
	for _, db := range dbs {
		p, err := s.space(db)
		if errors.Is(err, rows.ErrDestroyed) {
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

func (s *Server) space(db *rows.DB) (*nodev1.DatabaseSpace, error) {
	space, err := db.Space()
	if err != nil {
		return nil, err
	}
	open, _ := db.OpenConflicts()
	p := &nodev1.DatabaseSpace{
		Database: db.Name().String(), LiveBytes: space.Live, GarbageBytes: space.Garbage, DiskBytes: space.Disk, LogBytes: space.Log,
		LogBegins: space.Floor, LogEnds: space.Seq, OpenConflicts: uint64(open),
		SyncPaused: db.Settings().SyncPaused,
	}
	if s.opts.Holders == nil {
		return p, nil
	}
	holders, err := s.opts.Holders(db)
	for _, h := range holders {
		one := &nodev1.Holder{Kind: h.Kind, Member: string(h.Member), Acknowledged: optionalTime(h.Acknowledged)}
		if h.Syncgroup != (id.Name{}) {
			one.Syncgroup = h.Syncgroup.String()
		}
		p.HeldBy = append(p.HeldBy, one)
	}
	return p, err
}
