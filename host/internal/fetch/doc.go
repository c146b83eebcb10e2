// Package fetch brings wanted blobs from peers into the local store.
//
// It guarantees: whatever was received and stored is not asked for again, not even after a crash, but for the last pack; a
// peer's bytes count only when they match their hash; a peer that sends anything else is not asked for that blob again; all
// who want one blob share one transfer; a blob is wanted until it is whole or cancelled, however long that takes; Run has
// stopped every transfer when it returns.
//
// What to ask whom next is decided by package sched; this package carries it out and knows neither how peers are reached nor
// who may read what. Read Fetcher, Source and Progress.
package fetch
