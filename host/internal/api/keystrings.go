package api

import "unsafe"

// maxKeyBlock is how many bytes of other keys a key that is kept may keep with it.
const maxKeyBlock = 4096

// keyStrings makes strings of many keys with few allocations: they are cut from blocks, of which the first are small.
type keyStrings struct {
	// block is never written again where a string is.
	block []byte
	next  int
}

func (k *keyStrings) string(key []byte) string {
	if len(key) == 0 {
		return ""
	}
	n := len(k.block)
	if cap(k.block)-n < len(key) {
		k.next = min(max(2*k.next, 128), maxKeyBlock)
		k.block, n = make([]byte, 0, max(k.next, len(key))), 0
	}
	k.block = append(k.block, key...)
	return unsafe.String(&k.block[n], len(key))
}
