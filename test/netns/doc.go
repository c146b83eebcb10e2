// Package netns joins two network namespaces by a cable of their own, and tests what daemons and plugins do across it:
// that they find each other, that they notice when the cable is cut, and that they come together again.
//
// Nothing here needs root where a user may make namespaces: a test runs itself again in a user and network namespace of
// its own (unshare), where it may do as it likes, and everything is gone when its process ends. Where that does not work
// the tests are skipped and say why, unless the variable SYNCBASE_REQUIRE_NETNS is 1; then they fail.
//
// Read [Inside] and [Pair] first.
package netns
