// Package peer keeps up the sessions between this daemon and others: it finds a way to every peer it has heard of, keeps
// one link to each, and answers those who link to us. It is the only room that knows the messages of peer/v1 and the
// transport between daemons; the rooms below see scopes, vectors and bytes.
//
// A link is used for this side's own requests; the other side keeps a link of its own to us. What arrives is bounded and
// checked here before anyone sees it: a malformed request is refused and changes nothing, a malformed answer ends the
// link with ErrProtocol and the peer is left alone for a while. Who a peer is comes from its certificate; the device
// that it says it is counts only as long as no other principal has said so.
//
// The package does not know what commits, recipes and chunks mean, nor who may have them: the interfaces in Options do.
//
// Read Options, Sessions and Link first; roster.go has the state of each peer as a pure core, sessions.go its driver.
package peer
