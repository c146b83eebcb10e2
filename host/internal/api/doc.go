// Package api serves the protocol of clients, sdk/api/node/v1.
//
// It guarantees that every call knows who is calling and is checked against the access lists before anything is read or
// changed; that what does not exist and what the caller may not know of look the same; that every error leaves as a gRPC
// status with a reason; and that sizes and counts which a client controls are bounded, those of batches left open among
// them. Generated types go no further down than this package.
//
// It knows rows at first hand. Everything else it offers, it gets through small interfaces that the daemon fills in, so it
// knows nothing of peers, plugins or how blobs are kept.
//
// Read Options and Server first, then target, which is how a call gets at a database, and batches.
package api
