// Command bench measures whole daemons: the built binary, with its plugins, on loopback and on this machine's disk.
//
// It guarantees that every figure it prints comes from processes of the real program, driven through the Go client, and
// that the baselines beside them were taken in the same run, on the same disk. It judges nothing: docs/performance.md says
// what the figures should be. It knows no insides of the daemon.
//
// Run it with `make bench`, or with flags as `go run ./test/bench -runs 3`. Read run in main.go first; rows.go, many.go and
// blobs.go have the measurements, baseline.go what they are compared with.
package main
