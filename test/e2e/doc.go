// Package e2e runs the built binary as its users do: daemons as processes on loopback with their plugins as processes of
// their own, and the command line beside them. Nothing is replaced by a stand-in.
//
// It shows what only whole processes can show: that two daemons end up with the same bytes, that what was sent is not
// sent again after a kill, that no plugin outlives its daemon, that strangers get nothing, and that the README is true.
// The tests know nothing but the command line and its JSON. Waiting is always for a condition, with a deadline.
//
// Read [daemon] and [network] first.
package e2e
