// Package netns puts machines into network namespaces, two joined by a cable of their own or several at a hub, and tests
// what daemons and plugins do across it: that they find each other, that they notice when a cable is cut, and that they
// come together again, whatever happened to the cables, the lines and the daemons themselves.
//
// Nothing here needs root where a user may make namespaces: a test runs itself again in a user and network namespace of
// its own (unshare), where it may do as it likes, and everything is gone when its process ends. Where that does not work
// the tests are skipped and say why, unless the variable SYNCBASE_REQUIRE_NETNS is 1; then they fail.
//
// Delay, slowness and resets come from a [Line], a proxy of TCP. It is our own, because what it has to do is little, and
// the proxies there are bring servers, metrics and loggers into the module.
//
// Read [Inside], [Pair], [Hub] and [Line] first.
package netns
