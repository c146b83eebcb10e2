// Package sched decides which piece of which blob to ask from which peer next.
//
// A Scheduler is a value that is told what happened (Handle) and says what to do (Next) and when to ask again at the latest
// (Deadline). It guarantees: a piece is under way at most once at a time; every piece of a wanted blob is asked for again
// and again while a peer that may have it is up; the bytes under way from one peer stay within its window; at most a fixed
// number of blobs are under way at once, the more urgent first; the device itself is never asked.
//
// It is pure: no clock, no goroutine, no chance but the jitter it is given; it knows neither bytes nor hashes. A blob is
// a name and a list of piece sizes. Read Event, Action and Scheduler.
package sched
