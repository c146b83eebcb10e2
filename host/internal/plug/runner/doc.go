// Package runner starts one plugin process and makes sure that it ends.
//
// It is the runner.Runner that go-plugin drives through its handshake. What it guarantees:
//
//   - The child dies with the host: it holds the read end of a leash pipe as its standard input, and on Linux the kernel
//     sends it SIGKILL when the host goes away.
//   - The child leads its own process group; whatever ends it also ends what it started.
//   - Kill never blocks for longer than its grace, whatever state the child is in.
//   - A pinned executable is hashed and executed through one file descriptor, so that nothing can be put in between.
//   - The child sees only the environment it is given, and speaks through a socket in a private directory.
//   - Noise on the child's standard output neither breaks the handshake nor blocks the child; it ends up in Output, like
//     everything written to standard error.
//
// The package knows processes. It must not know kinds of plugins, configuration or restarting.
//
// Read first: Command, Process, Output.
package runner
