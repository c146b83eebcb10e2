// Package id holds the names of things: principals, databases, collections, rows, devices, versions, scopes and
// generation vectors, with the grammar that makes a name valid and the one text form that every other room uses.
//
// Everything here is a small comparable value (Vector excepted). The package knows nothing of storage, wire formats or
// access lists. Read Name, Version and Vector first.
package id
