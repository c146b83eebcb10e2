//go:build linux && cgo

package kv

// #include <stdlib.h>
//
// #ifdef __GLIBC__
// #include <malloc.h>
// static void giveBackLarge(int from) { mallopt(M_MMAP_THRESHOLD, from); }
// #else
// static void giveBackLarge(int from) { (void)from; }
// #endif
import "C"

// largeBlock is from which size on memory outside Go's heap goes back to the system as soon as it is free.
const largeBlock = 128 << 10

// Pebble's cache lies in memory of C. Its allocator comes to keep large blocks, if they are freed, between others where nobody finds
// room: with values of some MiB that was twice as much as the cache has. With a fixed bound it does not.
func init() { C.giveBackLarge(largeBlock) }
