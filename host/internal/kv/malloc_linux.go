//go:build linux && cgo

package kv

// #include <stdlib.h>
//
// #ifdef __GLIBC__
// #include <malloc.h>
//
// // Before there is a second thread: a heap that a thread has got by then stays.
// __attribute__((constructor)) static void keepLittle(void) {
// 	mallopt(M_MMAP_THRESHOLD, 128 << 10);
// 	mallopt(M_ARENA_MAX, 1);
// }
// #endif
import "C"

// Pebble's cache lies in memory of C. The allocator there comes to keep large blocks, if they are freed, between others where nobody
// finds room: with values of some MiB that was twice as much as the cache has. From a fixed bound on, 128 KiB, they go back to the
// system at once. And it has a heap for each thread, up to eight for a processor; what one thread freed does not serve another, which
// took 100 MiB while millions of rows arrived. With one heap the threads share a lock for the time of finding a block, once for each
// block that is read from the disk.
