// Package protocol holds the protocols in sdk/api against what has been promised: testdata/descriptors.golden lists every
// message, field, enum value and method with its number and type, and a line that stands there never goes away.
package protocol
