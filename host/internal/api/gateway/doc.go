// Package gateway is the protocol of clients in HTTP and JSON, for browsers and curl.
//
// It guarantees that a request can do nothing that a call could not: every request becomes calls to a gRPC server with the
// services and the options of all others, over a connection in memory that carries the proof of who makes the request, so
// that handlers, interceptors and access checks are the same ones. No header becomes metadata of a call. Before that, what
// is not meant for this daemon is refused: hosts that are not allowed (a name that an attacker points here), pages of
// origins that are not allowed, callers without proof. Headers, bodies, connections, requests at a time and the time that a
// client may keep the daemon waiting are bounded.
//
// Most paths are generated code, package nodehttp. What deserves better in HTTP is made by hand and goes first: rows are
// resources with the value as their body, a watch is a stream of server-sent events, blobs are bodies.
//
// It knows nothing of rows on disk, access lists or how a proof comes about; whoever runs it opens the doors.
//
// Read Gateway, Door and channels first, then routes.
package gateway
