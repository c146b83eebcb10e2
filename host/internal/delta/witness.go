package delta

import "github.com/syncbase/syncbase/host/internal/id"

// Witness is what somebody holds under a name: a device that was set back to an earlier state, and has used names again,
// finds by the witnesses of others that they mean something else by them than it does.
type Witness struct {
	Collection id.Collection
	Version    id.Version
	// Digest of the record, so that two records under one name can be told apart.
	Digest Digest
}

// Digest is a part of a hash that two different records have in common by chance only.
type Digest [16]byte

// MaxWitnesses bounds the witnesses of one message.
const MaxWitnesses = 512
