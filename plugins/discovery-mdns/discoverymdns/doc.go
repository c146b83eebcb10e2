// Package discoverymdns finds nodes on the local network by multicast DNS (RFC 6762) and service discovery (RFC 6763).
//
// A node announces itself on every link it uses as an instance of _syncbase._tcp.local. Its TXT record holds the whole
// advert, so that one packet is one sighting and nothing has to be put together from parts; the PTR, SRV and address
// records are there for other tools. A sighting is a lease of three query intervals, renewed by answers to anybody's
// questions; a node that stops says goodbye.
//
// Everything heard is untrusted: packets, records, strings, addresses and the number of nodes are bounded, answers are
// limited in rate, and what does not parse is dropped. Questions list the answers already known, and a question that
// somebody else has just asked is not asked again, so the traffic of an idle network does not grow with the square of
// its nodes. Without multicast the plugin stays up, says that it is degraded and tries again.
//
// It does not probe for its name: the name is the node's id, and two nodes with one id are for the host to sort out. It
// neither verifies nor interprets an advert.
//
// Read [Service] first, then station, which decides everything and does no I/O, and table.
package discoverymdns
