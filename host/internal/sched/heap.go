package sched

import "container/heap"

// blobHeap keeps blobs with the least by less at the top, and tells each its index.
type blobHeap struct {
	blobs []*blob
	less  func(a, b *blob) bool
}

func (h *blobHeap) Len() int           { return len(h.blobs) }
func (h *blobHeap) Less(i, j int) bool { return h.less(h.blobs[i], h.blobs[j]) }

func (h *blobHeap) Swap(i, j int) {
	h.blobs[i], h.blobs[j] = h.blobs[j], h.blobs[i]
	h.blobs[i].index, h.blobs[j].index = i, j
}

// Push implements heap.Interface.
func (h *blobHeap) Push(x any) {
	b := x.(*blob)
	b.index = len(h.blobs)
	h.blobs = append(h.blobs, b)
}

// Pop implements heap.Interface.
func (h *blobHeap) Pop() any {
	last := len(h.blobs) - 1
	b := h.blobs[last]
	h.blobs[last] = nil
	h.blobs = h.blobs[:last]
	return b
}

func (h *blobHeap) add(b *blob)    { heap.Push(h, b) }
func (h *blobHeap) take() *blob    { return heap.Pop(h).(*blob) }
func (h *blobHeap) remove(b *blob) { heap.Remove(h, b.index) }
func (h *blobHeap) first() *blob   { return h.blobs[0] }
