package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/kv"
	"github.com/syncbase/syncbase/host/internal/perm"
	"github.com/syncbase/syncbase/host/internal/rows"
)

// Options are what the service is made of. Rows, Owner, Caller and Node are required; calls that need one of the others
// fail with FAILED_PRECONDITION while it is nil.
type Options struct {
	Rows *rows.Store
	// Owner is the principal to whom this daemon belongs.
	Owner id.Principal
	// Caller tells who makes the call of a context. An error refuses the call as UNAUTHENTICATED.
	Caller func(context.Context) (id.Principal, error)
	Node   Node

	Syncgroups Syncgroups
	Blobs      Blobs
	// BlobBytes may be nil: then the bytes of blobs cannot be verified.
	BlobBytes BlobBytes
	Peers     Peers
	Plugins   Plugins
	// Clock is nil but in development.
	Clock     DevelopmentClock
	Resolvers Resolvers
	// Gone says that the data directory is not where it was, so that nothing can be told of its files; nil if nobody knows.
	Gone func() error
	// Alarms tells what somebody has to see to; nil is nothing.
	Alarms func() []Alarm
	// Refusals may be nil: then nobody knows what others refuse.
	Refusals Refusals
	// Holders tells who keeps a database from being reclaimed; nil is nobody.
	Holders func(db *rows.DB) ([]Holder, error)
	// Backup writes a backup into a directory; nil is one of the rows alone.
	Backup func(ctx context.Context, dir string, with BackupContents) (kv.Manifest, error)
	// AnswerWithin is how long a resolver of an application may take for a group of conflicts. Default: 30 s.
	AnswerWithin time.Duration
}

// Validate lists everything that is missing.
func (o Options) Validate() error {
	var errs []error
	if o.Rows == nil {
		errs = append(errs, errors.New("api: no rows"))
	}
	if err := o.Owner.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("api: owner: %w", err))
	}
	if o.Caller == nil {
		errs = append(errs, errors.New("api: nobody to ask who calls"))
	}
	if o.Node == nil {
		errs = append(errs, errors.New("api: no node"))
	}
	return errors.Join(errs...)
}

// Node tells about the daemon.
type Node interface {
	Facts() Facts
}

// Facts describe the daemon.
type Facts struct {
	Name, Version, DataDir string
	// PeerAddress is where peers connect; empty when the daemon does not listen.
	PeerAddress string
	// HTTPAddresses are where clients are served over HTTP.
	HTTPAddresses []string
	Principal     id.Principal
	// NotAfter is when the daemon's certificate ends.
	NotAfter time.Time
	// Authority tells whether the daemon can issue identities.
	Authority bool
	// Clocks say how wrong the machine's clock is: in the daemon's own opinion, then for each database where that differs.
	Clocks []Clock
}

// Clock is an opinion about the machine's clock.
type Clock struct {
	// Database is zero for the daemon's own opinion.
	Database id.Name
	// Skew is to be added to the machine's clock.
	Skew time.Duration
	// Server is when a time server last answered, zero if never; Hops how many devices away.
	Server time.Time
	Hops   uint16
}

// Syncgroups is membership. Names are valid and access has been checked, but for what is said otherwise.
type Syncgroups interface {
	SyncgroupMaker
	SyncgroupReader
	SyncgroupKeeper
	Inviter
}

// SyncgroupMaker makes this device a member.
type SyncgroupMaker interface {
	// Create makes a syncgroup with this device as its first member.
	Create(ctx context.Context, caller id.Principal, db, sg id.Name, spec NewSyncgroup) error
	// Join asks a peer, or every reachable one, to admit this device, and returns who did; it makes the database if it is
	// not here, after this device was admitted. Whether the syncgroup admits this device is for that peer to decide. A
	// member that asks for nothing new is one already.
	Join(ctx context.Context, caller id.Principal, db, sg id.Name, how Join) (admittedBy string, err error)
}

// Join says how to become a member.
type Join struct {
	// Peer is the address or name of the peer to ask, empty for everybody.
	Peer string
	// MemberType may be empty.
	MemberType string
	// Expect is who may admit this device: the principal, or one that belongs to it; empty is anybody.
	Expect id.Principal
}

// NewSyncgroup is what a syncgroup starts with.
type NewSyncgroup struct {
	Scopes      []id.Scope
	MemberType  string
	Description string
	Permissions perm.List
	Publish     string
	Private     bool
	Priority    uint32
}

// SyncgroupReader tells about the syncgroups that this device is a member of.
type SyncgroupReader interface {
	// States lists all of them, in every database, and those that this device was a member of.
	States(ctx context.Context) ([]SyncgroupState, error)
	// Spec wraps ErrNotFound when this device is no member.
	Spec(ctx context.Context, db, sg id.Name) (SyncgroupSpec, error)
	Members(ctx context.Context, db, sg id.Name) ([]Member, error)
	// Wait returns when this device holds what its reachable peers held at the time of the call, and how many they are.
	Wait(ctx context.Context, db, sg id.Name) (peers int, err error)
}

// SyncgroupState is a syncgroup as status shows it.
type SyncgroupState struct {
	Database, Name                 id.Name
	Members, Connected, LagRecords uint64
	// State is member, pending, removed, left, ejected or destroyed.
	State string
	// Reason says why this device is no member any more; empty for members.
	Reason string
	// Publish is pending or published, empty when nobody asked for it; PublishError is why this device failed at it last.
	Publish, PublishError string
}

// Member reports whether this device takes part.
func (s *SyncgroupState) Member() bool { return s.State == "member" || s.State == "pending" }

// SyncgroupSpec is the specification of a syncgroup.
type SyncgroupSpec struct {
	JSON        []byte
	Version     string
	Permissions perm.List
}

// Member is a member of a syncgroup.
type Member struct {
	Principal id.Principal
	Type      string
	Joined    time.Time
	Priority  uint32
}

// Peers tells who is known.
type Peers interface {
	List(ctx context.Context) ([]Peer, error)
}

// Peer is another daemon.
type Peer struct {
	Name, Address string
	// Via is how it became known: static, discovery, syncgroup or inbound.
	Via         string
	Connected   bool
	LastContact time.Time
	// LagRecords are lacking here, ToSendRecords there.
	LagRecords, ToSendRecords uint64
	// Verified is when it was last found to hold the same as this device, Divergences how often it did not.
	Verified                 time.Time
	Divergences              uint64
	Principal                id.Principal
	Device                   string
	BytesReceived, BytesSent uint64
	// Error is the last failure.
	Error string
}

// Plugins tells what runs.
type Plugins interface {
	List(ctx context.Context) ([]Plugin, error)
}

// Plugin is a plugin instance.
type Plugin struct {
	Name, Kind string
	// State is starting, ready, failed or stopped.
	State    string
	PID      int
	Restarts uint64
	Version  string
	Message  string
}

// Blobs is the store of large things together with the way to get them from peers. A database, named by its number, has
// the blobs that were put through it and those that its rows refer to; every other does not exist for it.
type Blobs interface {
	BlobWriter
	BlobReader
}

// BlobBytes reads what is here of all blobs.
type BlobBytes interface {
	// VerifyBlobs reports each blob of which something is damaged or gone, with why and what to do, and tells how many it is through with.
	VerifyBlobs(ctx context.Context, report func(ref, why string), done func(blobs int)) error
}

// BlobScope is the blobs of a database that a caller may have: those to which rows refer that it may read, and those to which no row refers
// (yet) and that were put through the database. Others are not there for it.
type BlobScope struct {
	// DB is rows.DB.Num of the database.
	DB uint32
	// MayRead reports whether the caller may read the rows of a collection.
	MayRead func(id.Collection) bool
}

// BlobWriter takes blobs in.
type BlobWriter interface {
	// Put reads to the end and returns when the blob is durable.
	Put(ctx context.Context, db uint32, r io.Reader) (ref string, size uint64, err error)
	// Fetch brings a blob here. It calls progress now and then, from one goroutine at a time; an error of progress ends it.
	Fetch(ctx context.Context, of BlobScope, ref string, priority int32, progress func(FetchProgress) error) error
}

// BlobReader gives blobs out.
type BlobReader interface {
	// Read writes length bytes from the offset on, to the end when length is 0, fetching what is not here. It calls
	// started once, with the size of the whole blob, before it writes.
	Read(ctx context.Context, of BlobScope, ref string, offset, length uint64, started func(size uint64) error, w io.Writer) error
	Stat(ctx context.Context, of BlobScope, ref string) (Blob, error)
	// List visits the blobs.
	List(ctx context.Context, of BlobScope, visit func(Blob) error) error
}

// FetchState is how far the fetching of a blob is.
type FetchState uint8

const (
	FetchPending FetchState = iota
	FetchLocating
	FetchFetching
	FetchDone
)

// FetchProgress is one report of a fetch.
type FetchProgress struct {
	State           FetchState
	Received, Total uint64
	// Source is the peer that the bytes come from.
	Source string
}

// BlobState is how much of a blob is here.
type BlobState uint8

const (
	BlobLocal BlobState = iota
	BlobPartial
	BlobRemote
)

// Blob is what is known of a blob.
type Blob struct {
	Ref string
	// Size is 0 while unknown.
	Size   uint64
	State  BlobState
	Pinned bool
	Rank   uint32
	// Locations are the peers that are thought to hold it.
	Locations []string
}
