package peer

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	"github.com/syncbase/syncbase/host/internal/identity"
)

// Instance names one run of a daemon.
type Instance = [16]byte

// Caller is who makes a request.
type Caller struct {
	// Principal is proven by the caller's certificate.
	Principal id.Principal
	// Device that the caller said it is; zero before its Hello.
	Device id.Device
	// Name of the caller for people; empty before its Hello.
	Name string
	// Address it calls from.
	Address string
}

// ServerStream is the answering side of a pull.
type ServerStream interface {
	// Send sends a message, split where it is too large for one. It blocks until the initiator has room for its commits
	// and fails when the stream has ended. The first message must be Accepted, and only that. Not safe for concurrent use.
	Send(delta.Message) error
	// Said yields what the initiator says of what it gets from elsewhere, in as few pieces as it is taken out in.
	Said() <-chan delta.Elsewhere
	// Underway returns how many bytes of commits were sent and are not applied by the initiator, as far as it has said. Safe for
	// concurrent use.
	Underway() int
}

// Puller answers pulls. It returns when ctx ends or there is nothing more to say; open has been checked.
type Puller interface {
	ServePull(ctx context.Context, caller Caller, open delta.Open, stream ServerStream) error
}

// Admission is what a newcomer is told: the encoded specification, and what the admitter knows of the metadata.
type Admission struct {
	Spec  []byte
	Known id.Vector
}

// Admitter admits peers to syncgroups. The member type is "normal", "server" or "leaf".
type Admitter interface {
	Admit(ctx context.Context, caller Caller, database, syncgroup id.Name, memberType string) (Admission, error)
}

// Timekeeper says what time it is in a database that the caller shares, and what that rests on; ErrNotFound for any other
// database.
type Timekeeper interface {
	Time(caller Caller, database id.Name) (Time, error)
}

// Time is one device's idea of it.
type Time struct {
	// Received and Replied are when the question came and when the answer went.
	Received, Replied time.Time
	// Server is when a time server last answered, zero if never; Hops how many devices its answer travelled through since,
	// and Reboots how often they were restarted.
	Server        time.Time
	Hops, Reboots uint16
}

// BlobServer hands out blobs. The functions called with the data fail when the caller has gone.
type BlobServer interface {
	// Recipe sends the encoded recipe in any number of parts.
	Recipe(ctx context.Context, caller Caller, ref string, send func([]byte) error) error
	// Chunks sends the chunks in the order of indexes.
	Chunks(ctx context.Context, caller Caller, ref string, indexes []uint32, send func(index uint32, data []byte) error) error
}

// Options of Sessions. Identity, Device and Name are needed; what else is missing answers UNIMPLEMENTED or has a default.
type Options struct {
	Identity *identity.Identity
	// Device is this daemon's.
	Device id.Device
	// Instance is this run of the daemon. Zero: copies of this device are not told from it.
	Instance Instance
	// OnTwin is called each time that a copy of this device was met, which has its keys; it must not block for long.
	OnTwin func(instance Instance, address string)
	// OnCopies is called once for each set of daemons that run at the same time with the keys of one device, another than this
	// one; it must not block for long.
	OnCopies func(Copies)
	// Name and Software of this daemon, for people.
	Name, Software string
	// Features that this daemon understands.
	Features []string
	// Addresses returns where this daemon accepts peers, as "host:port"; an unspecified host means wherever the peer sees us.
	Addresses func() []string

	Puller    Puller
	Admitter  Admitter
	Registrar Registrar
	Blobs     BlobServer
	Comparer  Comparer
	Refusals  RefusalBook
	Time      Timekeeper

	// OnLink is called in a goroutine of its own when a link is up; ctx ends with the link, and Run waits for the call to
	// return. The link stays up after it returned.
	OnLink func(ctx context.Context, link *Link)
	// Status turns an error of the interfaces above into a gRPC status; default: ErrDenied and ErrNotFound become their
	// codes, everything else INTERNAL without its text.
	Status func(error) error

	// Calls are added to the options of each link's gRPC client, so that a test can see what is asked.
	Calls []grpc.DialOption
	// Dial connects to an address; default TCP.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	Now  func() time.Time
	// Rand returns numbers in [0,1) for jitter.
	Rand func() float64
	Log  hclog.Logger
}

func (o Options) withDefaults() Options {
	if o.Addresses == nil {
		o.Addresses = func() []string { return nil }
	}
	if o.OnTwin == nil {
		o.OnTwin = func(Instance, string) {}
	}
	if o.OnCopies == nil {
		o.OnCopies = func(Copies) {}
	}
	if o.OnLink == nil {
		o.OnLink = func(context.Context, *Link) {}
	}
	if o.Dial == nil {
		dialer := net.Dialer{KeepAlive: -1} // HTTP/2 pings notice a dead peer sooner
		o.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", address)
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	return o
}

// Validate lists all faults.
func (o Options) Validate() error {
	var faults []error
	if o.Identity == nil {
		faults = append(faults, errors.New("peer: Options.Identity is missing"))
	}
	if o.Device == (id.Device{}) {
		faults = append(faults, errors.New("peer: Options.Device is zero"))
	}
	if err := checkName(o.Name); err != nil {
		faults = append(faults, err)
	}
	if err := checkFeatures(o.Features); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}
