package peer

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/syncbase/syncbase/host/internal/delta"
	"github.com/syncbase/syncbase/host/internal/id"
	peerv1 "github.com/syncbase/syncbase/sdk/api/peer/v1"
)

// Bounds of what a peer may send, as peer.proto states them or, where it states none, as below.
const (
	maxNameLen      = 64
	maxSoftwareLen  = 256
	maxFeatures     = 64
	maxFeatureLen   = 64
	maxAddresses    = 16
	maxAddressLen   = 255
	maxSyncgroups   = 1024
	maxScopes       = 65536
	maxInside       = 256
	maxHeldBack     = 1024
	maxToldEntries  = 65536
	maxEntries      = 65536
	maxAllEntries   = 1 << 20
	minWindow       = 256 << 10
	maxWindow       = 64 << 20
	maxCommit       = 40 << 20
	maxCommitsBytes = 1 << 20
	maxRecipePart   = 256 << 10
	maxRefLen       = 256
	maxIndexes      = 4096
	maxChunk        = 1 << 20
	maxSpec         = 4 << 20
	maxMessage      = 48 << 20
)

func checkPrintable(what, text string, limit int) error {
	if len(text) > limit {
		return fmt.Errorf("a %s of %d bytes, the limit is %d", what, len(text), limit)
	}
	if !utf8.ValidString(text) {
		return fmt.Errorf("a %s that is not UTF-8", what)
	}
	for _, c := range text {
		if unicode.IsControl(c) {
			return fmt.Errorf("a %s with control characters: %q", what, text)
		}
	}
	return nil
}

func checkName(name string) error {
	if name == "" {
		return errors.New("an empty node name")
	}
	return checkPrintable("node name", name, maxNameLen)
}

func checkFeatures(features []string) error {
	if len(features) > maxFeatures {
		return fmt.Errorf("%d features, the limit is %d", len(features), maxFeatures)
	}
	for _, f := range features {
		if err := checkPrintable("feature", f, maxFeatureLen); err != nil {
			return err
		}
	}
	return nil
}

// checkAddress checks the form "host:port"; the host may be empty.
func checkAddress(address string) error {
	if err := checkPrintable("address", address, maxAddressLen); err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("the address %q: want host:port", address)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("the address %q: the port must be a number from 1 to 65535", address)
	}
	return nil
}

// acquaintance is what either side of Hello says.
type acquaintance struct {
	name      string
	device    id.Device
	software  string
	features  []string
	addresses []string
	// instance is zero for a peer that does not tell.
	instance Instance
}

// hello is what HelloRequest and HelloResponse have in common.
type hello interface {
	GetName() string
	GetDevice() []byte
	GetSoftware() string
	GetFeatures() []string
	GetAddresses() []string
	GetInstance() []byte
}

func decodeHello(m hello) (acquaintance, error) {
	device, err := decodeDevice(m.GetDevice())
	if err != nil {
		return acquaintance{}, err
	}
	if device == (id.Device{}) {
		return acquaintance{}, errors.New("the zero device")
	}
	if err := checkName(m.GetName()); err != nil {
		return acquaintance{}, err
	}
	if err := checkPrintable("software version", m.GetSoftware(), maxSoftwareLen); err != nil {
		return acquaintance{}, err
	}
	if err := checkFeatures(m.GetFeatures()); err != nil {
		return acquaintance{}, err
	}
	if n := len(m.GetAddresses()); n > maxAddresses {
		return acquaintance{}, fmt.Errorf("%d addresses, the limit is %d", n, maxAddresses)
	}
	for _, a := range m.GetAddresses() {
		if err := checkAddress(a); err != nil {
			return acquaintance{}, err
		}
	}
	a := acquaintance{
		name:      m.GetName(),
		device:    device,
		software:  m.GetSoftware(),
		features:  m.GetFeatures(),
		addresses: m.GetAddresses(),
	}
	switch n := len(m.GetInstance()); n {
	case 0:
	case len(a.instance):
		a.instance = Instance(m.GetInstance())
	default:
		return acquaintance{}, fmt.Errorf("an instance of %d bytes, want %d", n, len(a.instance))
	}
	return a, nil
}

func decodeDevice(raw []byte) (d id.Device, err error) {
	if len(raw) != len(d) {
		return d, fmt.Errorf("a device of %d bytes, want %d", len(raw), len(d))
	}
	return id.Device(raw), nil
}

func encodeName(n id.Name) *peerv1.Name {
	return &peerv1.Name{Owner: string(n.Owner), Local: n.Local}
}

func decodeName(m *peerv1.Name) (id.Name, error) {
	n := id.Name{Owner: id.Principal(m.GetOwner()), Local: m.GetLocal()}
	return n, n.Validate()
}

func encodeCollection(c id.Collection) *peerv1.Collection {
	kind := peerv1.CollectionKind_COLLECTION_KIND_UNSPECIFIED
	if c.Kind == id.Syncgroup {
		kind = peerv1.CollectionKind_COLLECTION_KIND_SYNCGROUP
	}
	return &peerv1.Collection{Kind: kind, Name: encodeName(c.Name)}
}

func decodeCollection(m *peerv1.Collection) (c id.Collection, err error) {
	switch kind := m.GetKind(); kind {
	case peerv1.CollectionKind_COLLECTION_KIND_UNSPECIFIED:
		c.Kind = id.Rows
	case peerv1.CollectionKind_COLLECTION_KIND_SYNCGROUP:
		c.Kind = id.Syncgroup
	default:
		return c, fmt.Errorf("the unknown collection kind %d", kind)
	}
	if c.Name, err = decodeName(m.GetName()); err != nil {
		return c, fmt.Errorf("a collection: %w", err)
	}
	return c, nil
}

func encodeScope(s id.Scope) *peerv1.Scope {
	return &peerv1.Scope{Collection: encodeCollection(s.Collection), Prefix: s.Prefix}
}

func decodeScope(m *peerv1.Scope) (s id.Scope, err error) {
	s.Prefix = m.GetPrefix()
	if s.Collection, err = decodeCollection(m.GetCollection()); err != nil {
		return s, err
	}
	if err := s.Validate(); err != nil {
		return s, fmt.Errorf("a scope: %w", err)
	}
	return s, nil
}

func decodeScopes(ms []*peerv1.Scope) ([]id.Scope, error) {
	if len(ms) > maxScopes {
		return nil, fmt.Errorf("%d scopes, the limit is %d", len(ms), maxScopes)
	}
	scopes := make([]id.Scope, 0, len(ms))
	seen := make(map[id.Scope]bool, len(ms))
	for _, m := range ms {
		s, err := decodeScope(m)
		if err != nil {
			return nil, err
		}
		if seen[s] {
			return nil, fmt.Errorf("the scope %s twice", s)
		}
		seen[s] = true
		scopes = append(scopes, s)
	}
	return scopes, nil
}

func encodeVectors(vectors []delta.ScopeVector) []*peerv1.ScopeVector {
	out := make([]*peerv1.ScopeVector, len(vectors))
	for i, v := range vectors {
		out[i] = &peerv1.ScopeVector{Scope: encodeScope(v.Scope), Entries: encodeVector(v.Vector)}
	}
	return out
}

func encodeVector(v id.Vector) []*peerv1.VectorEntry {
	entries := make([]*peerv1.VectorEntry, 0, len(v))
	for _, w := range v.Writers() {
		if v[w] == 0 {
			continue
		}
		entries = append(entries, &peerv1.VectorEntry{Device: w.Device[:], Epoch: w.Epoch, Generation: v[w]})
	}
	return entries
}

func decodeVectors(ms []*peerv1.ScopeVector) ([]delta.ScopeVector, error) {
	if len(ms) > maxScopes {
		return nil, fmt.Errorf("%d scopes, the limit is %d", len(ms), maxScopes)
	}
	out := make([]delta.ScopeVector, 0, len(ms))
	seen := make(map[id.Scope]bool, len(ms))
	entries := 0
	for _, m := range ms {
		scope, err := decodeScope(m.GetScope())
		if err != nil {
			return nil, err
		}
		if seen[scope] {
			return nil, fmt.Errorf("the scope %s twice", scope)
		}
		seen[scope] = true
		if entries += len(m.GetEntries()); entries > maxAllEntries {
			return nil, fmt.Errorf("more than %d vector entries in one message", maxAllEntries)
		}
		vector, err := decodeVector(m.GetEntries())
		if err != nil {
			return nil, fmt.Errorf("a vector of scope %s: %w", scope, err)
		}
		out = append(out, delta.ScopeVector{Scope: scope, Vector: vector})
	}
	return out, nil
}

func decodeVector(entries []*peerv1.VectorEntry) (id.Vector, error) {
	if len(entries) > maxEntries {
		return nil, fmt.Errorf("%d entries, the limit is %d", len(entries), maxEntries)
	}
	v := make(id.Vector, len(entries))
	for _, e := range entries {
		device, err := decodeDevice(e.GetDevice())
		if err != nil {
			return nil, err
		}
		w := id.Writer{Device: device, Epoch: e.GetEpoch()}
		if _, twice := v[w]; twice {
			return nil, fmt.Errorf("writer %s twice", w)
		}
		if e.GetGeneration() == 0 {
			return nil, fmt.Errorf("generation 0 of writer %s", w)
		}
		v[w] = e.GetGeneration()
	}
	return v, nil
}

func encodeOpen(o delta.Open) *peerv1.PullOpen {
	m := &peerv1.PullOpen{
		Database: encodeName(o.Database), Known: encodeVectors(o.Known), Window: o.Window,
		Device: o.Self.Device[:], Epoch: o.Self.Epoch, Probe: o.Probe, Witnesses: encodeWitnesses(o.Witnesses),
		Holding: encodeHolding(o), Forgotten: o.Forgotten,
	}
	for _, sg := range o.Syncgroups {
		m.Syncgroups = append(m.Syncgroups, encodeName(sg))
	}
	return m
}

func decodeOpen(m *peerv1.PullOpen) (o delta.Open, err error) {
	if m == nil {
		return o, errors.New("a first message of a pull without open")
	}
	if o.Database, err = decodeName(m.GetDatabase()); err != nil {
		return o, fmt.Errorf("a database: %w", err)
	}
	if n := len(m.GetSyncgroups()); n == 0 || n > maxSyncgroups {
		return o, fmt.Errorf("%d syncgroups, want 1 to %d", n, maxSyncgroups)
	}
	for _, sg := range m.GetSyncgroups() {
		name, err := decodeName(sg)
		if err != nil {
			return o, fmt.Errorf("a syncgroup: %w", err)
		}
		if slices.Contains(o.Syncgroups, name) {
			return o, fmt.Errorf("the syncgroup %s twice", name)
		}
		o.Syncgroups = append(o.Syncgroups, name)
	}
	if o.Known, err = decodeVectors(m.GetKnown()); err != nil {
		return o, err
	}
	if o.Window = m.GetWindow(); o.Window < minWindow || o.Window > maxWindow {
		return o, fmt.Errorf("a window of %d bytes, want %d to %d", o.Window, minWindow, maxWindow)
	}
	o.Self.Epoch, o.Probe, o.Forgotten = m.GetEpoch(), m.GetProbe(), m.GetForgotten()
	if o.Self.Device, err = decodeDevice(m.GetDevice()); err != nil {
		return o, err
	}
	if err = decodeHolding(&o, m.GetHolding()); err != nil {
		return o, err
	}
	o.Witnesses, err = decodeWitnesses(m.GetWitnesses())
	return o, err
}

// checkCommits returns the size of the commits of one message.
func checkCommits(commits [][]byte) (size int, err error) {
	if len(commits) == 0 {
		return 0, errors.New("a message of no commits")
	}
	for _, c := range commits {
		if len(c) == 0 || len(c) > maxCommit {
			return 0, fmt.Errorf("a commit of %d bytes, want 1 to %d", len(c), maxCommit)
		}
		size += len(c)
	}
	if len(commits) > 1 && size > maxCommitsBytes {
		return 0, fmt.Errorf("%d commits of %d bytes in one message, the limit is %d", len(commits), size, maxCommitsBytes)
	}
	return size, nil
}

var memberTypes = map[string]peerv1.MemberType{
	"normal": peerv1.MemberType_MEMBER_TYPE_NORMAL,
	"server": peerv1.MemberType_MEMBER_TYPE_SERVER,
	"leaf":   peerv1.MemberType_MEMBER_TYPE_LEAF,
}

func decodeMemberType(m peerv1.MemberType) (string, error) {
	for name, t := range memberTypes {
		if t == m {
			return name, nil
		}
	}
	return "", fmt.Errorf("the unknown member type %d", m)
}

// checkRef checks the outer form of a blob reference; what it means is for others to say.
func checkRef(ref string) error {
	if ref == "" {
		return errors.New("an empty blob reference")
	}
	return checkPrintable("blob reference", ref, maxRefLen)
}
