package client

import (
	"context"
	"iter"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	nodev1 "github.com/syncbase/syncbase/sdk/api/node/v1"
)

// Status describes a daemon.
type Status struct {
	Name string `json:"name"`
	// Device is "device.epoch".
	Device  string `json:"device"`
	Version string `json:"version"`
	DataDir string `json:"data_dir"`
	// PeerAddress is where peers connect; empty when the daemon does not listen.
	PeerAddress string `json:"peer_address"`
	// HTTPAddresses are where clients are served over HTTP: "unix:" and a path, "https://host:port" over mutual TLS,
	// "http://host:port" for who shows the token.
	HTTPAddresses []string `json:"http_addresses"`
	// Principal is the daemon's, without scheme.
	Principal  string           `json:"principal"`
	Plugins    []Plugin         `json:"plugins"`
	Peers      []Peer           `json:"peers"`
	Syncgroups []SyncgroupState `json:"syncgroups"`
	// Clocks say how wrong the clock of the daemon's machine is: in its own opinion, then for each database in which a
	// peer is believed instead.
	Clocks []Clock `json:"clocks"`
	// DevelopmentClock is nil but for a daemon in development, whose owner may shift the clock.
	DevelopmentClock *DevelopmentClock `json:"development_clock,omitempty"`
	// Sweeping are collections that were destroyed and whose rows are still being removed from the disk.
	Sweeping []Sweeping `json:"sweeping"`
	// Conflicts are the databases with rows in conflict.
	Conflicts []ConflictCount `json:"conflicts"`
	// Refused are the databases with commits that are refused somewhere.
	Refused []RefusedCount `json:"refused"`
	// Databases are what each database takes.
	Databases []DatabaseSpace `json:"databases"`
	// Store is what all of them take together.
	Store StoreSpace `json:"store"`
	// Alarms are what somebody has to see to; mostly there are none.
	Alarms []Alarm `json:"alarms"`
}

// ConflictCount is how many rows of a database are in conflict.
type ConflictCount struct {
	Database string `json:"database"`
	// Open counts rows whose conflict waits for somebody to resolve it.
	Open uint64 `json:"open"`
	// Overflow counts versions that were too many for their rows since the daemon started: they lost to the last writer.
	Overflow uint64 `json:"overflow"`
}

// Clock is an opinion about the clock of a machine.
type Clock struct {
	// Database is empty for the daemon's own opinion.
	Database string `json:"database,omitempty"`
	// SkewSeconds are to be added to the machine's clock.
	SkewSeconds float64 `json:"skew_seconds"`
	// Server is when a time server last answered, Hops devices away; zero if none ever has.
	Server time.Time `json:"server,omitzero"`
	Hops   uint32    `json:"hops"`
}

// Sweeping is a destroyed collection that still takes space.
type Sweeping struct {
	Database   string `json:"database"`
	Collection string `json:"collection"`
}

// Plugin is a plugin instance.
type Plugin struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
	// State is starting, ready, failed or stopped.
	State    string `json:"state"`
	PID      int64  `json:"pid"`
	Restarts uint64 `json:"restarts"`
	Version  string `json:"version"`
	// Message says why the state is not ready.
	Message string `json:"message,omitempty"`
}

// Peer is another daemon that this one knows.
type Peer struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	// Via is how it became known: static, discovery, syncgroup or inbound.
	Via         string    `json:"via"`
	Connected   bool      `json:"connected"`
	LastContact time.Time `json:"last_contact,omitzero"`
	// LagRecords counts the records that the peer is known to hold and this daemon lacks, ToSendRecords those that the peer pulls from
	// this daemon and has not confirmed. Both are about right, and rather too large.
	LagRecords    uint64 `json:"lag_records"`
	ToSendRecords uint64 `json:"to_send_records"`
	Principal     string `json:"principal"`
	Device        string `json:"device"`
	// BytesReceived and BytesSent count from the start of the daemon.
	BytesReceived uint64 `json:"bytes_received"`
	BytesSent     uint64 `json:"bytes_sent"`
	// Error is the last failure, empty while connected.
	Error string `json:"error,omitempty"`
	// Verified is when a comparison last showed that the peer holds the same as this daemon in what both share of a database,
	// and Divergences how often one showed that it does not, although neither lacked anything of the other.
	Verified    time.Time `json:"verified,omitzero"`
	Divergences uint64    `json:"divergences"`
}

// SyncgroupState is how a syncgroup stands on this daemon.
type SyncgroupState struct {
	Database   string `json:"database"`
	Name       string `json:"name"`
	Members    uint64 `json:"members"`
	Connected  uint64 `json:"connected"`
	LagRecords uint64 `json:"lag_records"`
	// State is "member", or "pending" while this device waits for the metadata: then not all members are known.
	State string `json:"state"`
}

// Identity is who a daemon is.
type Identity struct {
	Principal   string    `json:"principal"`
	Owner       string    `json:"owner"`
	TrustDomain string    `json:"trust_domain"`
	NotAfter    time.Time `json:"not_after,omitzero"`
	// Authority tells whether the daemon can issue identities.
	Authority bool `json:"authority"`
}

// Status asks for everything at a glance. It takes the owner of the daemon, as do Peers, Plugins and Identity.
func (c *Client) Status(ctx context.Context) (Status, error) {
	resp, err := c.api.Status(ctx, &nodev1.StatusRequest{})
	if err != nil {
		return Status{}, c.failure(err)
	}
	s := Status{
		Name: resp.GetName(), Device: resp.GetDevice(), Version: resp.GetVersion(), DataDir: resp.GetDataDir(),
		PeerAddress: resp.GetPeerAddress(), Principal: resp.GetPrincipal(), HTTPAddresses: append([]string{}, resp.GetHttpAddresses()...),
		Plugins: []Plugin{}, Peers: []Peer{}, Syncgroups: []SyncgroupState{}, Clocks: []Clock{}, Conflicts: []ConflictCount{},
		Sweeping: []Sweeping{}, Databases: []DatabaseSpace{}, Refused: []RefusedCount{},
	}
	s.Alarms = alarmsOf(resp.GetAlarms())
	s.Store = StoreSpace{TableFiles: resp.GetStore().GetTableFiles(), TableBytes: resp.GetStore().GetTableBytes()}
	if p := resp.GetStore(); p != nil {
		s.Store.FreeBytes = p.FreeBytes
	}
	if k := resp.GetDevelopmentClock(); k != nil {
		s.DevelopmentClock = &DevelopmentClock{Now: timeOf(k.GetNow()), Shift: k.GetShift().AsDuration()}
	}
	for _, d := range resp.GetDatabases() {
		s.Databases = append(s.Databases, spaceOf(d))
	}
	for _, n := range resp.GetConflicts() {
		s.Conflicts = append(s.Conflicts, ConflictCount{Database: n.GetDatabase(), Open: n.GetOpen(), Overflow: n.GetOverflow()})
	}
	for _, n := range resp.GetRefused() {
		s.Refused = append(s.Refused, RefusedCount{Database: n.GetDatabase(), Here: n.GetHere(), Elsewhere: n.GetElsewhere()})
	}
	for _, x := range resp.GetSweeping() {
		s.Sweeping = append(s.Sweeping, Sweeping{Database: x.GetDatabase(), Collection: x.GetCollection()})
	}
	for _, k := range resp.GetClocks() {
		s.Clocks = append(s.Clocks, Clock{
			Database: k.GetDatabase(), SkewSeconds: k.GetSkew().AsDuration().Seconds(), Server: timeOf(k.GetServer()), Hops: k.GetHops(),
		})
	}
	for _, p := range resp.GetPlugins() {
		s.Plugins = append(s.Plugins, pluginOf(p))
	}
	for _, p := range resp.GetPeers() {
		s.Peers = append(s.Peers, peerOf(p))
	}
	for _, g := range resp.GetSyncgroups() {
		s.Syncgroups = append(s.Syncgroups, SyncgroupState{
			Database: g.GetDatabase(), Name: g.GetName(),
			Members: g.GetMembers(), Connected: g.GetConnected(), LagRecords: g.GetLagRecords(), State: g.GetState(),
		})
	}
	return s, nil
}

func pluginOf(p *nodev1.Plugin) Plugin {
	return Plugin{
		Name: p.GetName(), Kind: p.GetKind(), State: p.GetState(), PID: p.GetPid(), Restarts: p.GetRestarts(),
		Version: p.GetVersion(), Message: p.GetMessage(),
	}
}

func peerOf(p *nodev1.Peer) Peer {
	return Peer{
		Name: p.GetName(), Address: p.GetAddress(), Via: p.GetVia(), Connected: p.GetConnected(),
		LastContact: timeOf(p.GetLastContact()), LagRecords: p.GetLagRecords(), ToSendRecords: p.GetToSendRecords(),
		Principal: p.GetPrincipal(), Device: p.GetDevice(), BytesReceived: p.GetBytesReceived(), BytesSent: p.GetBytesSent(), Error: p.GetError(),
		Verified: timeOf(p.GetVerified()), Divergences: p.GetDivergences(),
	}
}

// timeOf reads an optional time.
func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

// Peers lists the daemons that this one knows.
func (c *Client) Peers(ctx context.Context) iter.Seq2[Peer, error] {
	return list(ctx, c, func(ctx context.Context) (grpc.ServerStreamingClient[nodev1.ListPeersResponse], error) {
		return c.api.ListPeers(ctx, &nodev1.ListPeersRequest{})
	}, func(r *nodev1.ListPeersResponse) Peer { return peerOf(r.GetPeer()) })
}

// Plugins lists the plugin instances.
func (c *Client) Plugins(ctx context.Context) iter.Seq2[Plugin, error] {
	return list(ctx, c, func(ctx context.Context) (grpc.ServerStreamingClient[nodev1.ListPluginsResponse], error) {
		return c.api.ListPlugins(ctx, &nodev1.ListPluginsRequest{})
	}, func(r *nodev1.ListPluginsResponse) Plugin { return pluginOf(r.GetPlugin()) })
}

// Identity tells who the daemon is.
func (c *Client) Identity(ctx context.Context) (Identity, error) {
	resp, err := c.api.ShowIdentity(ctx, &nodev1.ShowIdentityRequest{})
	if err != nil {
		return Identity{}, c.failure(err)
	}
	return Identity{
		Principal: resp.GetPrincipal(), Owner: resp.GetOwner(), TrustDomain: resp.GetTrustDomain(),
		NotAfter: timeOf(resp.GetNotAfter()), Authority: resp.GetAuthority(),
	}, nil
}

// BackupOptions say what goes into a backup. The zero value is the store with the bytes of its blobs.
type BackupOptions struct {
	// WithoutBlobs leaves out the bytes of blobs.
	WithoutBlobs bool
	// WithIdentity copies the directory of the identity, too: whoever has the backup can be this device.
	WithIdentity bool
}

// Backup is what a backup consists of.
type Backup struct {
	Files uint64 `json:"files"`
	Bytes uint64 `json:"bytes"`
}

// Backup writes a consistent and verified copy of the store into a directory of the daemon's machine that is absent or
// empty, by its absolute path, while the daemon goes on working. It takes the owner in person.
func (c *Client) Backup(ctx context.Context, directory string, opts BackupOptions) (Backup, error) {
	resp, err := c.api.Backup(ctx, &nodev1.BackupRequest{
		Directory: directory, WithoutBlobs: opts.WithoutBlobs, WithIdentity: opts.WithIdentity,
	})
	if err != nil {
		return Backup{}, c.failure(err)
	}
	return Backup{Files: resp.GetFiles(), Bytes: resp.GetBytes()}, nil
}

// Databases lists the databases that the caller may see, by full name.
func (c *Client) Databases(ctx context.Context) iter.Seq2[string, error] {
	return list(ctx, c, func(ctx context.Context) (grpc.ServerStreamingClient[nodev1.ListDatabasesResponse], error) {
		return c.api.ListDatabases(ctx, &nodev1.ListDatabasesRequest{})
	}, (*nodev1.ListDatabasesResponse).GetDatabase)
}
