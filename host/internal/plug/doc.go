// Package plug runs the plugins of a host and gives the rest of the host plain Go facades for what they do.
//
// Every configured Instance has a process of its own, also when it is bundled (`path: self` runs the host's own
// executable again). A Host keeps those processes alive: it starts them, gives them their configuration, watches their
// health, restarts them with backoff, replaces them when their configuration changes, and ends them within a deadline
// whatever they do. A plugin may die at any moment; only who needs it waits.
//
// Callers use BlobStore, Discovery and Resolver, which are bound to the name of an instance and stay valid while
// processes come and go. A call waits for the instance to be ready within its deadline, is repeated once if the process
// dies under it, and fails with one of the sentinels of errors.go. Everything a plugin says is checked against the bounds
// of its protocol; nothing it sends can make the host allocate or wait without limit.
//
// The package knows no role of an instance: which store keeps blobs is somebody else's decision. It does not verify
// content; digests are checked by who knows them.
//
// Read first: Instance, Host, BlobStore. The life of one process is in supervisor.go around the pure core in supervise,
// its birth and death in session.go around package runner.
package plug
