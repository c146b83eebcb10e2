// Package plugin is what a Syncbase plugin is written with.
//
// A plugin is a program that the host starts, talks to over a private Unix socket and may kill at any moment. Its author
// implements the interface of one kind (see the packages blobstore, discovery and resolver beside this one) and calls
// [Main]; this package does the rest: the handshake, the proof that the caller is the process that started us, the
// configuration, health, draining, log lines, and an end without orphans when the host dies.
//
// It guarantees that no call of a kind reaches the author's code before a configuration was accepted or after draining
// began, that the author's Close runs after the last call has returned, and that nothing the author prints can disturb
// the protocol. It knows nothing of the host, of what a kind means, or of other plugins.
//
// Start with [Main], [Kind] and [Setup]. The host and test kits use [DialOptions], [Handshake] and [HostSets].
package plugin
